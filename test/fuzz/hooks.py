"""Hooks and a check of our own for schemathesis, which imports this file (schemathesis.toml names it)."""

import itertools

import schemathesis

# Every cursor that the service has given out.
issued = set()

waits = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Takes out what is valid by the schemas, and refused for a reason that no schema can say."""
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    # A cursor is opaque and has a checksum. Those of the pages before come by links.
    if "cursor" in (case.query or {}) and case.query["cursor"] not in issued:
        del case.query["cursor"]
    body = case.body if isinstance(case.body, dict) else {}
    # A wait takes its time: one call in ten waits, for a second, which is like twenty.
    for where in (case.query or {}, body):
        if str(where.get("wait_seconds", "0")) not in ("0", "None"):
            where["wait_seconds"] = 1 if next(waits) % 10 == 0 else 0
    # A token may come once in a call, whatever is to be done with it, and a call settles something.
    if case.operation.path.endswith("/settle"):
        once(body)
        if not any(body.values()):
            body["ack"] = ["no token"]
    if isinstance(body.get("settle"), dict):
        once(body["settle"])
    # Either events by their ids, or some of them.
    if case.operation.path.endswith("/redrive"):
        if "event_ids" in body:
            for name in ("limit", "source", "event_type"):
                body.pop(name, None)
        else:
            body.setdefault("limit", 1)
    # Two different keys contradict each other.
    metadata = body.get("metadata")
    if isinstance(metadata, dict) and "idempotency_key" in metadata:
        (case.headers or {}).pop("Idempotency-Key", None)


def once(settle):
    """Leaves out items whose token has come before, and those behind the 500th."""
    seen = set()
    for name in ("ack", "release", "reject", "extend"):
        kept = []
        for item in settle.get(name, []):
            token = item if isinstance(item, str) else item["token"]
            if token not in seen and len(seen) < 500:
                seen.add(token)
                kept.append(item)
        if name in settle:
            settle[name] = kept


@schemathesis.hook
def after_call(context, case, response):
    if case.operation.path.endswith(("/inbox", "/quarantine")) and response.status_code == 200:
        issued.add(response.json()["pagination"]["next_cursor"])


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Request line and headers of more than 8,192 bytes are refused by the parser, uWebSockets, in its own form.

    No schema can say that; all input that is valid is shorter.
    """
    return response.status_code != 431


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
