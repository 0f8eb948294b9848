"""aider with one message and no terminal, over Chat Completions and over Messages."""

from checks import MESSAGES, PROXY_KEY, PROXY_URL, check, equal, fake, run, script_error, true
from program import INSTALLED, Home, bodies, forget_upstream_calls, upstream_calls

SETTINGS = {
    "OPENAI_API_BASE": f"{PROXY_URL}/v1",
    "OPENAI_API_KEY": PROXY_KEY,
    "ANTHROPIC_API_BASE": PROXY_URL,
    "ANTHROPIC_API_KEY": PROXY_KEY,
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
QUIET = [
    "--yes-always", "--no-check-update", "--analytics-disable", "--no-show-model-warnings", "--no-show-release-notes",
    "--no-detect-urls", "--no-git", "--no-pretty", "--no-fancy-input",
]
HELLO = "print('proxyd was here')\n"


def aider(model, message, *arguments, at=None):
    forget_upstream_calls()
    at = at or Home()
    return at.run(
        INSTALLED / "aider/bin/aider", "--model", model, "--message", message, *QUIET, *arguments, **SETTINGS)


@check
def answers_over_chat_completions():
    out = aider("openai/claude-haiku-4-5", "Hello, café!")
    true("You said: Hello, café!" in out, f"it wrote {out!r}")
    [call] = upstream_calls()
    true(call["headers"]["user-agent"].startswith("proxyd/"), "a translated request must go out as ours")
    [body] = bodies([call])
    equal((body["model"], body["stream"]), ("claude-haiku-4-5", True))


@check
def answers_over_messages():
    out = aider("anthropic/claude-haiku-4-5", "Hello, café!")
    true("You said: Hello, café!" in out, f"it wrote {out!r}")
    [call] = upstream_calls()
    true(not call["headers"]["user-agent"].startswith("proxyd/"), "a native request must go out as the client's")


@check
def changes_a_file():
    at = Home()
    file = at.write("project/hello.py", "print('nobody was here')\n")
    fake("POST", "/fake/script", {"path": MESSAGES, "patch": {"content": [
        {"type": "text", "text": f"I changed it.\n\nhello.py\n```\n{HELLO}```\n"},
    ]}})
    out = aider("openai/claude-haiku-4-5", "Say who was here.", "--edit-format", "whole", "--no-stream", "hello.py", at=at)
    true("Applied edit to hello.py" in out, f"it wrote {out!r}")
    equal(file.read_text(), HELLO)


@check
def tells_an_error():
    script_error(400, "invalid_request_error", "scripted: no such thing")
    out = aider("openai/claude-haiku-4-5", "Hello")
    true("scripted: no such thing" in out, f"it wrote {out!r}")


@check
def is_run_and_set_up_by_proxyctl():
    words = [INSTALLED / "aider/bin/aider", "--message", "Hello", *QUIET]
    for key in ((), ("--with-key",)):
        at = Home()
        run = ["run", *key, "--", *words, "--model", "anthropic/claude-sonnet-5-5"]
        true("You said: Hello" in at.proxyctl(*run, LITELLM_LOCAL_MODEL_COST_MAP="True"), "it did not answer")
        at.proxyctl("setup", "aider", "--yes", *key)
        out = at.run(*words, LITELLM_LOCAL_MODEL_COST_MAP="True")
        true("You said: Hello" in out, f"with {key} it wrote {out!r}")


if __name__ == "__main__":
    run("aider")
