"""Claude Code in print mode, on the native path."""

import json

from checks import PROXY_KEY, PROXY_URL, check, equal, run, script_error, true
from program import NODE_PROGRAMS, Home, bodies, forget_upstream_calls, json_lines, result_texts, upstream_calls

QUIET = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
SETTINGS = QUIET | {"ANTHROPIC_BASE_URL": PROXY_URL, "ANTHROPIC_AUTH_TOKEN": PROXY_KEY}


def claude(*arguments, **more):
    forget_upstream_calls()
    return Home().run(NODE_PROGRAMS / "claude", "-p", *arguments, **SETTINGS, **more)


@check
def answers():
    result = json.loads(claude("Hello, café!", "--output-format", "json"))
    equal((result["subtype"], result["is_error"]), ("success", False))
    true("Hello, café!" in result["result"], f"the result is {result['result']!r}")
    for call in upstream_calls():
        equal((call["path"], call["query"]), ("/v1/messages", "beta=true"))
        # It is passed on as what it is, with the account's credential in place of the client's.
        true(call["headers"]["user-agent"].startswith("claude-cli/"), f"user-agent {call['headers']['user-agent']}")
        true("claude-code-20250219" in call["headers"]["anthropic-beta"], "the client's betas are lost")
        true("oauth-2025-04-20" in call["headers"]["anthropic-beta"], "the credential's beta is missing")
        equal(call["caller"], {"email": "person@example.com"})


@check
def answers_with_a_small_model():
    result = json.loads(claude("Hello", "--output-format", "json", "--model", "claude-haiku-4-5"))
    true("Hello" in result["result"], f"the result is {result['result']!r}")
    equal({body["model"] for body in bodies()}, {"claude-haiku-4-5"})


@check
def runs_a_command_and_tells_its_output():
    call = {"command": "echo proxyd-was-here", "description": "Say something"}
    events = json_lines(claude(
        f"Please call the tool Bash with {json.dumps(call)} now.", "--allowedTools", "Bash(echo:*)",
        "--output-format", "stream-json", "--include-partial-messages", "--verbose"))
    result = events[-1]
    equal((result["type"], result["is_error"], result["result"]), ("result", False, "The tools said: proxyd-was-here"))
    kinds = {event["event"]["type"] for event in events if event["type"] == "stream_event"}
    true({"message_start", "content_block_delta", "message_stop"} <= kinds, f"the events were {kinds}")
    equal(result_texts(bodies()[-1]), ["proxyd-was-here"])


@check
def tells_an_error():
    # After one it tries again with fewer betas.
    script_error(400, "invalid_request_error", "scripted: no such thing", always=True)
    result = json.loads(claude("Hello", "--output-format", "json", code=1))
    true(result["is_error"] and "scripted: no such thing" in result["result"], f"the result is {result}")


@check
def is_run_and_set_up_by_proxyctl():
    for key in ((), ("--with-key",)):
        at = Home()
        out = at.proxyctl("run", *key, "--", NODE_PROGRAMS / "claude", "-p", "Hello", **QUIET)
        true(out.endswith("Hello\n"), f"it wrote {out!r}")
        at.proxyctl("setup", "claude-code", "--yes", *key)
        out = at.run(NODE_PROGRAMS / "claude", "-p", "Hello", **QUIET)
        true(out.endswith("Hello\n"), f"with {key} it wrote {out!r}")


if __name__ == "__main__":
    run("Claude Code")
