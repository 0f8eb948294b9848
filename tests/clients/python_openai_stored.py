"""Stored responses with the official `openai` package for Python: going on from them, reading, listing, deleting, counting."""

import openai
from openai.types.responses import Response, ResponseItemList
from pydantic import TypeAdapter

from checks import PROXY_KEY, PROXY_URL, check, equal, last_upstream_request, run, true

SMALL = "claude-haiku-4-5"
THINKING = "claude-opus-4-6"
QUESTION = "How is the weather?"
WEATHER = {
    "type": "function", "name": "get_weather", "description": "The weather of a city", "strict": True,
    "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False,
    },
}

client = openai.OpenAI(base_url=f"{PROXY_URL}/v1", api_key=PROXY_KEY, max_retries=0)


def create(text, **more):
    return client.responses.create(**({"model": SMALL, "input": text} | more))


def raises(kind, call):
    """The error of that class that the call ends with."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def turns():
    """The texts of the last request upstream."""
    return [block["text"] for message in last_upstream_request()["messages"] for block in message["content"]]


@check
def a_conversation_goes_on_by_id():
    first = create("one")
    second = create("two", previous_response_id=first.id)
    equal(second.previous_response_id, first.id)
    create("three", previous_response_id=second.id)
    equal(turns(), ["one", "You said: one", "two", "You said: two", "three"])


@check
def a_streamed_conversation_goes_on_by_id():
    with client.responses.stream(model=SMALL, input="one") as stream:
        first = stream.get_final_response()
    with client.responses.stream(model=SMALL, input="two", previous_response_id=first.id) as stream:
        equal(stream.get_final_response().output_text, "You said: two")
    equal(turns(), ["one", "You said: one", "two"])


@check
def a_tool_loop_goes_on_by_id_and_keeps_its_thinking():
    options = dict(model=THINKING, tools=[WEATHER], reasoning={"effort": "high", "summary": "auto"})
    first = client.responses.create(input=QUESTION, **options)
    call = next(item for item in first.output if item.type == "function_call")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    client.responses.create(input=[result], previous_response_id=first.id, **options)
    kinds = [block["type"] for block in last_upstream_request()["messages"][1]["content"]]
    equal((kinds[0], kinds[-1]), ("thinking", "tool_use"))


@check
def items_can_be_referred_to():
    first = create("one")
    reference = {"type": "item_reference", "id": first.output[0].id}
    create([{"role": "user", "content": "one"}, reference, {"role": "user", "content": "two"}])
    equal(turns(), ["one", "You said: one", "two"])


@check
def a_response_is_read_as_it_was():
    first = create("Hello, café!", metadata={"topic": "x"})
    raw = client.responses.with_raw_response.retrieve(first.id)
    TypeAdapter(Response).validate_json(raw.text)
    equal(client.responses.retrieve(first.id).to_dict(), first.to_dict())


@check
def its_input_is_listed_in_pages():
    items = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "1"}, {"role": "user", "content": "two"}]
    first = create(items)
    raw = client.responses.input_items.with_raw_response.list(first.id, limit=2)
    TypeAdapter(ResponseItemList).validate_json(raw.text)
    listed = list(client.responses.input_items.list(first.id, limit=2, order="asc"))
    equal([item.role for item in listed], ["user", "assistant", "user"])
    equal([item.content[0].text for item in listed], ["one", "1", "two"])


@check
def what_is_deleted_is_gone():
    first = create("one")
    client.responses.delete(first.id)
    equal(raises(openai.NotFoundError, lambda: client.responses.retrieve(first.id)).code, "response_not_found")
    error = raises(openai.BadRequestError, lambda: create("two", previous_response_id=first.id))
    equal((error.param, error.code), ("previous_response_id", "previous_response_not_found"))


@check
def what_is_not_stored_is_not_there():
    first = create("one", store=False)
    equal(first.store, False)
    raises(openai.NotFoundError, lambda: client.responses.retrieve(first.id))


@check
def tokens_are_counted():
    first = create("a long text of many words that come before")
    alone = client.responses.input_tokens.count(model=SMALL, input="two words")
    further = client.responses.input_tokens.count(model=SMALL, input="two words", previous_response_id=first.id)
    equal(alone.object, "response.input_tokens")
    true(0 < alone.input_tokens < further.input_tokens, f"{alone.input_tokens} and {further.input_tokens}")


@check
def nothing_runs_in_the_background():
    first = create("one")
    equal(raises(openai.BadRequestError, lambda: create("one", background=True)).param, "background")
    raises(openai.BadRequestError, lambda: client.responses.cancel(first.id))


if __name__ == "__main__":
    run("stored responses with openai for Python")
