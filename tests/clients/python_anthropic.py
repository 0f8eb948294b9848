"""The official `anthropic` Python package against a running proxyd."""

from concurrent.futures import ThreadPoolExecutor

import anthropic

from checks import (
    PROXY_KEY, PROXY_URL, check, equal, expire_access_tokens, run, script_error, token_calls, true,
)

MODEL = "claude-haiku-4-5"
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}

client = anthropic.Anthropic(base_url=PROXY_URL, api_key=PROXY_KEY, max_retries=0)


def user(content):
    return {"role": "user", "content": content}


def ask(text, **more):
    return client.messages.create(model=MODEL, max_tokens=100, messages=[user(text)], **more)


@check
def plain():
    message = ask("Hello, café!")
    equal([(b.type, b.text) for b in message.content], [("text", "You said: Hello, café!")])
    equal(message.stop_reason, "end_turn")
    true(message.usage.input_tokens > 0 and message.usage.output_tokens > 0, "usage is missing")
    true(message._request_id, "the request id is lost")


@check
def streamed():
    with client.messages.stream(model=MODEL, max_tokens=100, messages=[user("Hello, café!")]) as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()
    true(len(pieces) > 1, "the text came in one piece")
    equal("".join(pieces), "You said: Hello, café!")
    equal(message.stop_reason, "end_turn")
    true(message.usage.output_tokens > 0, "usage is missing")


def finish_tool_loop(question, first):
    equal(first.stop_reason, "tool_use")
    call = next(block for block in first.content if block.type == "tool_use")
    equal((call.name, call.input), ("get_weather", {"city": "Paris"}))
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    turns = [user(question), {"role": "assistant", "content": first.content}, user([result])]
    return dict(model=MODEL, max_tokens=100, tools=[WEATHER], messages=turns)


@check
def tools():
    question = "How is the weather?"
    last = client.messages.create(**finish_tool_loop(question, ask(question, tools=[WEATHER])))
    equal(last.content[0].text, "The tools said: sunny")


@check
def streamed_tools():
    question = "How is the weather?"
    with client.messages.stream(
        model=MODEL, max_tokens=100, tools=[WEATHER], messages=[user(question)]
    ) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
        first = stream.get_final_message()
    true(len(pieces) > 1, "the arguments came in one piece")
    with client.messages.stream(**finish_tool_loop(question, first)) as stream:
        equal("".join(stream.text_stream), "The tools said: sunny")


@check
def thinking_and_its_replay():
    options = dict(model=MODEL, max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 1024})
    with client.messages.stream(messages=[user("Hello")], **options) as stream:
        first = stream.get_final_message()
    equal([block.type for block in first.content], ["thinking", "text"])
    turns = [user("Hello"), {"role": "assistant", "content": first.content}, user("And?")]
    # The fake refuses a thinking block whose text or signature was touched on the way.
    equal(client.messages.create(messages=turns, **options).content[1].text, "You said: And?")


@check
def a_400_keeps_its_message():
    script_error(400, "invalid_request_error", "scripted: no such thing")
    try:
        ask("Hello")
    except anthropic.BadRequestError as error:
        equal(error.body["error"]["message"], "scripted: no such thing")
        equal(error.body["error"]["type"], "invalid_request_error")
    else:
        raise AssertionError("no BadRequestError")


@check
def the_upstreams_own_400_comes_through():
    try:
        ask("Hello", extra_body={"no_such_field": 1})
    except anthropic.BadRequestError as error:
        equal(error.body["error"]["message"], "no_such_field: Extra inputs are not permitted")
    else:
        raise AssertionError("no BadRequestError")


@check
def an_expired_token_is_refreshed_once_for_many_requests():
    before = token_calls()
    expire_access_tokens()
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda n: ask(f"number {n}").content[0].text, range(10)))
    equal(answers, [f"You said: number {n}" for n in range(10)])
    equal(token_calls() - before, 1)


@check
def models_are_listed_over_pages():
    models = list(client.models.list(limit=5))
    ids = [model.id for model in models]
    true("claude-haiku-4-5-20251001" in ids and len(ids) > 5, f"the list is {ids}")
    equal(len(set(ids)), len(ids))
    one = client.models.retrieve("claude-opus-4-6")
    equal((one.type, one.capabilities.thinking.types.adaptive.supported), ("model", True))


@check
def tokens_are_counted():
    true(client.messages.count_tokens(model=MODEL, messages=[user("Hello")]).input_tokens > 0, "no tokens")


@check
def a_429_keeps_retry_after_and_ends():
    script_error(429, "rate_limit_error", "scripted: too fast", retry_after="1")
    try:
        ask("Hello")
    except anthropic.RateLimitError as error:
        equal(error.response.headers.get("retry-after"), "1")
        true("scripted: too fast" in error.message, f"the message is {error.message!r}")
    else:
        raise AssertionError("no RateLimitError")
    patient = client.with_options(max_retries=5)
    equal(patient.messages.create(model=MODEL, max_tokens=100, messages=[user("Hello")]).stop_reason, "end_turn")


if __name__ == "__main__":
    run("anthropic for Python")
