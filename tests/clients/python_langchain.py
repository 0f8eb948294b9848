"""LangChain for Python against a running proxyd: the same checks over Chat Completions, Responses and Messages."""

import asyncio

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai import BadRequestError
from pydantic import BaseModel

from checks import PROXY_KEY, PROXY_URL, check, equal, last_upstream_request, run, script_error, true

SMALL = "claude-haiku-4-5"
THINKING = "claude-opus-5-5"
QUESTION = "How is the weather?"


class Report(BaseModel):
    """A report"""

    city: str
    degrees: float
    sunny: bool


# The package keeps its connections, which belong to a loop, between checks.
LOOP = asyncio.Runner()

REPORT = Report(city="Paris", degrees=21.5, sunny=True)


@tool
def get_weather(city: str) -> str:
    """The weather of a city"""
    return f"sunny in {city}"


def openai(model=SMALL, responses=False, **more):
    # Responses are not stored, so every turn carries its own items.
    more |= {"store": False, "include": ["reasoning.encrypted_content"]} if responses else {}
    return ChatOpenAI(model=model, base_url=f"{PROXY_URL}/v1", api_key=PROXY_KEY, max_retries=0,
                      use_responses_api=responses, stream_usage=True, **more)


def chat_completions(model=SMALL, thinks=False, **more):
    return openai(model, **more, **({"reasoning_effort": "high"} if thinks else {}))


def responses(model=SMALL, thinks=False, **more):
    effort = {"reasoning": {"effort": "high", "summary": "auto"}} if thinks else {}
    return openai(model, responses=True, **more, **effort)


def stored_responses(model=SMALL, thinks=False, **more):
    # A turn goes on from the answer before it, by its id.
    effort = {"reasoning": {"effort": "high", "summary": "auto"}} if thinks else {}
    return ChatOpenAI(model=model, base_url=f"{PROXY_URL}/v1", api_key=PROXY_KEY, max_retries=0, stream_usage=True,
                      use_responses_api=True, use_previous_response_id=True, **more, **effort)


def messages(model=SMALL, thinks=False, **more):
    thoughts = {"thinking": {"type": "adaptive", "display": "summarized"}, "effort": "high"} if thinks else {}
    return ChatAnthropic(model=model, base_url=PROXY_URL, api_key=PROXY_KEY, max_retries=0, max_tokens=4096,
                         **more, **thoughts)


WAYS = {
    "chat completions": chat_completions,
    "responses": responses,
    "stored responses": stored_responses,
    "messages": messages,
}


def over_each_way(function):
    """Registers the check once for each way to speak to proxyd."""
    for name, way in WAYS.items():
        def one(way=way):
            function(way)

        one.__name__ = f"{function.__name__} over {name}"
        check(one)
    return function


def words(message):
    text = message.text
    return text() if callable(text) and not isinstance(text, str) else str(text)


def thinking_blocks(body):
    contents = [message["content"] for message in body["messages"] if message["role"] == "assistant"]
    return [block for content in contents if isinstance(content, list) for block in content
            if block["type"] == "thinking"]


@over_each_way
def invoke(way):
    message = way().invoke([SystemMessage("Be brief."), HumanMessage("Hello, café!")])
    equal(words(message), "You said: Hello, café!")
    true(message.usage_metadata["input_tokens"] > 0 and message.usage_metadata["output_tokens"] > 0, "usage is missing")
    system = last_upstream_request()["system"]
    equal(system if isinstance(system, str) else system[0]["text"], "Be brief.")


@over_each_way
def stream(way):
    pieces = list(way().stream("Hello, café!"))
    texts = [words(piece) for piece in pieces if words(piece)]
    true(len(texts) > 1, "the text came in one piece")
    equal("".join(texts), "You said: Hello, café!")
    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    true(whole.usage_metadata["output_tokens"] > 0, "usage is missing")


@over_each_way
def without_waiting(way):
    async def ask():
        return [words(piece) async for piece in way().astream("Hello")]

    equal("".join(LOOP.run(ask())), "You said: Hello")


@over_each_way
def tools(way):
    model = way().bind_tools([get_weather])
    turns = [HumanMessage(QUESTION)]
    turns.append(model.invoke(turns))
    [call] = turns[-1].tool_calls
    equal((call["name"], call["args"]), ("get_weather", {"city": "Paris"}))
    turns.append(get_weather.invoke(call))
    equal(words(model.invoke(turns)), "The tools said: sunny in Paris")


@over_each_way
def streamed_tools_with_reasoning(way):
    model = way(THINKING, thinks=True).bind_tools([get_weather])
    turns = [HumanMessage(QUESTION)]
    pieces = list(model.stream(turns))
    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    [call] = whole.tool_calls
    equal(call["args"], {"city": "Paris"})
    turns += [whole, ToolMessage("sunny", tool_call_id=call["id"])]
    equal(words(model.invoke(turns)), "The tools said: sunny")
    # Over Chat Completions the package sends no reasoning back; the fake refuses one that was touched on the way.
    equal(len(thinking_blocks(last_upstream_request())), 0 if way is chat_completions else 1)


@over_each_way
def a_forced_tool(way):
    message = way().bind_tools([get_weather], tool_choice="get_weather").invoke("Hello")
    equal([call["name"] for call in message.tool_calls], ["get_weather"])


@over_each_way
def structured_output(way):
    for method in ("json_schema", "function_calling"):
        equal(way().with_structured_output(Report, method=method).invoke("Report."), REPORT)


@over_each_way
def an_image(way):
    png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    image = {"type": "image", "base64": png, "mime_type": "image/png"}
    message = way().invoke([HumanMessage([{"type": "text", "text": "See:"}, image])])
    equal(words(message), "You said: See: [image image/png]")


@over_each_way
def a_second_turn(way):
    model = way(THINKING, thinks=True)
    turns = [HumanMessage("Hello")]
    turns += [model.invoke(turns), HumanMessage("And?")]
    equal(words(model.invoke(turns)), "You said: And?")
    equal([message["role"] for message in last_upstream_request()["messages"]], ["user", "assistant", "user"])


@over_each_way
def a_history_of_plain_texts(way):
    turns = [HumanMessage("Hello"), AIMessage("Hello yourself"), HumanMessage("And?")]
    equal(words(way().invoke(turns)), "You said: And?")


@check
def an_error_is_the_packages_own():
    for way in (chat_completions, responses):
        script_error(400, "invalid_request_error", "scripted: no such thing")
        try:
            way().invoke("Hello")
        except BadRequestError as error:
            true("scripted: no such thing" in error.message, f"it says {error.message!r}")
        else:
            raise AssertionError("no BadRequestError")


if __name__ == "__main__":
    run("LangChain for Python")
