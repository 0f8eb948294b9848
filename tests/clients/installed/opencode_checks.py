"""opencode in its non-interactive mode, over each of the three dialects."""

import json

from checks import PROXY_KEY, PROXY_URL, check, equal, run, script_error, true
from program import NODE_PROGRAMS, Home, bodies, forget_upstream_calls, json_lines, result_texts, upstream_calls

MODELS = {"claude-opus-4-6": {"name": "large"}, "claude-haiku-4-5": {"name": "small"}}
SETTINGS = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
}


def home(package):
    forget_upstream_calls()
    made = Home()
    provider = {
        "npm": package, "name": "proxyd", "models": MODELS,
        "options": {"baseURL": f"{PROXY_URL}/v1", "apiKey": PROXY_KEY},
    }
    made.write(".config/opencode/opencode.json", json.dumps({
        "autoupdate": False, "share": "disabled", "provider": {"proxyd": provider},
        "model": "proxyd/claude-opus-4-6", "small_model": "proxyd/claude-haiku-4-5",
    }))
    made.run("git", "init", "--quiet", ".")
    return made


def opencode(at, message, *arguments, **more):
    # As an argument it would be put in quotes.
    return at.run(NODE_PROGRAMS / "opencode", "run", *arguments, stdin=message, **SETTINGS, **more)


def reads_a_file(package):
    at = home(package)
    file = at.write("project/note.txt", "proxyd-was-here\n")
    asked = f"Please call the tool read with {json.dumps({'filePath': str(file)})} now."
    events = json_lines(opencode(at, asked, "--format", "json"))
    [used] = [event["part"] for event in events if event["type"] == "tool_use"]
    equal((used["tool"], used["state"]["status"]), ("read", "completed"))
    texts = [event["part"]["text"] for event in events if event["type"] == "text"]
    true(texts[-1].startswith("The tools said: ") and "proxyd-was-here" in texts[-1], f"it said {texts}")
    results = [text for body in bodies() for text in result_texts(body)]
    true(any("proxyd-was-here" in text for text in results), f"the results were {results}")


@check
def answers():
    out = opencode(home("@ai-sdk/openai-compatible"), "Hello, café!")
    true("You said: Hello, café!" in out, f"it wrote {out!r}")
    models = {body["model"] for body in bodies()}
    true("claude-opus-4-6" in models, f"the models were {models}")
    for call in upstream_calls():
        true(call["headers"]["user-agent"].startswith("proxyd/"), "a translated request must go out as ours")


@check
def reads_a_file_over_chat_completions():
    reads_a_file("@ai-sdk/openai-compatible")


@check
def reads_a_file_over_responses():
    reads_a_file("@ai-sdk/openai")


@check
def reads_a_file_over_messages():
    reads_a_file("@ai-sdk/anthropic")


@check
def tells_an_error():
    at = home("@ai-sdk/openai-compatible")
    # The title of the session is asked for at the same time.
    script_error(400, "invalid_request_error", "scripted: no such thing", always=True)
    events = json_lines(opencode(at, "Hello", "--format", "json", code=None))
    errors = [event["error"] for event in events if event["type"] == "error"]
    true("scripted: no such thing" in json.dumps(errors), f"the errors are {errors}")


if __name__ == "__main__":
    run("opencode")
