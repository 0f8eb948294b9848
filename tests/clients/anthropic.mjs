// The official `@anthropic-ai/sdk` package against a running proxyd.

import assert from "node:assert/strict";

import Anthropic from "@anthropic-ai/sdk";

import { PROXY_KEY, PROXY_URL, all, expireAccessTokens, rejection, run, scriptError, tokenCalls } from "./checks.mjs";

const model = "claude-haiku-4-5";
const options = { model, max_tokens: 100 };
const weather = {
  name: "get_weather",
  description: "The weather of a city",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const question = "How is the weather?";

const client = new Anthropic({ baseURL: PROXY_URL, apiKey: PROXY_KEY, maxRetries: 0 });

const user = (content) => ({ role: "user", content });
const ask = (text, more = {}) => client.messages.create({ ...options, messages: [user(text)], ...more });

function finishToolLoop(first) {
  assert.equal(first.stop_reason, "tool_use");
  const call = first.content.find((block) => block.type === "tool_use");
  assert.deepEqual([call.name, call.input], ["get_weather", { city: "Paris" }]);
  const result = { type: "tool_result", tool_use_id: call.id, content: "sunny" };
  const messages = [user(question), { role: "assistant", content: first.content }, user([result])];
  return { ...options, tools: [weather], messages };
}

await run("anthropic for JavaScript", {
  async plain() {
    const message = await ask("Hello, café!");
    assert.deepEqual(message.content, [{ type: "text", text: "You said: Hello, café!" }]);
    assert.equal(message.stop_reason, "end_turn");
    assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0, "usage is missing");
    assert.ok(message._request_id, "the request id is lost");
  },

  async streamed() {
    const pieces = [];
    const stream = client.messages.stream({ ...options, messages: [user("Hello, café!")] });
    stream.on("text", (piece) => pieces.push(piece));
    const message = await stream.finalMessage();
    assert.ok(pieces.length > 1, "the text came in one piece");
    assert.equal(pieces.join(""), "You said: Hello, café!");
    assert.equal(message.stop_reason, "end_turn");
    assert.ok(message.usage.output_tokens > 0, "usage is missing");
  },

  async tools() {
    const last = await client.messages.create(finishToolLoop(await ask(question, { tools: [weather] })));
    assert.equal(last.content[0].text, "The tools said: sunny");
  },

  async "streamed tools"() {
    const pieces = [];
    const stream = client.messages.stream({ ...options, tools: [weather], messages: [user(question)] });
    stream.on("inputJson", (piece) => pieces.push(piece));
    const first = await stream.finalMessage();
    assert.ok(pieces.length > 1, "the arguments came in one piece");
    const last = client.messages.stream(finishToolLoop(first));
    assert.equal(await last.finalText(), "The tools said: sunny");
  },

  async "thinking and its replay"() {
    const thinking = { model, max_tokens: 2000, thinking: { type: "enabled", budget_tokens: 1024 } };
    const first = await client.messages.stream({ ...thinking, messages: [user("Hello")] }).finalMessage();
    assert.deepEqual(first.content.map((block) => block.type), ["thinking", "text"]);
    // The fake refuses a thinking block whose text or signature was touched on the way.
    const messages = [user("Hello"), { role: "assistant", content: first.content }, user("And?")];
    const last = await client.messages.create({ ...thinking, messages });
    assert.equal(last.content[1].text, "You said: And?");
  },

  async "a 400 keeps its message"() {
    await scriptError(400, "invalid_request_error", "scripted: no such thing");
    const error = await rejection(ask("Hello"), Anthropic.BadRequestError);
    assert.equal(error.error.error.message, "scripted: no such thing");
    assert.equal(error.error.error.type, "invalid_request_error");
  },

  async "the upstream's own 400 comes through"() {
    const error = await rejection(ask("Hello", { no_such_field: 1 }), Anthropic.BadRequestError);
    assert.equal(error.error.error.message, "no_such_field: Extra inputs are not permitted");
  },

  async "an expired token is refreshed once for many requests"() {
    const before = await tokenCalls();
    await expireAccessTokens();
    const answers = await Promise.all([...Array(10).keys()].map((n) => ask(`number ${n}`)));
    assert.deepEqual(answers.map((a) => a.content[0].text), [...Array(10).keys()].map((n) => `You said: number ${n}`));
    assert.equal((await tokenCalls()) - before, 1);
  },

  async "models are listed over pages"() {
    const ids = (await all(client.models.list({ limit: 5 }))).map((m) => m.id);
    assert.ok(ids.includes("claude-haiku-4-5-20251001") && ids.length > 5, `the list is ${ids}`);
    assert.equal(new Set(ids).size, ids.length);
    const one = await client.models.retrieve("claude-opus-4-6");
    assert.deepEqual([one.type, one.capabilities.thinking.types.adaptive.supported], ["model", true]);
  },

  async "tokens are counted"() {
    const counted = await client.messages.countTokens({ model, messages: [user("Hello")] });
    assert.ok(counted.input_tokens > 0, "no tokens");
  },

  async "a 429 keeps retry-after and ends"() {
    await scriptError(429, "rate_limit_error", "scripted: too fast", { "retry-after": "1" });
    const error = await rejection(ask("Hello"), Anthropic.RateLimitError);
    assert.equal(error.headers.get("retry-after"), "1");
    assert.ok(error.message.includes("scripted: too fast"), `the message is ${error.message}`);
    const again = await client.messages.create({ ...options, messages: [user("Hello")] }, { maxRetries: 5 });
    assert.equal(again.stop_reason, "end_turn");
  },
});
