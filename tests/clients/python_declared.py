"""What the official `openai` package documents has a fate in proxyd's tables, and what it sends back loses nothing."""

import pathlib
import re
import typing

import openai
from openai.types import completion_create_params as completions
from openai.types.chat import completion_create_params as chat
from openai.types.responses import response_create_params as responses
from pydantic import BaseModel

from checks import PROXY_KEY, PROXY_URL, check, equal, run, true

MODEL = "claude-opus-5"
DOCUMENT = pathlib.Path(__file__).parents[2] / "packaging" / "docs" / "translation.md"
# Everything that would be dropped is a 400.
STRICT = {"x-proxyd-strict": "true"}
# Items and tools of these types are understood; all others are refused by their type.
UNDERSTOOD = {
    "AdditionalTools", "CustomToolParam", "EasyInputMessageParam", "FunctionCallOutput", "FunctionToolParam",
    "ItemReference", "Message", "NamespaceToolParam", "ResponseCustomToolCallOutputParam", "ResponseCustomToolCallParam",
    "ResponseFunctionToolCallParam", "ResponseOutputMessageParam", "ResponseReasoningItemParam",
    "WebSearchPreviewToolParam", "WebSearchToolParam",
}

client = openai.OpenAI(base_url=f"{PROXY_URL}/v1", api_key=PROXY_KEY, max_retries=0, default_headers=STRICT)


class Weather(BaseModel):
    """The weather of a city."""

    city: str


def tables():
    """The fates by place, by section, and the places that are as others."""
    fates, same, section = {}, {}, None
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:]
            fates[section], same[section] = {}, []
        row = re.match(r"\| `([^`]+)` \|.*\| (mapped|answered|refused|not needed|dropped) \|", line)
        if row:
            fates[section][row[1]] = row[2]
        alias = re.match(r"What stands below `([^`]+)` is as below `([^`]+)`\.", line)
        if alias:
            same[section].append(alias.groups())
    return fates, same


def places(kind, place="", seen=()):
    """Every place that a parameter type documents."""
    if typing.is_typeddict(kind):
        one_of_many = place in ("input[]", "input[].tools[]", "tools[]", "tools[].tools[]")
        if kind in seen or (one_of_many and kind.__name__ not in UNDERSTOOD | {"ToolFunction"}):
            return
        for field, inner in typing.get_type_hints(kind).items():
            here = f"{place}.{field}" if place else field
            yield here
            yield from places(inner, here, (*seen, kind))
        return
    origin = typing.get_origin(kind)
    if origin is dict:
        return
    many = getattr(origin, "__name__", "") in ("Iterable", "List", "list", "SequenceNotStr")
    for inner in typing.get_args(kind):
        if not isinstance(inner, str):
            yield from places(inner, f"{place}[]" if many else place, seen)


def missing(title, kind):
    """Documented places that neither stand in the table nor below something that is not sent as a whole."""
    fates, same = (of[title] for of in tables())
    for place in sorted(set(places(kind))):
        for this, that in same:
            if place.startswith(this):
                place = that + place[len(this):]
        above = [place[: at.start()] for at in re.finditer(r"\.|\[\]", place)]
        whole = any(fates.get(name, "mapped") != "mapped" for name in above) or {"tool_choice", "function_call"} & {*above}
        holds_rows = any(name.startswith((f"{place}.", f"{place}[]")) for name in fates)
        if place not in fates and not whole and not holds_rows:
            yield place


@check
def every_documented_chat_field_has_a_fate():
    equal(list(missing("Chat Completions", chat.CompletionCreateParamsNonStreaming)), [])


@check
def every_documented_responses_field_has_a_fate():
    equal(list(missing("Responses", responses.ResponseCreateParamsNonStreaming)), [])


@check
def every_documented_completions_field_has_a_fate():
    equal(list(missing("Completions (legacy)", completions.CompletionCreateParamsNonStreaming)), [])


@check
def a_completion_is_whole_or_streamed():
    whole = client.completions.create(model=MODEL, prompt="Hello, café!", max_tokens=50, echo=True)
    choice = whole.choices[0]
    equal((whole.object, choice.text, choice.finish_reason), ("text_completion", "Hello, café!You said: Hello, café!", "stop"))
    chunks = list(client.completions.create(
        model=MODEL, prompt="Hello, café!", stream=True, stream_options={"include_usage": True}))
    equal("".join(chunk.choices[0].text for chunk in chunks if chunk.choices), "You said: Hello, café!")
    true(chunks[-1].usage.completion_tokens > 0, "usage is missing")


@check
def a_loss_is_refused_by_name():
    try:
        client.completions.create(model=MODEL, prompt="Hello", seed=7)
    except openai.BadRequestError as error:
        equal((error.param, error.type), ("seed", "invalid_request_error"))
    else:
        raise AssertionError("nothing was refused")


@check
def a_loop_of_chat_tools_loses_nothing():
    tools = [openai.pydantic_function_tool(Weather)]
    messages = [{"role": "user", "content": "What is the weather?"}]
    answer = client.chat.completions.parse(model=f"{MODEL}(high)", messages=messages, tools=tools)
    message = answer.choices[0].message
    call = message.tool_calls[0]
    true(isinstance(call.function.parsed_arguments, Weather), "the arguments were not parsed")
    true(message.thinking_blocks[0]["signature"], "the thinking is not signed")
    messages += [message.model_dump(), {"role": "tool", "tool_call_id": call.id, "content": "Sunny."}]
    answer = client.chat.completions.parse(model=f"{MODEL}(high)", messages=messages, tools=tools)
    equal(answer.choices[0].message.content, "The tools said: Sunny.")


@check
def a_loop_of_responses_tools_loses_nothing():
    tools = [{"type": "function", "name": "weather", "strict": False, "parameters": Weather.model_json_schema()}]
    items = [{"role": "user", "content": "What is the weather?"}]
    ask = {"model": f"{MODEL}(high)", "tools": tools, "store": False, "reasoning": {"summary": "auto"}}
    answer = client.responses.create(input=items, **ask)
    items += [item.model_dump() for item in answer.output]
    call = next(item for item in answer.output if item.type == "function_call")
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "Sunny."})
    equal(client.responses.create(input=items, **ask).output_text, "The tools said: Sunny.")


if __name__ == "__main__":
    run("openai for Python, declared loss")
