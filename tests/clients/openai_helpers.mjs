// What the official `openai` JavaScript package builds on top of requests: streams, parsing, the tool runners, and errors.

import assert from "node:assert/strict";

import OpenAI from "openai";
import { ContentFilterFinishReasonError, LengthFinishReasonError } from "openai/error";
import { ResponsesToolRunner } from "openai/helpers/responses-tool-runner";
import { zodFunction, zodResponseFormat, zodResponsesFunction, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

import { PROXY_KEY, PROXY_URL, all, fake, lastUpstreamRequest, rejection, run, scriptError } from "./checks.mjs";

const model = "claude-haiku-4-5";
const thinking = "claude-opus-5-5";
const Report = z.object({ city: z.string(), degrees: z.number(), sunny: z.boolean() });
const report = { city: "Paris", degrees: 21.5, sunny: true };
const Weather = z.object({ city: z.string() });
const question = "How is the weather?";

const client = new OpenAI({ baseURL: `${PROXY_URL}/v1`, apiKey: PROXY_KEY, maxRetries: 0 });

const user = (content) => ({ role: "user", content });
const messages = (content) => ({ model, messages: [user(content)] });
const thinkingBlocks = (body) =>
  body.messages.filter(({ role }) => role === "assistant").flatMap(({ content }) => content)
    .filter(({ type }) => type === "thinking");

/** A tool the runner calls by itself, with what it was called with. */
function weatherTool() {
  const asked = [];
  const get_weather = ({ city }) => {
    asked.push(city);
    return `sunny in ${city}`;
  };
  const description = "The weather of a city";
  return { asked, tool: zodFunction({ name: "get_weather", description, parameters: Weather, function: get_weather }) };
}

await run("helpers of openai for JavaScript", {
  async "chat stream"() {
    const pieces = [];
    const stream = client.chat.completions.stream({ ...messages("Hello, café!"), stream_options: { include_usage: true } });
    stream.on("content", (piece) => pieces.push(piece));
    assert.equal(await stream.finalContent(), "You said: Hello, café!");
    assert.equal(pieces.join(""), "You said: Hello, café!");
    assert.ok((await stream.totalUsage()).completion_tokens > 0, "usage is missing");
  },

  async "chat stream with a parsed answer"() {
    const response_format = zodResponseFormat(Report, "report");
    const stream = client.chat.completions.stream({ ...messages("Report."), response_format });
    assert.deepEqual((await stream.finalChatCompletion()).choices[0].message.parsed, report);
  },

  async "chat parse with tools and a schema"() {
    const response_format = zodResponseFormat(Report, "report");
    const { tool } = weatherTool();
    const answer = await client.chat.completions.parse({ ...messages(question), tools: [tool], response_format });
    assert.deepEqual(answer.choices[0].message.tool_calls[0].function.parsed_arguments, { city: "Paris" });
    const again = await client.chat.completions.parse({ ...messages("Report."), tools: [tool], response_format });
    assert.deepEqual(again.choices[0].message.parsed, report);
  },

  async "chat parse tells what cannot be parsed"() {
    const request = { ...messages("Report."), response_format: zodResponseFormat(Report, "report") };
    const content = [{ type: "text", text: '{"city":"Par' }];
    await fake("POST", "/fake/script", { path: "/v1/messages", patch: { stop_reason: "max_tokens", content } });
    await rejection(client.chat.completions.parse(request), LengthFinishReasonError);
    const refused = { ...request, ...messages("Say the forbidden word.") };
    await rejection(client.chat.completions.parse(refused), ContentFilterFinishReasonError);
  },

  async "chat tool runner"() {
    for (const stream of [false, true]) {
      const { asked, tool } = weatherTool();
      const runner = client.chat.completions.runTools({ ...messages(question), tools: [tool], stream });
      assert.equal(await runner.finalContent(), "The tools said: sunny in Paris");
      assert.deepEqual(asked, ["Paris"]);
      assert.deepEqual(runner.messages.map(({ role }) => role), ["user", "assistant", "tool", "assistant"]);
    }
  },

  async "chat tool runner with reasoning"() {
    // The runner sends back only the fields it knows, so the model thinks anew: it must not fail for that.
    for (const thinks of [thinking, model]) {
      const request = { ...messages(question), model: thinks, reasoning_effort: "high" };
      const runner = client.chat.completions.runTools({ ...request, tools: [weatherTool().tool] });
      assert.equal(await runner.finalContent(), "The tools said: sunny in Paris");
    }
  },

  async "chat tool loop keeps the reasoning"() {
    const request = { model: thinking, reasoning_effort: "high", tools: [weatherTool().tool] };
    const turns = [user(question)];
    for (const first of [
      await client.chat.completions.create({ ...request, messages: turns }),
      await client.chat.completions.stream({ ...request, messages: turns }).finalChatCompletion(),
    ]) {
      const [{ message }] = first.choices;
      const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "sunny" };
      const again = { ...request, messages: [...turns, message, result] };
      const [last] = (await client.chat.completions.create(again)).choices;
      assert.equal(last.message.content, "The tools said: sunny");
      // The fake refuses a thinking block whose text or signature was touched on the way.
      assert.equal(thinkingBlocks(await lastUpstreamRequest()).length, 1);
    }
  },

  async "chat custom tools"() {
    const tools = [{ type: "custom", custom: { name: "ask", description: "Asks in words" } }];
    const { message } = (await client.chat.completions.create({ ...messages(question), tools })).choices[0];
    assert.deepEqual(message.tool_calls[0].custom, { name: "ask", input: "Paris" });
    const streamed = client.chat.completions.stream({ ...messages(question), tools });
    const [{ message: same }] = (await streamed.finalChatCompletion()).choices;
    assert.deepEqual(same.tool_calls[0].custom, { name: "ask", input: "Paris" });
    const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "sunny" };
    const turns = [user(question), message, result];
    const last = await client.chat.completions.create({ model, messages: turns, tools });
    assert.equal(last.choices[0].message.content, "The tools said: sunny");
  },

  async "responses stream"() {
    const pieces = [];
    const stream = client.responses.stream({ model, input: "Hello, café!" });
    stream.on("response.output_text.delta", ({ delta }) => pieces.push(delta));
    const final = await stream.finalResponse();
    assert.deepEqual([final.output_text, final.status], ["You said: Hello, café!", "completed"]);
    assert.equal(pieces.join(""), "You said: Hello, café!");
  },

  async "responses stream with a parsed answer"() {
    const text = { format: zodTextFormat(Report, "report") };
    const stream = client.responses.stream({ model, input: "Report.", text });
    assert.deepEqual((await stream.finalResponse()).output_parsed, report);
  },

  async "responses parse"() {
    const text = { format: zodTextFormat(Report, "report") };
    assert.deepEqual((await client.responses.parse({ model, input: "Report.", text })).output_parsed, report);
    const tools = [zodResponsesFunction({ name: "get_weather", parameters: Weather })];
    const called = await client.responses.parse({ model, input: question, tools });
    assert.deepEqual(called.output.at(-1).parsed_arguments, { city: "Paris" });
  },

  async "responses tool runner"() {
    const { parameters, name } = zodResponsesFunction({ name: "get_weather", parameters: Weather });
    const tool = { type: "function", name, parameters, strict: true };
    const runner = new ResponsesToolRunner({ functions: [{ tool, execute: ({ city }) => `sunny in ${city}` }] });
    const request = {
      model: thinking, input: question, store: false, reasoning: { effort: "high", summary: "auto" },
      include: ["reasoning.encrypted_content"],
    };
    for (const stream of [false, true]) {
      const answer = await runner.run(client, request, { stream });
      assert.equal(answer.output_text, "The tools said: sunny in Paris");
      assert.equal(thinkingBlocks(await lastUpstreamRequest()).length, 1);
    }
  },

  async "responses web search goes back"() {
    const tools = [{ type: "web_search" }];
    const first = await client.responses.create({ model, input: "Please search the web.", tools, store: false });
    assert.deepEqual(first.output.map(({ type }) => type), ["web_search_call", "message"]);
    const [cited] = first.output[1].content[0].annotations;
    assert.equal(first.output_text.slice(cited.start_index, cited.end_index), "The web says: sunny. ");
    const input = [user("Please search the web."), ...first.output, user("And?")];
    assert.equal((await client.responses.create({ model, input, tools, store: false })).output_text, "You said: And?");
  },

  async "the request id is told"() {
    const { data, response, request_id } = await client.chat.completions.create(messages("Hello")).withResponse();
    assert.ok(request_id, "no request id");
    assert.deepEqual([data._request_id, response.headers.get("x-request-id")], [request_id, request_id]);
    assert.ok((await client.responses.create({ model, input: "Hello" }))._request_id, "no request id");
  },

  async "errors are the package's own"() {
    for (const [status, type, expected] of [
      [400, "invalid_request_error", OpenAI.BadRequestError],
      [404, "not_found_error", OpenAI.NotFoundError],
      [413, "request_too_large", OpenAI.APIError],
      [429, "rate_limit_error", OpenAI.RateLimitError],
      [500, "api_error", OpenAI.InternalServerError],
      [529, "overloaded_error", OpenAI.InternalServerError],
    ]) {
      for (const ask of [
        () => client.chat.completions.create(messages("Hello")),
        () => client.chat.completions.create({ ...messages("Hello"), stream: true }),
        () => client.responses.create({ model, input: "Hello" }),
        () => client.responses.create({ model, input: "Hello", stream: true }),
      ]) {
        await scriptError(status, type, "scripted: no such thing");
        const error = await rejection(ask(), expected);
        assert.ok(error.message.includes("scripted: no such thing"), `${status} says ${error.message}`);
        assert.deepEqual(Object.keys(error.error).sort(), ["code", "message", "param", "type"]);
      }
    }
  },

  async "a mistake names its field"() {
    const chat = client.chat.completions.create({ ...messages("Hello"), reasoning_effort: "extreme" });
    assert.equal((await rejection(chat, OpenAI.BadRequestError)).param, "reasoning_effort");
    const tools = [{ type: "file_search", vector_store_ids: ["vs_1"] }];
    const responses = client.responses.create({ model, input: "Hello", tools });
    assert.equal((await rejection(responses, OpenAI.BadRequestError)).param, "tools[0].type");
  },

  async "a stream that breaks is an error"() {
    const begun = {
      id: "msg_FAKEbroken", type: "message", role: "assistant", model, content: [], stop_reason: null,
      stop_sequence: null, usage: { input_tokens: 10, output_tokens: 1 },
    };
    const events = [
      { type: "message_start", message: begun },
      { type: "content_block_start", index: 0, content_block: { type: "text", text: "Half an ans" } },
      { type: "error", error: { type: "overloaded_error", message: "scripted: too much" } },
    ];
    const chunks = events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    await fake("POST", "/fake/script", { path: "/v1/messages", chunks });
    const chat = await client.chat.completions.create({ ...messages("Hello"), stream: true });
    const error = await rejection(all(chat), OpenAI.APIError);
    assert.ok(error.message.includes("scripted: too much"), `it says ${error.message}`);
    await fake("POST", "/fake/script", { path: "/v1/messages", chunks });
    const failed = (await all(await client.responses.create({ model, input: "Hello", stream: true }))).at(-1);
    assert.deepEqual([failed.type, failed.response.status], ["response.failed", "failed"]);
    assert.equal(failed.response.error.message, "scripted: too much");
  },
});
