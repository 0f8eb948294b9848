"""Codex in its non-interactive mode, over Responses."""

import base64
import json

from checks import PROXY_URL, check, equal, run, script_error, true
from program import NODE_PROGRAMS, Home, blocks, bodies, forget_upstream_calls, json_lines, result_texts, upstream_calls

MODEL = "claude-opus-5-5"
CONFIG = f"""
model = "{MODEL}"
model_provider = "proxyd"
check_for_update_on_startup = false

[analytics]
enabled = false

[model_providers.proxyd]
name = "proxyd"
base_url = "{PROXY_URL}/v1"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""
# One transparent pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
THINKING = [
    "-c", 'model_reasoning_effort="high"', "-c", 'model_reasoning_summary="auto"',
    "-c", "model_supports_reasoning_summaries=true",
]


def home():
    forget_upstream_calls()
    made = Home()
    made.write(".codex/config.toml", CONFIG)
    return made


def codex(*arguments, at=None, code=0):
    at = at or home()
    # The one command that is run is ours, and not every container lets Codex make its sandbox.
    return json_lines(at.run(NODE_PROGRAMS / "codex", "exec", "--sandbox", "danger-full-access", *arguments, code=code))


def said(events):
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    return [item["text"] for item in items if item["type"] == "agent_message"]


@check
def answers():
    events = codex("--skip-git-repo-check", "--json", "Hello, café!")
    true(said(events)[-1].endswith("Hello, café!"), f"it said {said(events)}")
    equal(events[-1]["type"], "turn.completed")
    true(events[-1]["usage"]["input_tokens"] > 0 and events[-1]["usage"]["output_tokens"] > 0, "usage is missing")
    [call] = upstream_calls()
    true(call["headers"]["user-agent"].startswith("proxyd/"), "a translated request must go out as ours")
    [body] = bodies([call])
    equal((body["model"], body["stream"]), (MODEL, True))
    true({"exec_command", "multi_agent_v1__spawn_agent"} <= {tool["name"] for tool in body["tools"]},
         "tools are missing")


@check
def runs_a_command_and_keeps_its_reasoning():
    asked = 'Please call the tool exec_command with {"cmd": "echo proxyd-was-here"} now.'
    events = codex("--skip-git-repo-check", "--json", *THINKING, asked)
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    [command] = [item for item in items if item["type"] == "command_execution"]
    equal((command["exit_code"], command["aggregated_output"]), (0, "proxyd-was-here\n"))
    true("reasoning" in {item["type"] for item in items}, "the reasoning is not shown")
    true(said(events)[-1].startswith("The tools said: "), f"it said {said(events)}")
    first, last = bodies()
    equal((first["thinking"]["type"], first["output_config"]["effort"]), ("adaptive", "high"))
    [result] = result_texts(last)
    true("proxyd-was-here" in result, f"the result was {result!r}")
    # The fake checks the signature; here it is enough that the block came back.
    equal([block["type"] for block in blocks(last, "thinking")], ["thinking"])


@check
def goes_on_with_a_session():
    at = home()
    codex("--skip-git-repo-check", "--json", *THINKING, "Hello", at=at)
    events = codex("resume", "--last", "--skip-git-repo-check", "--json", *THINKING, "And again", at=at)
    true(said(events)[-1].endswith("And again"), f"it said {said(events)}")
    roles = [message["role"] for message in bodies()[-1]["messages"]]
    equal(roles, ["user", "assistant", "user"])


@check
def shows_an_image():
    at = home()
    picture = at.project / "pixel.png"
    picture.write_bytes(base64.b64decode(PNG))
    shown = codex("--skip-git-repo-check", "--json", "--image", str(picture), "--", "What is this?", at=at)
    true("[image image/png]" in said(shown)[-1], f"it said {said(shown)}")
    asked = f"Please call the tool view_image with {json.dumps({'path': str(picture)})} now."
    looked_at = codex("--skip-git-repo-check", "--json", asked, at=at)
    equal(said(looked_at)[-1], "The tools said: [image image/png]")


@check
def searches_the_web_and_goes_on():
    at = home()
    events = codex("--skip-git-repo-check", "--json", *THINKING, "Please search the web.", at=at)
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    equal([item["query"] for item in items if item["type"] == "web_search"], ["the weather in Paris"])
    true(said(events)[-1].startswith("The web says: sunny."), f"it said {said(events)}")
    codex("resume", "--last", "--skip-git-repo-check", "--json", *THINKING, "And?", at=at)


@check
def answers_in_a_schema():
    at = home()
    properties = {"city": {"type": "string"}, "sunny": {"type": "boolean"}}
    schema = {"type": "object", "properties": properties, "required": ["city", "sunny"], "additionalProperties": False}
    file = at.write("schema.json", json.dumps(schema))
    events = codex("--skip-git-repo-check", "--json", "--output-schema", str(file), "Report.", at=at)
    equal(json.loads(said(events)[-1]), {"city": "Paris", "sunny": True})


@check
def tells_an_error():
    script_error(400, "invalid_request_error", "scripted: no such thing")
    events = codex("--skip-git-repo-check", "--json", "Hello", code=1)
    equal(events[-1]["type"], "turn.failed")
    true("scripted: no such thing" in events[-1]["error"]["message"], f"the error is {events[-1]['error']}")


@check
def is_run_and_set_up_by_proxyctl():
    words = [NODE_PROGRAMS / "codex", "exec", "--sandbox", "danger-full-access", "--skip-git-repo-check", "Hello"]
    for key in ((), ("--with-key",)):
        at = Home()
        out = at.proxyctl("run", *key, "--", *words)
        true(out.endswith("Hello\n"), f"it wrote {out!r}")
        at.proxyctl("setup", "codex", "--yes", *key)
        out = at.run(*words)
        true(out.endswith("Hello\n"), f"with {key} it wrote {out!r}")
        # What was set up does not stand in the way.
        at.proxyctl("run", *key, "--", *words)


if __name__ == "__main__":
    run("Codex")
