"""What the Python client checks share: running named checks, and driving fake-claude.

Each check prints one line, `ok NAME` or `FAILED NAME: why`. Only loopback is ever talked to.
"""

import json
import os
import sys
import traceback
import urllib.request

PROXY_URL = os.environ["PROXY_URL"].rstrip("/")
FAKE_URL = os.environ["FAKE_URL"].rstrip("/")
# The daemon serves programs of its own user without a key; the packages insist on having one.
PROXY_KEY = os.environ.get("PROXY_KEY", "not-needed")

MESSAGES = "/v1/messages"

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_checks = []


def check(function):
    """Registers a check; its name is the function's, with spaces."""
    _checks.append(function)
    return function


def run(client):
    """Runs every check in order and exits, non-zero if one failed."""
    failed = 0
    for function in _checks:
        name = f"{client}: {function.__name__.replace('_', ' ')}"
        try:
            # What an earlier check scripted and did not use must not answer this one.
            fake("DELETE", "/fake/script")
            function()
        except Exception as error:
            failed += 1
            traceback.print_exc()
            why = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"FAILED {name}: {why}", flush=True)
        else:
            print(f"ok {name}", flush=True)
    sys.exit(1 if failed else 0)


def equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"expected {expected!r}, got {actual!r}")


def true(condition, what):
    if not condition:
        raise AssertionError(what)


def fake(method, path, body=None):
    """Calls one of fake-claude's own endpoints."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(FAKE_URL + path, data, headers, method=method)
    with _direct.open(request, timeout=10) as response:
        return json.load(response)


def script_error(status, kind, message, always=False, **headers):
    """The next model request, or every one until the scripts are forgotten, is answered with this error."""
    error = {"type": "error", "error": {"type": kind, "message": message}}
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    script = {"path": MESSAGES, "status": status, "headers": headers, "body": error, "always": always}
    fake("POST", "/fake/script", script)


def expire_access_tokens():
    fake("POST", "/fake/expire-access-tokens")


def token_calls():
    return fake("GET", "/fake/state")["token_calls"]


def last_upstream_request():
    """The body of the last model request as it reached the upstream."""
    return json.loads(fake("GET", f"/fake/requests?path={MESSAGES}")[-1]["body"])
