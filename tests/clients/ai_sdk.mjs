// The Vercel AI SDK against a running proxyd: the same checks over Chat Completions (as OpenAI's and as a compatible
// provider's), Responses and Messages.

import assert from "node:assert/strict";

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, Output, generateObject, generateText, stepCountIs, streamObject, streamText, tool } from "ai";
import { z } from "zod";

import { PROXY_KEY, PROXY_URL, all, lastUpstreamRequest, rejection, run, scriptError } from "./checks.mjs";

const settings = { baseURL: `${PROXY_URL}/v1`, apiKey: PROXY_KEY };
const openai = createOpenAI(settings);
const compatible = createOpenAICompatible({ ...settings, name: "proxyd", includeUsage: true, supportsStructuredOutputs: true });
const anthropic = createAnthropic(settings);

const small = "claude-haiku-4-5";
const thinking = "claude-opus-5-5";
const question = "How is the weather?";
const schema = z.object({ city: z.string(), degrees: z.number(), sunny: z.boolean() });
const report = { city: "Paris", degrees: 21.5, sunny: true };
const quiet = { maxRetries: 0 };

// Each way to speak to proxyd, with what makes it think. Where responses are stored, a turn refers to the items of earlier ones;
// where not, it carries them.
const ways = {
  "Chat Completions": {
    model: (id) => openai.chat(id),
    options: {},
    thinking: { openai: { reasoningEffort: "high", forceReasoning: true } },
  },
  "a compatible provider": {
    model: (id) => compatible.chatModel(id),
    options: {},
    thinking: { proxyd: { reasoningEffort: "high" } },
    shows: true,
  },
  Responses: {
    model: (id) => openai.responses(id),
    options: { openai: { store: false } },
    thinking: { openai: { store: false, reasoningEffort: "high", reasoningSummary: "auto", forceReasoning: true } },
    shows: true,
    keeps: true,
  },
  "stored Responses": {
    model: (id) => openai.responses(id),
    options: {},
    thinking: { openai: { reasoningEffort: "high", reasoningSummary: "auto", forceReasoning: true } },
    shows: true,
    keeps: true,
  },
  Messages: {
    model: (id) => anthropic(id),
    options: {},
    thinking: { anthropic: { thinking: { type: "adaptive", display: "summarized" }, effort: "high" } },
    shows: true,
    keeps: true,
  },
};

/** A tool with what it was called with. */
function weatherTool() {
  const asked = [];
  const get_weather = tool({
    description: "The weather of a city",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => {
      asked.push(city);
      return `sunny in ${city}`;
    },
  });
  return { asked, tools: { get_weather } };
}

const thinkingBlocks = (body) =>
  body.messages.filter(({ role }) => role === "assistant").flatMap(({ content }) => content)
    .filter(({ type }) => type === "thinking");

function checksOf(name, way) {
  const plain = (id = small) => ({ model: way.model(id), providerOptions: way.options, ...quiet });
  const thoughtful = () => ({ model: way.model(thinking), providerOptions: way.thinking, ...quiet });
  const checks = {
    async "text"() {
      const { text, finishReason, usage } = await generateText({ ...plain(), system: "Be brief.", prompt: "Hello, café!" });
      assert.deepEqual([text, finishReason], ["You said: Hello, café!", "stop"]);
      assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0, "usage is missing");
      assert.equal((await lastUpstreamRequest()).system[0].text, "Be brief.");
    },

    async "streamed text"() {
      const result = streamText({ ...plain(), prompt: "Hello, café!" });
      const pieces = await all(result.textStream);
      assert.ok(pieces.length > 1, "the text came in one piece");
      assert.equal(pieces.join(""), "You said: Hello, café!");
      assert.equal(await result.finishReason, "stop");
      assert.ok((await result.usage).outputTokens > 0, "usage is missing");
    },

    async "an image"() {
      const image = new Uint8Array(Buffer.from(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64"));
      const content = [{ type: "text", text: "See:" }, { type: "file", data: image, mediaType: "image/png" }];
      const { text } = await generateText({ ...plain(), messages: [{ role: "user", content }] });
      assert.equal(text, "You said: See: [image image/png]");
    },

    async "a tool loop"() {
      const { asked, tools } = weatherTool();
      const { text, steps } = await generateText({ ...plain(), prompt: question, tools, stopWhen: stepCountIs(3) });
      assert.deepEqual([text, steps.length, asked], ["The tools said: sunny in Paris", 2, ["Paris"]]);
      assert.deepEqual(steps.map((step) => step.finishReason), ["tool-calls", "stop"]);
    },

    async "a streamed tool loop"() {
      const { asked, tools } = weatherTool();
      const result = streamText({ ...plain(), prompt: question, tools, stopWhen: stepCountIs(3) });
      const parts = await all(result.stream ?? result.fullStream);
      assert.equal((await result.steps).at(-1).text, "The tools said: sunny in Paris");
      assert.deepEqual(asked, ["Paris"]);
      assert.ok(parts.filter(({ type }) => type === "tool-input-delta").length > 1, "the arguments came in one piece");
    },

    async "several calls at once"() {
      const { asked, tools } = weatherTool();
      tools.get_time = { ...tools.get_weather, description: "The time in a city" };
      const { text } = await generateText({ ...plain(), prompt: "Use every tool.", tools, stopWhen: stepCountIs(3) });
      assert.deepEqual([text, asked], ["The tools said: sunny in Paris sunny in Paris", ["Paris", "Paris"]]);
    },

    async "a forced tool"() {
      const { tools } = weatherTool();
      const { toolCalls } = await generateText({ ...plain(), prompt: "Hello", tools, toolChoice: "required" });
      assert.deepEqual(toolCalls.map(({ toolName, input }) => [toolName, input]), [["get_weather", { city: "Paris" }]]);
    },

    async "an object"() {
      assert.deepEqual((await generateObject({ ...plain(), schema, prompt: "Report." })).object, report);
      const result = streamObject({ ...plain(), schema, prompt: "Report." });
      assert.ok((await all(result.partialObjectStream)).length > 1, "the object came in one piece");
      assert.deepEqual(await result.object, report);
    },

    async "an output beside tools"() {
      const { tools } = weatherTool();
      const output = Output.object({ schema });
      const result = await generateText({ ...plain(), prompt: question, tools, output, stopWhen: stepCountIs(3) });
      assert.deepEqual(result.output, report);
    },

    async "reasoning"() {
      const { text, reasoningText } = await generateText({ ...thoughtful(), prompt: "Hello" });
      assert.equal(text, "You said: Hello");
      const body = await lastUpstreamRequest();
      assert.deepEqual([body.thinking.type, body.output_config.effort], ["adaptive", "high"]);
      if (way.shows) assert.ok(reasoningText, "the reasoning is not shown");
    },

    async "streamed reasoning in a tool loop"() {
      const { tools } = weatherTool();
      const result = streamText({ ...thoughtful(), prompt: question, tools, stopWhen: stepCountIs(3) });
      const parts = await all(result.stream ?? result.fullStream);
      assert.equal((await result.steps).at(-1).text, "The tools said: sunny in Paris");
      if (way.shows) assert.ok(parts.some(({ type }) => type === "reasoning-delta"), "the reasoning is not shown");
      // The fake refuses a thinking block whose text or signature was touched on the way.
      if (way.keeps) assert.equal(thinkingBlocks(await lastUpstreamRequest()).length, 1);
    },

    async "a second turn"() {
      const messages = [{ role: "user", content: "Hello" }];
      const first = await generateText({ ...thoughtful(), messages });
      messages.push(...first.response.messages, { role: "user", content: "And?" });
      assert.equal((await generateText({ ...thoughtful(), messages })).text, "You said: And?");
      assert.deepEqual((await lastUpstreamRequest()).messages.map(({ role }) => role), ["user", "assistant", "user"]);
    },

    async "a full length"() {
      const { finishReason } = await generateText({ ...plain(), prompt: "one two three four", maxOutputTokens: 3 });
      assert.equal(finishReason, "length");
    },

    async "a refusal"() {
      const { finishReason } = await generateText({ ...plain(), prompt: "Say the forbidden word." });
      assert.equal(finishReason, "content-filter");
    },

    async "an error"() {
      await scriptError(400, "invalid_request_error", "scripted: no such thing");
      const error = await rejection(generateText({ ...plain(), prompt: "Hello" }), APICallError);
      assert.deepEqual([error.statusCode, error.message], [400, "scripted: no such thing"]);
    },
  };
  return Object.fromEntries(Object.entries(checks).map(([check, f]) => [`${check} over ${name}`, f]));
}

await run("the AI SDK", Object.assign({}, ...Object.entries(ways).map(([name, way]) => checksOf(name, way)), {
  async "stored Responses are named by later turns"() {
    const sent = [];
    const watched = createOpenAI({ ...settings, fetch: (url, init) => (sent.push(JSON.parse(init.body)), fetch(url, init)) });
    const { tools } = weatherTool();
    const { text } = await generateText({
      model: watched.responses(small), ...quiet, prompt: question, tools, stopWhen: stepCountIs(3),
    });
    assert.equal(text, "The tools said: sunny in Paris");
    assert.ok(sent.at(-1).input.some(({ type }) => type === "item_reference"), `it sent ${JSON.stringify(sent.at(-1))}`);
  },

  async "a web search over Responses"() {
    const { text, sources } = await generateText({
      model: openai.responses(small), providerOptions: ways.Responses.options, ...quiet,
      prompt: "Please search the web.", tools: { web_search: openai.tools.webSearch({}) },
    });
    assert.ok(text.startsWith("The web says: sunny."), `the text is ${text}`);
    assert.deepEqual(sources.map(({ url }) => url), ["https://example.com/weather"]);
  },
}));
