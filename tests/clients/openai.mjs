// The official `openai` JavaScript package against a running proxyd.

import assert from "node:assert/strict";

import OpenAI from "openai";

import {
  PROXY_KEY, PROXY_URL, all, expireAccessTokens, lastUpstreamRequest, rejection, run, scriptError, tokenCalls,
} from "./checks.mjs";

const model = "claude-haiku-4-5";
// One transparent pixel.
const png =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const weather = { type: "function", function: { name: "get_weather", parameters } };
const question = "How is the weather?";

const client = new OpenAI({ baseURL: `${PROXY_URL}/v1`, apiKey: PROXY_KEY, maxRetries: 0 });

const user = (content) => ({ role: "user", content });
const ask = (content, more = {}) => client.chat.completions.create({ model, messages: [user(content)], ...more });
const contents = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content).filter(Boolean);

function finishToolLoop(message) {
  const call = message.tool_calls[0];
  assert.deepEqual([call.type, call.function.name], ["function", "get_weather"]);
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris" });
  const { role, content, tool_calls } = message;
  const result = { role: "tool", tool_call_id: call.id, content: "sunny" };
  return { model, tools: [weather], messages: [user(question), { role, content, tool_calls }, result] };
}

await run("openai for JavaScript", {
  async plain() {
    const system = { role: "system", content: "Be brief." };
    const answer = await client.chat.completions.create({
      model,
      messages: [system, user("Hello, café!")],
      temperature: 1.5,
      user: "somebody@example.com",
    });
    const [choice] = answer.choices;
    assert.deepEqual([choice.message.role, choice.message.content], ["assistant", "You said: Hello, café!"]);
    assert.deepEqual([choice.finish_reason, answer.object], ["stop", "chat.completion"]);
    const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
    assert.ok(prompt_tokens > 0 && completion_tokens > 0, "usage is missing");
    assert.equal(total_tokens, prompt_tokens + completion_tokens);
    assert.deepEqual((await lastUpstreamRequest()).system, [{ type: "text", text: "Be brief." }]);
  },

  async "streamed with usage"() {
    const chunks = await all(await ask("Hello, café!", { stream: true, stream_options: { include_usage: true } }));
    assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
    assert.ok(contents(chunks).length > 1, "the text came in one piece");
    assert.equal(contents(chunks).join(""), "You said: Hello, café!");
    assert.deepEqual(chunks.map((chunk) => chunk.choices[0]?.finish_reason).filter(Boolean), ["stop"]);
    const last = chunks.at(-1);
    assert.deepEqual(last.choices, []);
    assert.ok(last.usage.completion_tokens > 0, "usage is missing");
    assert.ok(chunks.slice(0, -1).every((chunk) => !chunk.usage), "usage came early");
  },

  async "streamed without usage"() {
    const chunks = await all(await ask("Hello", { stream: true }));
    assert.ok(chunks.every((chunk) => !chunk.usage), "usage came unasked");
  },

  async "a full length is told"() {
    const [choice] = (await ask("one two three four five", { max_completion_tokens: 3 })).choices;
    assert.deepEqual([choice.message.content, choice.finish_reason], ["You said: one ", "length"]);
  },

  async tools() {
    const [first] = (await ask(question, { tools: [weather] })).choices;
    assert.equal(first.finish_reason, "tool_calls");
    const [last] = (await client.chat.completions.create(finishToolLoop(first.message))).choices;
    assert.deepEqual([last.message.content, last.finish_reason], ["The tools said: sunny", "stop"]);
  },

  async "streamed tools"() {
    const pieces = [];
    const stream = client.chat.completions.stream({ model, messages: [user(question)], tools: [weather] });
    stream.on("tool_calls.function.arguments.delta", (piece) => pieces.push(piece));
    const [first] = (await stream.finalChatCompletion()).choices;
    assert.ok(pieces.length > 1, "the arguments came in one piece");
    assert.equal(first.finish_reason, "tool_calls");
    const chunks = await client.chat.completions.create({ ...finishToolLoop(first.message), stream: true });
    assert.equal(contents(await all(chunks)).join(""), "The tools said: sunny");
  },

  async "a named tool is forced and several are called at once"() {
    const clock = { type: "function", function: { name: "get_time", parameters: { type: "object", properties: {} } } };
    const tools = [weather, clock];
    const names = (answer) => answer.choices[0].message.tool_calls.map((call) => call.function.name);
    const named = { type: "function", function: { name: "get_time" } };
    assert.deepEqual(names(await ask("Hello", { tools, tool_choice: named })), ["get_time"]);
    assert.deepEqual(names(await ask("Use every tool.", { tools })), ["get_weather", "get_time"]);
    assert.equal(names(await ask("Use every tool.", { tools, parallel_tool_calls: false })).length, 1);
  },

  async "an image arrives"() {
    const image = { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } };
    const answer = await ask([{ type: "text", text: "What is this?" }, image]);
    assert.equal(answer.choices[0].message.content, "You said: What is this? [image image/png]");
  },

  async "a json schema is parsed"() {
    const properties = { city: { type: "string" }, degrees: { type: "number" }, sunny: { type: "boolean" } };
    const required = Object.keys(properties);
    const schema = { type: "object", properties, required, additionalProperties: false };
    const response_format = { type: "json_schema", json_schema: { name: "report", strict: true, schema } };
    const answer = await client.chat.completions.parse({ model, messages: [user("Report.")], response_format });
    assert.deepEqual(answer.choices[0].message.parsed, { city: "Paris", degrees: 21.5, sunny: true });
  },

  async "reasoning effort reaches the model"() {
    const [choice] = (await ask("Hello", { model: "claude-opus-4-6", reasoning_effort: "low" })).choices;
    assert.equal(choice.message.content, "You said: Hello");
    assert.ok(choice.message.reasoning_content, "no reasoning_content");
    const body = await lastUpstreamRequest();
    assert.deepEqual([body.thinking.type, body.output_config], ["adaptive", { effort: "low" }]);
  },

  async "a 400 keeps its message"() {
    await scriptError(400, "invalid_request_error", "scripted: no such thing");
    const error = await rejection(ask("Hello"), OpenAI.BadRequestError);
    assert.ok(error.message.includes("scripted: no such thing"), `the message is ${error.message}`);
    assert.equal(error.type, "invalid_request_error");
  },

  async "what cannot be expressed is a 400"() {
    const error = await rejection(ask("Hello", { n: 2 }), OpenAI.BadRequestError);
    assert.equal(error.param, "n");
  },

  async "an unknown model is a 404"() {
    const error = await rejection(ask("Hello", { model: "claude-no-such-model" }), OpenAI.NotFoundError);
    assert.equal(error.code, "model_not_found");
  },

  async "an expired token is refreshed on the way"() {
    const before = await tokenCalls();
    await expireAccessTokens();
    assert.equal((await ask("Hello")).choices[0].message.content, "You said: Hello");
    assert.equal((await tokenCalls()) - before, 1);
  },

  async "models are listed"() {
    const ids = (await all(client.models.list())).map((m) => m.id);
    assert.ok(ids.includes("claude-haiku-4-5-20251001"), `the list is ${ids}`);
    const one = await client.models.retrieve("claude-haiku-4-5-20251001");
    assert.deepEqual([one.object, one.id], ["model", "claude-haiku-4-5-20251001"]);
  },

  async "responses plain"() {
    const answer = await client.responses.create({ model, instructions: "Be brief.", input: "Hello, café!" });
    assert.deepEqual([answer.output_text, answer.status], ["You said: Hello, café!", "completed"]);
    const { input_tokens, output_tokens, total_tokens } = answer.usage;
    assert.equal(total_tokens, input_tokens + output_tokens);
  },

  async "responses streamed"() {
    const events = await all(await client.responses.create({ model, input: "Hello, café!", stream: true }));
    assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
    assert.deepEqual([events[0].type, events.at(-1).type], ["response.created", "response.completed"]);
    const pieces = events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta);
    assert.ok(pieces.length > 1, "the text came in one piece");
    assert.equal(pieces.join(""), "You said: Hello, café!");
  },

  async "a 429 keeps retry-after and ends"() {
    await scriptError(429, "rate_limit_error", "scripted: too fast", { "retry-after": "1" });
    const error = await rejection(ask("Hello"), OpenAI.RateLimitError);
    assert.equal(error.headers.get("retry-after"), "1");
    assert.ok(error.message.includes("scripted: too fast"), `the message is ${error.message}`);
    const again = await client.chat.completions.create({ model, messages: [user("Hello")] }, { maxRetries: 5 });
    assert.equal(again.choices[0].finish_reason, "stop");
  },
});
