"""Everything proxyd answers on its OpenAI side, held strictly against the types of the official `openai` Python package.

The package builds its objects without checking them, so a missing field or a wrong type would show in a program, not in
the other checks. Here each answer, chunk and event is validated, and no field may be there that the package does not know,
but for the extensions named below.
"""

import json
import typing
import urllib.error
import urllib.request

from openai.types import Completion, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import InputTokenCountResponse, Response, ResponseItemList, ResponseStreamEvent
from openai.types.shared import ErrorObject
from pydantic import BaseModel, TypeAdapter

from checks import MESSAGES, PROXY_KEY, PROXY_URL, check, equal, fake, run, script_error, true

SMALL = "claude-haiku-4-5"
THINKING = "claude-opus-5-5"
PARAMETERS = {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False,
}
SCHEMA = {
    "type": "object", "properties": {"city": {"type": "string"}, "sunny": {"type": "boolean"}},
    "required": ["city", "sunny"], "additionalProperties": False,
}

# Reasoning in Chat Completions, which OpenAI's own API does not have but many programs know; and what OpenAI's API sends
# without having told its package: custom tools and cited sources in streams, whether a response is stored, and the status
# of a call of a custom tool, which the package has for items that are fetched.
EXTENSIONS = {
    "Response": {"store"},
    "ResponseCustomToolCall": {"status"},
    "ChatCompletionMessage": {"reasoning_content", "thinking_blocks"},
    "ChoiceDelta": {"reasoning_content", "thinking_blocks", "annotations"},
    "ChoiceDeltaToolCall": {"custom"},
}

EVENTS = {
    typing.get_args(event.model_fields["type"].annotation)[0]: event
    for event in typing.get_args(typing.get_args(ResponseStreamEvent)[0])
}


def post(path, body):
    return call("POST", path, json.dumps(body).encode())


def call(method, path, body=None):
    headers = {"content-type": "application/json", "authorization": f"Bearer {PROXY_KEY}"}
    request = urllib.request.Request(f"{PROXY_URL}{path}", body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def frames(text):
    """The events of a stream as (event, data); comments are none."""
    for frame in text.split("\n\n"):
        lines = [line for line in frame.split("\n") if line and not line.startswith(":")]
        if lines:
            fields = dict(line.split(": ", 1) for line in lines)
            yield fields.get("event"), fields["data"]


def strict(model, raw):
    """Validates JSON text with nothing converted, and refuses fields the type does not have."""
    valid = TypeAdapter(model).validate_json(raw, strict=True)
    unknown(valid, type(valid).__name__)
    return valid


def unknown(value, at):
    if isinstance(value, BaseModel):
        extra = set(value.model_extra or {}) - EXTENSIONS.get(type(value).__name__, set())
        true(not extra, f"{at} has the unknown fields {sorted(extra)}")
        for name in type(value).model_fields:
            unknown(getattr(value, name), f"{at}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            unknown(item, f"{at}[{index}]")


# --- one question each, in both dialects: what is asked, and what shows that the case was met


def chat(body):
    """A whole completion and the chunks of the same question, all validated."""
    status, text = post("/v1/chat/completions", body)
    true(status == 200, f"{status}: {text}")
    whole = strict(ChatCompletion, text)
    status, text = post("/v1/chat/completions", body | {"stream": True, "stream_options": {"include_usage": True}})
    true(status == 200, f"{status}: {text}")
    *data, done = [data for _, data in frames(text)]
    equal(done, "[DONE]")
    chunks = [chunk_of(data) for data in data]
    equal(chunks[-1].choices, [])
    same = lambda usage: usage.model_dump(exclude={"prompt_tokens", "total_tokens"})
    equal(same(chunks[-1].usage), same(whole.usage))
    reasons = [c.choices[0].finish_reason for c in chunks[:-1] if c.choices[0].finish_reason]
    equal(reasons, [whole.choices[0].finish_reason])
    pieces = [c.choices[0].delta.content or "" for c in chunks[:-1]]
    equal("".join(pieces), whole.choices[0].message.content or "")
    return whole.choices[0], [c.choices[0].delta for c in chunks[:-1]]


def chunk_of(data):
    raw = json.loads(data)
    for choice in raw["choices"]:
        for call in choice["delta"].get("tool_calls", []):
            # The type has no custom tools, though the API streams them.
            if call.get("type") == "custom":
                call["type"] = "function"
    return strict(ChatCompletionChunk, json.dumps(raw))


def responses(body):
    """A whole response and the events of the same question, all validated; their outputs agree but for ids."""
    status, text = post("/v1/responses", body)
    true(status == 200, f"{status}: {text}")
    whole = strict(Response, text)
    events = response_events(body)
    last = events[-1]
    equal(last.type, f"response.{whole.status}")
    equal(without_ids(last.response.output), without_ids(whole.output))
    done = [event.item for event in events if event.type == "response.output_item.done"]
    equal([item.id for item in done], [item.id for item in last.response.output])
    return whole, events


def response_events(body):
    status, text = post("/v1/responses", body | {"stream": True})
    true(status == 200, f"{status}: {text}")
    events = []
    for name, data in frames(text):
        kind = json.loads(data)["type"]
        equal(name, kind)
        events.append(strict(EVENTS[kind], data))
    equal([event.sequence_number for event in events], list(range(len(events))))
    equal([event.type for event in events[:2]], ["response.created", "response.in_progress"])
    return events


def without_ids(output):
    return [item.model_dump(exclude={"id": True, "call_id": True}) for item in output]


def user(content):
    return {"role": "user", "content": content}


def kinds(events):
    return {event.type for event in events}


def function(strictly=False):
    return {"name": "get_weather", "description": "The weather", "parameters": PARAMETERS, "strict": strictly}


@check
def plain():
    choice, _ = chat({"model": SMALL, "messages": [user("Hello")]})
    equal((choice.message.content, choice.finish_reason), ("You said: Hello", "stop"))
    whole, _ = responses({"model": SMALL, "input": "Hello"})
    equal((whole.output_text, whole.status), ("You said: Hello", "completed"))


@check
def everything_the_response_repeats():
    whole, _ = responses({
        "model": SMALL, "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}],
        "instructions": "Be brief.", "temperature": 0.5, "max_output_tokens": 1000, "metadata": {"a": "b"},
        "parallel_tool_calls": False, "tools": [{"type": "function", **function(True)}], "tool_choice": "auto",
        "text": {"format": {"type": "json_schema", "name": "report", "schema": SCHEMA, "strict": True}},
        "truncation": "disabled", "user": "somebody", "store": False, "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "key", "safety_identifier": "id", "service_tier": "auto",
    })
    equal((whole.instructions, whole.temperature, whole.max_output_tokens), ("Be brief.", 0.5, 1000))
    equal((whole.metadata, whole.parallel_tool_calls, whole.text.format.name), ({"a": "b"}, False, "report"))


@check
def function_tools():
    choice, deltas = chat({
        "model": SMALL, "messages": [user("How is the weather?")], "tools": [{"type": "function", "function": function()}],
    })
    equal((choice.finish_reason, choice.message.tool_calls[0].function.arguments), ("tool_calls", '{"city":"Paris"}'))
    calls = [call for delta in deltas for call in delta.tool_calls or []]
    equal("".join(call.function.arguments for call in calls), '{"city":"Paris"}')
    whole, events = responses({
        "model": SMALL, "input": "How is the weather?", "tools": [{"type": "function", **function()}],
    })
    equal([item.type for item in whole.output], ["message", "function_call"])
    true("response.function_call_arguments.done" in kinds(events), f"the events are {kinds(events)}")


@check
def several_calls_at_once():
    other = function() | {"name": "get_time"}
    choice, _ = chat({
        "model": SMALL, "messages": [user("Use every tool.")],
        "tools": [{"type": "function", "function": function()}, {"type": "function", "function": other}],
    })
    equal(len(choice.message.tool_calls), 2)
    whole, _ = responses({
        "model": SMALL, "input": "Use every tool.",
        "tools": [{"type": "function", **function()}, {"type": "function", **other}],
    })
    equal([item.type for item in whole.output], ["message", "function_call", "function_call"])


@check
def custom_tools():
    choice, deltas = chat({
        "model": SMALL, "messages": [user("How is the weather?")],
        "tools": [{"type": "custom", "custom": {"name": "ask", "description": "Asks in words"}}],
    })
    equal((choice.message.tool_calls[0].type, choice.message.tool_calls[0].custom.input), ("custom", "Paris"))
    equal("".join(c.custom["input"] for d in deltas for c in d.tool_calls or []), "Paris")
    whole, events = responses({
        "model": SMALL, "input": "How is the weather?",
        "tools": [{"type": "custom", "name": "ask", "description": "Asks in words"}],
    })
    equal([item.type for item in whole.output], ["message", "custom_tool_call"])
    true("response.custom_tool_call_input.done" in kinds(events), f"the events are {kinds(events)}")


@check
def every_choice_among_tools():
    tool, other = function(), function() | {"name": "get_time"}
    for choice in (
        "required", {"type": "function", "function": {"name": "get_time"}},
        {"type": "allowed_tools", "allowed_tools": {
            "mode": "required", "tools": [{"type": "function", "function": {"name": "get_time"}}]}},
    ):
        made, _ = chat({
            "model": SMALL, "messages": [user("Hello")], "tool_choice": choice,
            "tools": [{"type": "function", "function": tool}, {"type": "function", "function": other}],
        })
        equal((made.finish_reason, len(made.message.tool_calls)), ("tool_calls", 1))
    search = {
        "type": "web_search", "filters": {"allowed_domains": ["example.com"]},
        "user_location": {"type": "approximate", "country": "FR"}, "search_context_size": "low",
    }
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: /a+/"}
    for choice in (
        "none", "required", {"type": "function", "name": "get_time"}, {"type": "custom", "name": "ask"},
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "get_time"}]},
    ):
        whole, _ = responses({
            "model": SMALL, "input": "Hello", "tool_choice": choice,
            "tools": [{"type": "function", **tool}, {"type": "function", **other}, search,
                      {"type": "custom", "name": "ask", "format": grammar}],
        })
        calls = [item for item in whole.output if item.type != "message"]
        equal(len(calls), 0 if choice == "none" else 1)


@check
def tools_in_a_namespace():
    group = {"type": "namespace", "name": "group", "description": "Some tools", "tools": [{"type": "function", **function()}]}
    whole, _ = responses({"model": SMALL, "input": "How is the weather?", "tools": [group]})
    call = whole.output[-1]
    equal((call.type, call.name, call.namespace), ("function_call", "get_weather", "group"))


@check
def legacy_functions():
    choice, deltas = chat({"model": SMALL, "messages": [user("How is the weather?")], "functions": [
        {"name": "get_weather", "parameters": PARAMETERS},
    ]})
    equal((choice.finish_reason, choice.message.function_call.arguments), ("function_call", '{"city":"Paris"}'))
    pieces = [delta.function_call.arguments or "" for delta in deltas if delta.function_call]
    equal("".join(pieces), '{"city":"Paris"}')


@check
def reasoning():
    choice, deltas = chat({"model": THINKING, "messages": [user("Hello")], "reasoning_effort": "low"})
    true(choice.message.reasoning_content, "no reasoning_content")
    pieces = [getattr(delta, "reasoning_content", None) or "" for delta in deltas]
    equal("".join(pieces), choice.message.reasoning_content)
    whole, events = responses({
        "model": THINKING, "input": "Hello", "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    })
    equal([item.type for item in whole.output], ["reasoning", "message"])
    true(whole.output[0].encrypted_content, "no encrypted content")
    true("response.reasoning_summary_text.delta" in kinds(events), f"the events are {kinds(events)}")


@check
def reasoning_that_is_not_shown():
    whole, events = responses({
        "model": THINKING, "input": "Hello", "reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"],
    })
    equal([item.type for item in whole.output], ["reasoning", "message"])
    equal(whole.output[0].summary, [])
    true("response.reasoning_summary_text.delta" not in kinds(events), f"the events are {kinds(events)}")


@check
def reasoning_that_upstream_hides():
    for _ in range(2):
        fake("POST", "/fake/script", {"path": MESSAGES, "patch": {"content": [
            {"type": "redacted_thinking", "data": "FAKEhidden"}, {"type": "text", "text": "Hello"},
        ]}})
    _, text = post("/v1/chat/completions", {"model": THINKING, "messages": [user("Hello")], "reasoning_effort": "low"})
    message = strict(ChatCompletion, text).choices[0].message
    equal(message.thinking_blocks, [{"type": "redacted_thinking", "data": "FAKEhidden"}])
    _, text = post("/v1/responses", {"model": THINKING, "input": "Hello", "reasoning": {"effort": "low"}})
    output = strict(Response, text).output
    equal([item.type for item in output], ["reasoning", "message"])
    equal((output[0].summary, bool(output[0].encrypted_content)), ([], True))


@check
def a_web_search_and_its_sources():
    choice, deltas = chat({"model": SMALL, "messages": [user("Please search the web.")], "web_search_options": {}})
    [annotation] = choice.message.annotations
    equal(annotation.url_citation.url, "https://example.com/weather")
    cited = [note for delta in deltas for note in getattr(delta, "annotations", None) or []]
    equal([note["url_citation"]["url"] for note in cited], [annotation.url_citation.url])
    whole, events = responses({"model": SMALL, "input": "Please search the web.", "tools": [{"type": "web_search"}]})
    equal([item.type for item in whole.output], ["web_search_call", "message"])
    [annotation] = whole.output[1].content[0].annotations
    equal(annotation.url, "https://example.com/weather")
    wanted = {
        "response.web_search_call.in_progress", "response.web_search_call.searching", "response.web_search_call.completed",
        "response.output_text.annotation.added",
    }
    true(wanted <= kinds(events), f"missing: {wanted - kinds(events)}")


@check
def a_refusal():
    choice, _ = chat({"model": SMALL, "messages": [user("Say the forbidden word.")]})
    equal((choice.finish_reason, choice.message.refusal), ("content_filter", "The fake does not talk about this."))
    whole, events = responses({"model": SMALL, "input": "Say the forbidden word."})
    equal((whole.status, whole.incomplete_details.reason), ("incomplete", "content_filter"))
    equal(whole.output[0].content[0].refusal, "The fake does not talk about this.")
    true({"response.refusal.delta", "response.refusal.done"} <= kinds(events), f"the events are {kinds(events)}")


@check
def an_answer_that_is_cut():
    choice, _ = chat({"model": SMALL, "messages": [user("one two three four five")], "max_tokens": 3})
    equal(choice.finish_reason, "length")
    whole, _ = responses({"model": SMALL, "input": "one two three four five", "max_output_tokens": 3})
    equal((whole.status, whole.incomplete_details.reason), ("incomplete", "max_output_tokens"))


@check
def structured_output():
    choice, _ = chat({"model": SMALL, "messages": [user("Report.")], "response_format": {
        "type": "json_schema", "json_schema": {"name": "report", "schema": SCHEMA, "strict": True},
    }})
    equal(json.loads(choice.message.content), {"city": "Paris", "sunny": True})
    whole, _ = responses({"model": SMALL, "input": "Report.", "text": {
        "format": {"type": "json_schema", "name": "report", "schema": SCHEMA, "strict": True},
    }})
    equal(json.loads(whole.output_text), {"city": "Paris", "sunny": True})


@check
def an_empty_answer():
    for _ in range(2):
        fake("POST", "/fake/script", {"path": MESSAGES, "patch": {"content": []}})
    choice = strict(ChatCompletion, post("/v1/chat/completions", {"model": SMALL, "messages": [user("Hello")]})[1]).choices[0]
    equal((choice.message.content, choice.finish_reason), ("", "stop"))
    whole = strict(Response, post("/v1/responses", {"model": SMALL, "input": "Hello"})[1])
    equal((whole.status, whole.output), ("completed", []))


@check
def an_error_before_the_stream():
    for path, body in (
        ("/v1/chat/completions", {"model": SMALL, "messages": [user("Hello")]}),
        ("/v1/responses", {"model": SMALL, "input": "Hello"}),
    ):
        for more in ({}, {"stream": True}):
            script_error(400, "invalid_request_error", "scripted: no such thing")
            status, text = post(path, body | more)
            error = strict(ErrorObject, json.dumps(json.loads(text)["error"]))
            equal((status, error.type, error.message), (400, "invalid_request_error", "scripted: no such thing"))
        status, text = post(path, body | {"temperature": "hot"})
        error = strict(ErrorObject, json.dumps(json.loads(text)["error"]))
        equal((status, error.type, error.param), (400, "invalid_request_error", "temperature"))


def script_broken_stream():
    start = {"type": "message_start", "message": {
        "id": "msg_FAKEbroken", "type": "message", "role": "assistant", "model": SMALL, "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 1},
    }}
    text = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Half an ans"}}
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "scripted: too much"}}
    chunks = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in (start, text, error)]
    fake("POST", "/fake/script", {"path": MESSAGES, "chunks": chunks})


@check
def an_error_within_the_stream():
    script_broken_stream()
    _, text = post("/v1/chat/completions", {"model": SMALL, "messages": [user("Hello")], "stream": True})
    *chunks, last = [data for _, data in frames(text)]
    for chunk in chunks:
        chunk_of(chunk)
    error = strict(ErrorObject, json.dumps(json.loads(last)["error"]))
    equal(error.message, "scripted: too much")
    script_broken_stream()
    events = response_events({"model": SMALL, "input": "Hello"})
    equal((events[-1].type, events[-1].response.status), ("response.failed", "failed"))
    equal(events[-1].response.error.message, "scripted: too much")


@check
def stored_responses():
    tools = [{"type": "function", **function()}, {"type": "custom", "name": "ask"}]
    _, text = post("/v1/responses", {
        "model": THINKING, "input": "Use every tool.", "tools": tools, "reasoning": {"effort": "low", "summary": "auto"},
    })
    made = strict(Response, text)
    reasoning, _, called, asked = made.output
    equal((reasoning.type, called.type, asked.type), ("reasoning", "function_call", "custom_tool_call"))
    results = [
        {"type": "function_call_output", "call_id": called.call_id, "output": "sunny"},
        {"type": "custom_tool_call_output", "call_id": asked.call_id, "output": "sunny"},
    ]
    whole, _ = responses({"model": THINKING, "input": results, "tools": tools, "previous_response_id": made.id})
    equal((whole.previous_response_id, whole.output_text), (made.id, "The tools said: sunny sunny"))
    _, text = call("GET", f"/v1/responses/{whole.id}")
    equal(strict(Response, text), whole)
    _, text = call("GET", f"/v1/responses/{whole.id}/input_items")
    items = strict(ResponseItemList, text)
    equal(items.object, "list")
    kinds_of = {item.type for item in items.data}
    true({"function_call_output", "custom_tool_call_output"} <= kinds_of, f"the items are {kinds_of}")
    _, text = post("/v1/responses/input_tokens", {"model": THINKING, "input": "Hello"})
    true(strict(InputTokenCountResponse, text).input_tokens > 0, "no tokens")


def completion_piece(data):
    raw = json.loads(data)
    for choice in raw["choices"]:
        # The API has null here until the end, which the type, made for whole answers, does not know.
        choice["finish_reason"] = choice["finish_reason"] or "stop"
    return strict(Completion, json.dumps(raw))


@check
def legacy_completions():
    body = {"model": SMALL, "prompt": "Hello", "max_tokens": 100}
    _, text = post("/v1/completions", body)
    whole = strict(Completion, text)
    equal((whole.choices[0].text, whole.choices[0].finish_reason), ("You said: Hello", "stop"))
    _, text = post("/v1/completions", body | {"stream": True, "stream_options": {"include_usage": True}})
    *data, done = [data for _, data in frames(text)]
    equal(done, "[DONE]")
    pieces = [completion_piece(data) for data in data]
    equal("".join(piece.choices[0].text for piece in pieces if piece.choices), whole.choices[0].text)
    equal(pieces[-1].usage.completion_tokens, whole.usage.completion_tokens)


@check
def models():
    listed = json.loads(call("GET", "/v1/models")[1])
    equal(listed["object"], "list")
    for model in listed["data"]:
        # What else a model says about itself, its limits for instance, is beside the package's type.
        TypeAdapter(Model).validate_json(json.dumps(model), strict=True)


if __name__ == "__main__":
    run("the types of openai for Python")
