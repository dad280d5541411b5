"""Hooks and a check of our own for schemathesis, which imports this file (schemathesis.toml names it)."""

import schemathesis

# Every cursor that the service has given out.
issued = set()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Takes out what is valid by the schemas, and refused for a reason that no schema can say."""
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    # A cursor is opaque and has a checksum. Those of the pages before come by links.
    if "cursor" in (case.query or {}) and case.query["cursor"] not in issued:
        del case.query["cursor"]
    # Two different keys contradict each other.
    body = case.body if isinstance(case.body, dict) else {}
    metadata = body.get("metadata")
    if isinstance(metadata, dict) and "idempotency_key" in metadata:
        (case.headers or {}).pop("Idempotency-Key", None)


@schemathesis.hook
def after_call(context, case, response):
    if case.operation.path.endswith("/inbox") and response.status_code == 200:
        issued.add(response.json()["pagination"]["next_cursor"])


# Of HTTP itself, or said by the document in its own way.
FRAMING = {"content-type", "content-length", "content-encoding", "transfer-encoding", "connection", "date", "uwebsockets"}


@schemathesis.check
def undocumented_headers(ctx, response, case):
    """Every header of a reply is described. (`response_headers_conformance` looks whether described ones are there.)"""
    document = case.operation.schema.raw_schema
    described = case.operation.definition.raw["responses"].get(str(response.status_code))
    if described is None or case.method != case.operation.method.upper():
        # Another method, or another path: `status_code_conformance` and `unsupported_method` look at them.
        return
    if "$ref" in described:
        described = document["components"]["responses"][described["$ref"].rsplit("/", 1)[1]]
    names = {name.lower() for name in described.get("headers", {})}
    unknown = {name.lower() for name in response.headers} - names - FRAMING
    assert not unknown, f"undocumented headers: {sorted(unknown)}"
