"""opencode in its non-interactive mode, over each of the three dialects."""

import json

from checks import PROXY_KEY, PROXY_URL, check, equal, run, script_error, true
from program import NODE_PROGRAMS, Home, bodies, forget_upstream_calls, json_lines, result_texts, upstream_calls

MODELS = {"claude-opus-5-5": {"name": "large"}, "claude-haiku-4-5": {"name": "small"}}
SETTINGS = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
}


# One for each dialect.
PROVIDERS = {"chat": "@ai-sdk/openai-compatible", "responses": "@ai-sdk/openai", "messages": "@ai-sdk/anthropic"}


def home():
    made = Home()
    options = {"baseURL": f"{PROXY_URL}/v1", "apiKey": PROXY_KEY}
    made.write(".config/opencode/opencode.json", json.dumps({
        "autoupdate": False, "share": "disabled", "small_model": "chat/claude-haiku-4-5",
        "provider": {
            name: {"npm": package, "name": name, "models": MODELS, "options": options}
            for name, package in PROVIDERS.items()
        },
    }))
    made.run("git", "init", "--quiet", ".")
    return made


# One home serves all checks.
HOME = home()


def opencode(provider, message, *arguments, **more):
    forget_upstream_calls()
    model = f"{provider}/claude-opus-5-5"
    # As an argument the message would be put in quotes.
    return HOME.run(
        NODE_PROGRAMS / "opencode", "run", "--model", model, *arguments, stdin=message, **SETTINGS, **more)


def reads_a_file(provider):
    file = HOME.write("project/note.txt", "proxyd-was-here\n")
    asked = f"Please call the tool read with {json.dumps({'filePath': str(file)})} now."
    events = json_lines(opencode(provider, asked, "--format", "json"))
    [used] = [event["part"] for event in events if event["type"] == "tool_use"]
    equal((used["tool"], used["state"]["status"]), ("read", "completed"))
    texts = [event["part"]["text"] for event in events if event["type"] == "text"]
    true(texts[-1].startswith("The tools said: ") and "proxyd-was-here" in texts[-1], f"it said {texts}")
    results = [text for body in bodies() for text in result_texts(body)]
    true(any("proxyd-was-here" in text for text in results), f"the results were {results}")


@check
def answers():
    out = opencode("chat", "Hello, café!")
    true("You said: Hello, café!" in out, f"it wrote {out!r}")
    models = {body["model"] for body in bodies()}
    true("claude-opus-5-5" in models, f"the models were {models}")
    for call in upstream_calls():
        true(call["headers"]["user-agent"].startswith("proxyd/"), "a translated request must go out as ours")


@check
def reads_a_file_over_chat_completions():
    reads_a_file("chat")


@check
def reads_a_file_over_responses():
    reads_a_file("responses")


@check
def reads_a_file_over_messages():
    reads_a_file("messages")


@check
def tells_an_error():
    # The title of the session is asked for at the same time.
    script_error(400, "invalid_request_error", "scripted: no such thing", always=True)
    events = json_lines(opencode("chat", "Hello", "--format", "json", code=None))
    errors = [event["error"] for event in events if event["type"] == "error"]
    true("scripted: no such thing" in json.dumps(errors), f"the errors are {errors}")


@check
def is_run_and_set_up_by_proxyctl():
    words = [NODE_PROGRAMS / "opencode", "run", "--model", "anthropic/claude-sonnet-5-5", "Hello"]
    for key in ((), ("--with-key",)):
        at = Home()
        at.run("git", "init", "--quiet", ".")
        out = at.proxyctl("run", *key, "--", *words, **SETTINGS)
        true('You said: "Hello"' in out, f"it wrote {out!r}")
        at.proxyctl("setup", "opencode", "--yes", *key)
        out = at.run(*words, **SETTINGS)
        true('You said: "Hello"' in out, f"with {key} it wrote {out!r}")


if __name__ == "__main__":
    run("opencode")
