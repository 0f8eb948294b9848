"""llm with its own way to name OpenAI-compatible models, over Chat Completions."""

import base64
import json

from checks import PROXY_KEY, PROXY_URL, check, equal, run, script_error, true
from program import INSTALLED, Home, bodies, forget_upstream_calls, result_texts, upstream_calls

# One transparent pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
MODELS = f"""
- model_id: small
  model_name: claude-haiku-4-5
  api_base: "{PROXY_URL}/v1"
  supports_tools: true
  supports_schema: true
  vision: true
- model_id: large
  model_name: claude-opus-5-5
  api_base: "{PROXY_URL}/v1"
  reasoning: true
"""
WEATHER = '''
def get_weather(city: str) -> str:
    "The weather of a city"
    return "sunny in " + city
'''


def llm(*arguments, at=None, **more):
    forget_upstream_calls()
    at = at or Home()
    at.write("llm/extra-openai-models.yaml", MODELS)
    return at.run(
        INSTALLED / "llm/bin/llm", *arguments, LLM_USER_PATH=str(at.path / "llm"), OPENAI_API_KEY=PROXY_KEY, **more)


@check
def answers():
    equal(llm("-m", "small", "Hello, café!"), "You said: Hello, café!\n")
    [call] = upstream_calls()
    true(call["headers"]["user-agent"].startswith("proxyd/"), "a translated request must go out as ours")
    equal(bodies([call])[0]["stream"], True)


@check
def answers_at_once_with_a_system_prompt():
    equal(llm("-m", "small", "--no-stream", "-s", "Be brief.", "Hello"), "You said: Hello\n")
    [body] = bodies()
    equal((body["system"], body.get("stream", False)), ([{"type": "text", "text": "Be brief."}], False))


@check
def goes_on_with_a_conversation():
    at = Home()
    llm("-m", "small", "Hello", at=at)
    equal(llm("-c", "And again", at=at), "You said: And again\n")
    equal([message["role"] for message in bodies()[0]["messages"]], ["user", "assistant", "user"])


@check
def answers_in_a_schema():
    equal(json.loads(llm("-m", "small", "--schema", "city, degrees float", "Report.")), {"city": "Paris", "degrees": 21.5})


@check
def calls_a_tool():
    out = llm("-m", "small", "--functions", WEATHER, "How is the weather?")
    true(out.endswith("The tools said: sunny in Paris\n"), f"it wrote {out!r}")
    equal(result_texts(bodies()[-1]), ["sunny in Paris"])


@check
def shows_an_image():
    at = Home()
    (at.project / "pixel.png").write_bytes(base64.b64decode(PNG))
    out = llm("-m", "small", "What is this?", "-a", "pixel.png", at=at)
    equal(out, "You said: What is this? [image image/png]\n")


@check
def thinks():
    equal(llm("-m", "large", "-o", "reasoning_effort", "low", "Hello"), "You said: Hello\n")
    equal(bodies()[0]["output_config"], {"effort": "low"})


@check
def tells_an_error():
    script_error(400, "invalid_request_error", "scripted: no such thing")
    llm("-m", "small", "Hello", code=1)


@check
def is_set_up_by_proxyctl():
    for key in ((), ("--with-key",)):
        at = Home()
        at.proxyctl("setup", "llm", "--yes", *key)
        out = at.run(INSTALLED / "llm/bin/llm", "-m", "proxyd/claude-sonnet-5-5", "Hello")
        equal(out, "You said: Hello\n")


if __name__ == "__main__":
    run("llm")
