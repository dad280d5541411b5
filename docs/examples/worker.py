"""Handles the events of an inbox, one after the other, until SIGTERM or Ctrl-C. Restarts of the service do not end it.

pip install -r requirements.txt && python worker.py [event type]
"""

import json
import os
import random
import signal
import sys
import threading

import httpx

URL = os.environ.get("TRIGGERS_URL", "http://127.0.0.1:8080")
API_KEY = os.environ.get("TRIGGERS_API_KEY", "test-api-key-12345")
EVENT_TYPE = sys.argv[1] if len(sys.argv) > 1 else None

IDLE_SECONDS = 1
RETRIED = {429, 500, 501, 502, 503, 504}

stop = threading.Event()


class Unavailable(Exception):
    """The service does not answer, or asks to come back later."""


def call(client, method, path, **options):
    """Sends a request up to five times, with full jitter between the tries. Gives the response, whatever its status."""
    for failed in range(5):
        wait = 0.0
        try:
            response = client.request(method, path, **options)
            if response.status_code not in RETRIED:
                return response
            problem = f"status {response.status_code}"
            after = response.headers.get("retry-after", "")
            wait = float(after) if after.isdigit() else 0.0
        except httpx.TransportError as error:
            problem = str(error) or type(error).__name__
        if stop.wait(wait + random.uniform(0, min(20, 0.1 * 2**failed))):
            break
    raise Unavailable(problem)


def pending(client):
    """The events that were pending at the start, oldest first, page by page."""
    query = {"event_type": EVENT_TYPE} if EVENT_TYPE else {}
    while True:
        page = call(client, "GET", "/v1/inbox", params=query).raise_for_status().json()
        yield from page["events"]
        query["cursor"] = page["pagination"]["next_cursor"]
        if query["cursor"] is None:
            return


def handle(event):
    """Put your work here. An event can come again, so make this repeatable. An event for which it raises stays in the inbox."""
    print("handled", event["event_id"], json.dumps(event["payload"]), flush=True)


def acknowledge(client, event_id):
    response = call(client, "POST", f"/v1/events/{event_id}/ack")
    # 409: acknowledged before, perhaps by a try of ours whose answer was lost. 404: deleted, or expired. Done in both cases.
    if response.status_code not in (404, 409):
        response.raise_for_status()


def walk(client):
    """Whether an event was handled."""
    worked = False
    for event in pending(client):
        if stop.is_set():
            break
        try:
            handle(event)
        except Exception as error:
            print("left in the inbox:", event["event_id"], error, file=sys.stderr)
            continue
        acknowledge(client, event["event_id"])
        worked = True
    return worked


def main():
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with httpx.Client(base_url=URL, headers={"X-API-Key": API_KEY}, timeout=6) as client:
        while not stop.is_set():
            try:
                if walk(client):
                    continue
            except Unavailable as error:
                print("waiting for the service:", error, file=sys.stderr)
            stop.wait(IDLE_SECONDS)
    print("stopped", flush=True)


if __name__ == "__main__":
    main()
