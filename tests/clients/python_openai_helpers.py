"""What the official `openai` Python package builds on top of requests: streams, parsing, tool loops, and errors."""

import asyncio
import json

import openai
from openai.lib.responses_tool_runner import RegisteredFunction, ResponsesToolRunner
from pydantic import BaseModel

from checks import MESSAGES, PROXY_KEY, PROXY_URL, check, equal, fake, last_upstream_request, run, script_error, true

SMALL = "claude-haiku-4-5"
THINKING = "claude-opus-5-5"
# Has no structured outputs of its own.
OLD = "claude-3-5-sonnet-20241022"

client = openai.OpenAI(base_url=f"{PROXY_URL}/v1", api_key=PROXY_KEY, max_retries=0)


class Report(BaseModel):
    city: str
    degrees: float
    sunny: bool


class Weather(BaseModel):
    """The weather of a city"""

    city: str


REPORT = Report(city="Paris", degrees=21.5, sunny=True)
WEATHER = openai.pydantic_function_tool(Weather, name="get_weather")
RESPONSES_WEATHER = {
    "type": "function", "name": "get_weather", "description": "The weather of a city", "strict": True,
    "parameters": WEATHER["function"]["parameters"],
}
QUESTION = "How is the weather?"


def user(content):
    return {"role": "user", "content": content}


def raises(kind, call):
    """The error of that class that the call ends with."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def thinking_blocks(body):
    contents = [message["content"] for message in body["messages"] if message["role"] == "assistant"]
    return [block for content in contents for block in content if block["type"] == "thinking"]


# --- Chat Completions


@check
def chat_stream_events():
    with client.chat.completions.stream(model=SMALL, messages=[user("Hello, café!")]) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    text = "You said: Hello, café!"
    equal("".join(e.delta for e in events if e.type == "content.delta"), text)
    equal([e.content for e in events if e.type == "content.done"], [text])
    equal((final.choices[0].message.content, final.choices[0].finish_reason), (text, "stop"))


@check
def chat_stream_with_a_parsed_answer():
    with client.chat.completions.stream(model=SMALL, messages=[user("Report.")], response_format=Report) as stream:
        done = [e.parsed for e in stream if e.type == "content.done"]
        equal(done, [REPORT])
        equal(stream.get_final_completion().choices[0].message.parsed, REPORT)


@check
def chat_parse_by_a_model_without_structured_outputs():
    ask = dict(model=OLD, messages=[user("Report.")], response_format=Report)
    choice = client.chat.completions.parse(**ask).choices[0]
    equal((choice.message.parsed, choice.finish_reason), (REPORT, "stop"))
    with client.chat.completions.stream(**ask) as stream:
        equal([e.parsed for e in stream if e.type == "content.done"], [REPORT])


@check
def chat_stream_with_parsed_arguments():
    with client.chat.completions.stream(model=SMALL, messages=[user(QUESTION)], tools=[WEATHER]) as stream:
        done = [e.parsed_arguments for e in stream if e.type == "tool_calls.function.arguments.done"]
        equal(done, [Weather(city="Paris")])


@check
def chat_parse_with_tools_and_a_schema():
    answer = client.chat.completions.parse(model=SMALL, messages=[user(QUESTION)], tools=[WEATHER], response_format=Report)
    [call] = answer.choices[0].message.tool_calls
    equal(call.function.parsed_arguments, Weather(city="Paris"))


@check
def more_strict_tools_than_upstream_binds():
    # What is strict for OpenAI is bound upstream, too, as far as its bounds for one request go.
    tools = [openai.pydantic_function_tool(Weather, name=f"tool_{index}") for index in range(25)]
    raw = client.chat.completions.with_raw_response.create(model=SMALL, messages=[user("Use every tool.")], tools=tools)
    equal(len(raw.parse().choices[0].message.tool_calls), 25)
    equal(raw.headers["x-proxyd-dropped-fields"], "tools[].function.strict")
    equal(sum(tool.get("strict", False) for tool in last_upstream_request()["tools"]), 20)


@check
def chat_parse_tells_what_cannot_be_parsed():
    fake("POST", "/fake/script", {"path": MESSAGES, "patch": {
        "stop_reason": "max_tokens", "content": [{"type": "text", "text": '{"city":"Par'}],
    }})
    cut = raises(openai.LengthFinishReasonError, lambda: client.chat.completions.parse(
        model=SMALL, messages=[user("Report.")], max_tokens=4, response_format=Report))
    equal(cut.completion.choices[0].finish_reason, "length")
    raises(openai.ContentFilterFinishReasonError, lambda: client.chat.completions.parse(
        model=SMALL, messages=[user("Say the forbidden word.")], response_format=Report))


@check
def chat_tool_loop():
    messages, steps = [user(QUESTION)], 0
    while True:
        answer = client.chat.completions.create(model=SMALL, messages=messages, tools=[WEATHER])
        message = answer.choices[0].message
        # As the package's documentation does it: the message itself goes back.
        messages.append(message)
        steps += 1
        if not message.tool_calls:
            break
        for call in message.tool_calls:
            city = json.loads(call.function.arguments)["city"]
            messages.append({"role": "tool", "tool_call_id": call.id, "content": f"sunny in {city}"})
    equal((steps, message.content), (2, "The tools said: sunny in Paris"))


@check
def chat_tool_loop_keeps_the_reasoning():
    options = dict(model=THINKING, tools=[WEATHER], reasoning_effort="high")
    message = client.chat.completions.create(messages=[user(QUESTION)], **options).choices[0].message
    true(message.reasoning_content and message.thinking_blocks, "no reasoning")
    [call] = message.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    turns = [user(QUESTION), message, result]
    last = client.chat.completions.create(messages=turns, **options).choices[0].message
    equal(last.content, "The tools said: sunny")
    # The fake refuses a thinking block whose text or signature was touched on the way.
    equal([block["signature"] for block in thinking_blocks(last_upstream_request())],
          [message.thinking_blocks[0]["signature"]])


@check
def chat_stream_tool_loop_keeps_the_reasoning():
    options = dict(model=THINKING, tools=[WEATHER], reasoning_effort="high")
    with client.chat.completions.stream(messages=[user(QUESTION)], **options) as stream:
        message = stream.get_final_completion().choices[0].message
    [call] = message.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    client.chat.completions.create(messages=[user(QUESTION), message, result], **options)
    equal([block["signature"] for block in thinking_blocks(last_upstream_request())],
          [message.thinking_blocks[0]["signature"]])


@check
def chat_custom_tool_loop():
    tools = [{"type": "custom", "custom": {"name": "ask", "description": "Asks in words"}}]
    message = client.chat.completions.create(model=SMALL, messages=[user(QUESTION)], tools=tools).choices[0].message
    [call] = message.tool_calls
    equal((call.type, call.custom.name, call.custom.input), ("custom", "ask", "Paris"))
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    last = client.chat.completions.create(model=SMALL, messages=[user(QUESTION), message, result], tools=tools)
    equal(last.choices[0].message.content, "The tools said: sunny")


@check
def chat_sources_of_a_web_search():
    answer = client.chat.completions.create(model=SMALL, messages=[user("Please search the web.")], web_search_options={})
    message = answer.choices[0].message
    [cited] = [annotation.url_citation for annotation in message.annotations]
    equal((cited.url, cited.title), ("https://example.com/weather", "The weather"))
    equal(message.content[cited.start_index:cited.end_index], "The web says: sunny. ")
    with client.chat.completions.stream(
        model=SMALL, messages=[user("Please search the web.")], web_search_options={}) as stream:
        streamed = stream.get_final_completion().choices[0].message
    equal((streamed.content, streamed.annotations), (message.content, message.annotations))


@check
def chat_documents_and_images():
    pdf = {"type": "file", "file": {"filename": "note.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}}
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/picture.png"}}
    answer = client.chat.completions.create(
        model=SMALL, messages=[user([{"type": "text", "text": "See:"}, pdf, picture])])
    equal(answer.choices[0].message.content,
          "You said: See: [document note.pdf] [image https://example.com/picture.png]")


@check
def chat_without_waiting():
    async def ask():
        async with openai.AsyncOpenAI(base_url=f"{PROXY_URL}/v1", api_key=PROXY_KEY, max_retries=0) as waiting:
            async with waiting.chat.completions.stream(model=SMALL, messages=[user("Hello")]) as stream:
                return await stream.get_final_completion()

    equal(asyncio.run(ask()).choices[0].message.content, "You said: Hello")


# --- Responses


@check
def responses_stream_events():
    with client.responses.stream(model=SMALL, input="Hello, café!") as stream:
        events = list(stream)
        final = stream.get_final_response()
    text = "You said: Hello, café!"
    equal("".join(e.delta for e in events if e.type == "response.output_text.delta"), text)
    equal((final.output_text, final.status), (text, "completed"))


@check
def responses_stream_with_a_parsed_answer():
    with client.responses.stream(model=SMALL, input="Report.", text_format=Report) as stream:
        for _ in stream:
            pass
        equal(stream.get_final_response().output_parsed, REPORT)


@check
def responses_parse():
    equal(client.responses.parse(model=SMALL, input="Report.", text_format=Report).output_parsed, REPORT)
    tool = openai.pydantic_function_tool(Weather, name="get_weather")
    answer = client.responses.parse(
        model=SMALL, input=QUESTION, tools=[{"type": "function", **tool["function"]}], text_format=Report)
    equal(answer.output[-1].arguments, '{"city":"Paris"}')


@check
def responses_parse_by_a_model_without_structured_outputs():
    equal(client.responses.parse(model=OLD, input="Report.", text_format=Report).output_parsed, REPORT)
    with client.responses.stream(model=OLD, input="Report.", text_format=Report) as stream:
        equal(stream.get_final_response().output_parsed, REPORT)


@check
def responses_tool_loop():
    items, steps = [user(QUESTION)], 0
    while True:
        answer = client.responses.create(model=SMALL, input=items, tools=[RESPONSES_WEATHER], store=False)
        items += answer.output
        steps += 1
        calls = [item for item in answer.output if item.type == "function_call"]
        if not calls:
            break
        for call in calls:
            city = json.loads(call.arguments)["city"]
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": f"sunny in {city}"})
    equal((steps, answer.output_text), (2, "The tools said: sunny in Paris"))


@check
def responses_tool_runner():
    asked = []

    def get_weather(arguments):
        asked.append(arguments["city"])
        return "sunny"

    runner = ResponsesToolRunner(functions=[RegisteredFunction(RESPONSES_WEATHER, get_weather)])
    for stream in (False, True):
        answer = runner.run(client, {"model": SMALL, "input": QUESTION, "store": False}, stream=stream)
        equal(answer.output_text, "The tools said: sunny")
    equal(asked, ["Paris", "Paris"])


@check
def responses_tool_runner_keeps_the_reasoning():
    runner = ResponsesToolRunner(functions=[RegisteredFunction(RESPONSES_WEATHER, lambda _: "sunny")])
    answer = runner.run(client, {
        "model": THINKING, "input": QUESTION, "store": False, "reasoning": {"effort": "high", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    }, stream=True)
    equal(answer.output_text, "The tools said: sunny")
    equal(len(thinking_blocks(last_upstream_request())), 1)


@check
def responses_reasoning_goes_back_encrypted():
    options = dict(model=THINKING, reasoning={"effort": "low", "summary": "auto"}, store=False,
                   include=["reasoning.encrypted_content"], tools=[RESPONSES_WEATHER])
    first = client.responses.create(input=QUESTION, **options)
    equal([item.type for item in first.output], ["reasoning", "message", "function_call"])
    result = {"type": "function_call_output", "call_id": first.output[-1].call_id, "output": "sunny"}
    last = client.responses.create(input=[user(QUESTION), *first.output, result], **options)
    equal(last.output_text, "The tools said: sunny")
    equal(len(thinking_blocks(last_upstream_request())), 1)
    # The same without a summary, which the signature does not need.
    options["reasoning"] = {"effort": "low"}
    first = client.responses.create(input=QUESTION, **options)
    equal(first.output[0].summary, [])
    result["call_id"] = first.output[-1].call_id
    client.responses.create(input=[user(QUESTION), *first.output, result], **options)
    equal(len(thinking_blocks(last_upstream_request())), 1)


@check
def responses_custom_tool_loop():
    tools = [{"type": "custom", "name": "ask", "description": "Asks in words"}]
    first = client.responses.create(model=SMALL, input=QUESTION, tools=tools, store=False)
    call = first.output[-1]
    equal((call.type, call.name, call.input), ("custom_tool_call", "ask", "Paris"))
    result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "sunny"}
    last = client.responses.create(model=SMALL, input=[user(QUESTION), *first.output, result], tools=tools, store=False)
    equal(last.output_text, "The tools said: sunny")


@check
def responses_web_search_goes_back():
    question = "Please search the web."
    first = client.responses.create(model=SMALL, input=question, tools=[{"type": "web_search"}], store=False)
    equal([item.type for item in first.output], ["web_search_call", "message"])
    [cited] = first.output[1].content[0].annotations
    equal(first.output_text[cited.start_index:cited.end_index], "The web says: sunny. ")
    last = client.responses.create(
        model=SMALL, input=[user(question), *first.output, user("And?")], tools=[{"type": "web_search"}], store=False)
    equal(last.output_text, "You said: And?")


@check
def responses_documents_and_images():
    pdf = {"type": "input_file", "filename": "note.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}
    picture = {"type": "input_image", "image_url": "https://example.com/picture.png", "detail": "auto"}
    answer = client.responses.create(model=SMALL, input=[user([{"type": "input_text", "text": "See:"}, pdf, picture])])
    equal(answer.output_text, "You said: See: [document note.pdf] [image https://example.com/picture.png]")


@check
def responses_tool_runner_over_stored_responses():
    runner = ResponsesToolRunner(functions=[RegisteredFunction(RESPONSES_WEATHER, lambda _: "sunny")])
    answer = runner.run(client, {"model": THINKING, "input": QUESTION}, stream=True)
    equal(answer.output_text, "The tools said: sunny")


# --- Legacy completions


@check
def completions():
    answer = client.completions.create(model=SMALL, prompt="Hello", max_tokens=100)
    equal((answer.object, answer.choices[0].text, answer.choices[0].finish_reason),
          ("text_completion", "You said: Hello", "stop"))
    pieces = list(client.completions.create(model=SMALL, prompt="Hello", max_tokens=100, stream=True))
    equal("".join(piece.choices[0].text for piece in pieces if piece.choices), "You said: Hello")


# --- headers and errors


@check
def the_request_id_is_told():
    raw = client.chat.completions.with_raw_response.create(model=SMALL, messages=[user("Hello")])
    true(raw.headers["x-request-id"], "no x-request-id")
    true(raw.headers["content-type"].startswith("application/json"), f"{raw.headers}")
    equal(raw.parse()._request_id, raw.headers["x-request-id"])
    raw = client.responses.with_raw_response.create(model=SMALL, input="Hello")
    equal(raw.parse()._request_id, raw.headers["x-request-id"])


@check
def dropped_fields_are_named_and_with_strict_refused():
    for create, field in (
        (lambda **more: client.chat.completions.with_raw_response.create(
            model=SMALL, messages=[user("Hello")], seed=1, **more), "seed"),
        (lambda **more: client.responses.with_raw_response.create(
            model=SMALL, input="Hello", text={"verbosity": "low"}, **more), "text.verbosity"),
    ):
        equal(create().headers["x-proxyd-dropped-fields"], field)
        error = raises(openai.BadRequestError, lambda: create(extra_headers={"x-proxyd-strict": "true"}))
        equal(error.param, field)


def chat(**more):
    return client.chat.completions.create(**({"model": SMALL, "messages": [user("Hello")]} | more))


def respond(**more):
    return client.responses.create(**({"model": SMALL, "input": "Hello"} | more))


@check
def errors_are_the_packages_own():
    for status, kind, expected in (
        (400, "invalid_request_error", openai.BadRequestError),
        (404, "not_found_error", openai.NotFoundError),
        (413, "request_too_large", openai.APIStatusError),
        (429, "rate_limit_error", openai.RateLimitError),
        (500, "api_error", openai.InternalServerError),
        (529, "overloaded_error", openai.InternalServerError),
    ):
        for ask in (chat, respond):
            for stream in (False, True):
                script_error(status, kind, "scripted: no such thing", always=True)
                error = raises(expected, lambda: ask(stream=stream))
                fake("DELETE", "/fake/script")
                true("scripted: no such thing" in error.message, f"{status} says {error.message!r}")
                equal(set(error.body), {"message", "type", "param", "code"})


@check
def a_mistake_names_its_field():
    image = {"type": "image_url", "image_url": {"url": "data:image/bmp;base64,AAAA"}}
    result = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}
    for param, more in (
        ("n", {"n": 2}),
        ("messages[0].content[0].image_url.url", {"messages": [user([image])]}),
        ("messages[0].role", {"messages": [{"role": "narrator", "content": "Hello"}]}),
        ("messages[1].tool_call_id", {"messages": [user("Hello"), result]}),
        ("reasoning_effort", {"reasoning_effort": "extreme"}),
        ("tools[0].type", {"tools": [{"type": "telepathy"}]}),
    ):
        equal(raises(openai.BadRequestError, lambda: chat(**more)).param, param)
    for param, more in (
        ("tools[0].type", {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}),
        ("reasoning.effort", {"reasoning": {"effort": "extreme"}}),
        ("background", {"background": True}),
        ("text.format.type", {"text": {"format": {"type": "poem"}}}),
    ):
        equal(raises(openai.BadRequestError, lambda: respond(**more)).param, param)


def script_broken_stream(last):
    """The next answer begins well and then ends with this event, or with none."""
    start = {"type": "message_start", "message": {
        "id": "msg_FAKEbroken", "type": "message", "role": "assistant", "model": SMALL, "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 1},
    }}
    text = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Half an ans"}}
    events = [event for event in (start, text, last) if event]
    fake("POST", "/fake/script", {
        "path": MESSAGES, "chunks": [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events],
    })


@check
def a_stream_that_breaks_is_an_error():
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "scripted: too much"}}
    for last, words in ((overloaded, "scripted: too much"), (None, "upstream")):
        script_broken_stream(last)
        error = raises(openai.APIError, lambda: list(chat(stream=True)))
        true(words in error.message, f"it says {error.message!r}")
        script_broken_stream(last)
        failed = list(respond(stream=True))[-1]
        equal((failed.type, failed.response.status), ("response.failed", "failed"))
        true(words in failed.response.error.message, f"it says {failed.response.error.message!r}")


if __name__ == "__main__":
    run("helpers of openai for Python")
