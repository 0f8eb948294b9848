// LangChain for JavaScript against a running proxyd: the same checks over Chat Completions, Responses and Messages.

import assert from "node:assert/strict";

import { ChatAnthropic } from "@langchain/anthropic";
import { HumanMessage, SystemMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";

import { PROXY_KEY, PROXY_URL, all, lastUpstreamRequest, run, scriptError } from "./checks.mjs";

const small = "claude-haiku-4-5";
const thinking = "claude-opus-5-5";
const question = "How is the weather?";
const Report = z.object({ city: z.string(), degrees: z.number(), sunny: z.boolean() });
const report = { city: "Paris", degrees: 21.5, sunny: true };

const openai = (more) =>
  new ChatOpenAI({ apiKey: PROXY_KEY, configuration: { baseURL: `${PROXY_URL}/v1` }, maxRetries: 0, ...more });

// Each way to speak to proxyd. With `zdrEnabled` responses are not stored, so every turn carries its own items.
const ways = {
  "Chat Completions": {
    plain: () => openai({ model: small }),
    thoughtful: () => openai({ model: thinking, modelKwargs: { reasoning_effort: "high" } }),
    kept: 0,
  },
  "stored Responses": {
    plain: () => openai({ model: small, useResponsesApi: true }),
    thoughtful: () => openai({
      model: thinking, useResponsesApi: true, modelKwargs: { reasoning: { effort: "high", summary: "auto" } },
    }),
    kept: 1,
  },
  Responses: {
    plain: () => openai({ model: small, useResponsesApi: true, zdrEnabled: true }),
    thoughtful: () => openai({
      model: thinking, useResponsesApi: true, zdrEnabled: true,
      modelKwargs: { reasoning: { effort: "high", summary: "auto" } },
    }),
    kept: 1,
  },
  Messages: {
    plain: () => new ChatAnthropic({ model: small, apiKey: PROXY_KEY, anthropicApiUrl: PROXY_URL, maxRetries: 0 }),
    thoughtful: () => new ChatAnthropic({
      model: thinking, apiKey: PROXY_KEY, anthropicApiUrl: PROXY_URL, maxRetries: 0, maxTokens: 4096,
      thinking: { type: "adaptive", display: "summarized" },
    }),
    kept: 1,
  },
};

const weather = tool(({ city }) => `sunny in ${city}`, {
  name: "get_weather", description: "The weather of a city", schema: z.object({ city: z.string() }),
});

const thinkingBlocks = (body) =>
  body.messages.filter(({ role, content }) => role === "assistant" && Array.isArray(content))
    .flatMap(({ content }) => content).filter(({ type }) => type === "thinking");

function checksOf(name, way) {
  const checks = {
    async "invoke"() {
      const message = await way.plain().invoke([new SystemMessage("Be brief."), new HumanMessage("Hello, café!")]);
      assert.equal(message.text, "You said: Hello, café!");
      assert.ok(message.usage_metadata.input_tokens > 0, "usage is missing");
    },

    async "stream"() {
      const pieces = await all(await way.plain().stream("Hello, café!"));
      const texts = pieces.map(({ text }) => text).filter(Boolean);
      assert.ok(texts.length > 1, "the text came in one piece");
      assert.equal(texts.join(""), "You said: Hello, café!");
    },

    async "tools"() {
      const model = way.plain().bindTools([weather]);
      const turns = [new HumanMessage(question)];
      turns.push(await model.invoke(turns));
      const [call] = turns.at(-1).tool_calls;
      assert.deepEqual([call.name, call.args], ["get_weather", { city: "Paris" }]);
      turns.push(await weather.invoke(call));
      assert.equal((await model.invoke(turns)).text, "The tools said: sunny in Paris");
    },

    async "streamed tools with reasoning"() {
      const model = way.thoughtful().bindTools([weather]);
      const turns = [new HumanMessage(question)];
      const whole = (await all(await model.stream(turns))).reduce((sum, piece) => sum.concat(piece));
      const [call] = whole.tool_calls;
      assert.deepEqual(call.args, { city: "Paris" });
      turns.push(whole, new ToolMessage({ content: "sunny", tool_call_id: call.id }));
      assert.equal((await model.invoke(turns)).text, "The tools said: sunny");
      // Over Chat Completions the package sends no reasoning back; the fake refuses one that was touched on the way.
      assert.equal(thinkingBlocks(await lastUpstreamRequest()).length, way.kept);
    },

    async "structured output"() {
      for (const method of ["jsonSchema", "functionCalling"]) {
        const model = way.plain().withStructuredOutput(Report, { method, name: "report" });
        assert.deepEqual(await model.invoke("Report."), report);
      }
    },

    async "a second turn"() {
      const turns = [new HumanMessage("Hello")];
      turns.push(await way.thoughtful().invoke(turns), new HumanMessage("And?"));
      assert.equal((await way.thoughtful().invoke(turns)).text, "You said: And?");
      assert.deepEqual((await lastUpstreamRequest()).messages.map(({ role }) => role), ["user", "assistant", "user"]);
    },

    async "an error"() {
      await scriptError(400, "invalid_request_error", "scripted: no such thing");
      await assert.rejects(way.plain().invoke("Hello"), /scripted: no such thing/);
    },
  };
  return Object.fromEntries(Object.entries(checks).map(([check, f]) => [`${check} over ${name}`, f]));
}

await run("LangChain for JavaScript", Object.assign({}, ...Object.entries(ways).map(([name, way]) => checksOf(name, way))));
