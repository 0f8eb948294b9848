"""The official `openai` Python package against a running proxyd."""

import json

import openai
from pydantic import BaseModel

from checks import (
    PROXY_KEY, PROXY_URL, check, equal, expire_access_tokens, last_upstream_request, run, script_error,
    token_calls, true,
)

MODEL = "claude-haiku-4-5"
# One transparent pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}

client = openai.OpenAI(base_url=f"{PROXY_URL}/v1", api_key=PROXY_KEY, max_retries=0)


def user(content):
    return {"role": "user", "content": content}


def ask(content, model=MODEL, **more):
    return client.chat.completions.create(model=model, messages=[user(content)], **more)


@check
def plain():
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "system", "content": "Be brief."}, user("Hello, café!")],
        temperature=1.5,
        user="somebody@example.com",
    )
    choice = answer.choices[0]
    equal((choice.message.role, choice.message.content), ("assistant", "You said: Hello, café!"))
    equal((choice.finish_reason, answer.object), ("stop", "chat.completion"))
    usage = answer.usage
    true(usage.prompt_tokens > 0 and usage.completion_tokens > 0, "usage is missing")
    equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
    equal(last_upstream_request()["system"], [{"type": "text", "text": "Be brief."}])


@check
def streamed_with_usage():
    stream = ask("Hello, café!", stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    equal(len({chunk.id for chunk in chunks}), 1)
    pieces = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    true(len(pieces) > 1, "the text came in one piece")
    equal("".join(pieces), "You said: Hello, café!")
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    equal(reasons, ["stop"])
    equal(chunks[-1].choices, [])
    true(chunks[-1].usage.completion_tokens > 0, "usage is missing")
    true(all(chunk.usage is None for chunk in chunks[:-1]), "usage came early")


@check
def streamed_without_usage():
    true(all(chunk.usage is None for chunk in ask("Hello", stream=True)), "usage came unasked")


@check
def a_full_length_is_told():
    answer = ask("one two three four five", max_completion_tokens=3)
    equal((answer.choices[0].message.content, answer.choices[0].finish_reason), ("You said: one ", "length"))


def finish_tool_loop(question, message):
    call = message.tool_calls[0]
    equal((call.type, call.function.name, json.loads(call.function.arguments)),
          ("function", "get_weather", {"city": "Paris"}))
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    turn = message.model_dump(include={"role", "content", "tool_calls"})
    return dict(model=MODEL, tools=[WEATHER], messages=[user(question), turn, result])


@check
def tools():
    question = "How is the weather?"
    first = ask(question, tools=[WEATHER]).choices[0]
    equal(first.finish_reason, "tool_calls")
    last = client.chat.completions.create(**finish_tool_loop(question, first.message)).choices[0]
    equal((last.message.content, last.finish_reason), ("The tools said: sunny", "stop"))


@check
def streamed_tools():
    question = "How is the weather?"
    with client.chat.completions.stream(model=MODEL, messages=[user(question)], tools=[WEATHER]) as stream:
        pieces = [e for e in stream if e.type == "tool_calls.function.arguments.delta"]
        first = stream.get_final_completion().choices[0]
    true(len(pieces) > 1, "the arguments came in one piece")
    equal((first.finish_reason, first.message.tool_calls[0].id is not None), ("tool_calls", True))
    chunks = client.chat.completions.create(stream=True, **finish_tool_loop(question, first.message))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    equal(text, "The tools said: sunny")


@check
def a_named_tool_is_forced_and_several_are_called_at_once():
    clock = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}
    named = {"type": "function", "function": {"name": "get_time"}}
    forced = ask("Hello", tools=[WEATHER, clock], tool_choice=named).choices[0].message
    equal([call.function.name for call in forced.tool_calls], ["get_time"])
    both = ask("Use every tool.", tools=[WEATHER, clock]).choices[0].message
    equal([call.function.name for call in both.tool_calls], ["get_weather", "get_time"])
    one = ask("Use every tool.", tools=[WEATHER, clock], parallel_tool_calls=False).choices[0].message
    equal(len(one.tool_calls), 1)


@check
def an_image_arrives():
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    answer = ask([{"type": "text", "text": "What is this?"}, image])
    equal(answer.choices[0].message.content, "You said: What is this? [image image/png]")


class Report(BaseModel):
    city: str
    degrees: float
    sunny: bool


@check
def a_json_schema_is_parsed():
    answer = client.chat.completions.parse(model=MODEL, messages=[user("Report.")], response_format=Report)
    equal(answer.choices[0].message.parsed, Report(city="Paris", degrees=21.5, sunny=True))


@check
def reasoning_effort_reaches_the_model():
    answer = ask("Hello", model="claude-opus-4-6", reasoning_effort="low")
    equal(answer.choices[0].message.content, "You said: Hello")
    true(answer.choices[0].message.reasoning_content, "no reasoning_content")
    body = last_upstream_request()
    equal((body["thinking"]["type"], body["output_config"]), ("adaptive", {"effort": "low"}))


@check
def a_400_keeps_its_message():
    script_error(400, "invalid_request_error", "scripted: no such thing")
    try:
        ask("Hello")
    except openai.BadRequestError as error:
        true("scripted: no such thing" in error.message, f"the message is {error.message!r}")
        equal(error.type, "invalid_request_error")
    else:
        raise AssertionError("no BadRequestError")


@check
def what_cannot_be_expressed_is_a_400():
    try:
        ask("Hello", n=2)
    except openai.BadRequestError as error:
        equal(error.param, "n")
    else:
        raise AssertionError("no BadRequestError")


@check
def an_unknown_model_is_a_404():
    try:
        ask("Hello", model="claude-no-such-model")
    except openai.NotFoundError as error:
        equal(error.code, "model_not_found")
    else:
        raise AssertionError("no NotFoundError")


@check
def an_expired_token_is_refreshed_on_the_way():
    before = token_calls()
    expire_access_tokens()
    equal(ask("Hello").choices[0].message.content, "You said: Hello")
    equal(token_calls() - before, 1)


@check
def models_are_listed():
    ids = [model.id for model in client.models.list()]
    true("claude-haiku-4-5-20251001" in ids, f"the list is {ids}")
    one = client.models.retrieve("claude-haiku-4-5-20251001")
    equal((one.object, one.id), ("model", "claude-haiku-4-5-20251001"))


@check
def responses_plain():
    answer = client.responses.create(model=MODEL, instructions="Be brief.", input="Hello, café!")
    equal((answer.output_text, answer.status), ("You said: Hello, café!", "completed"))
    equal(answer.usage.total_tokens, answer.usage.input_tokens + answer.usage.output_tokens)


@check
def responses_streamed():
    events = list(client.responses.create(model=MODEL, input="Hello, café!", stream=True))
    equal([event.sequence_number for event in events], list(range(len(events))))
    equal((events[0].type, events[-1].type), ("response.created", "response.completed"))
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    true(len(pieces) > 1, "the text came in one piece")
    equal("".join(pieces), "You said: Hello, café!")
    equal(events[-1].response.output_text, "You said: Hello, café!")


@check
def a_429_keeps_retry_after_and_ends():
    script_error(429, "rate_limit_error", "scripted: too fast", retry_after="1")
    try:
        ask("Hello")
    except openai.RateLimitError as error:
        equal(error.response.headers.get("retry-after"), "1")
        true("scripted: too fast" in error.message, f"the message is {error.message!r}")
    else:
        raise AssertionError("no RateLimitError")
    patient = client.with_options(max_retries=5)
    answer = patient.chat.completions.create(model=MODEL, messages=[user("Hello")])
    equal(answer.choices[0].finish_reason, "stop")


if __name__ == "__main__":
    run("openai for Python")
