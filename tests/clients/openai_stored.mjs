// Stored responses with the official `openai` package for JavaScript: going on from them, reading, listing, deleting, counting.

import assert from "node:assert/strict";

import OpenAI from "openai";

import { PROXY_KEY, PROXY_URL, all, lastUpstreamRequest, rejection, run } from "./checks.mjs";

const model = "claude-haiku-4-5";
const client = new OpenAI({ baseURL: `${PROXY_URL}/v1`, apiKey: PROXY_KEY, maxRetries: 0 });

const create = (input, more = {}) => client.responses.create({ model, input, ...more });
const turns = async () =>
  (await lastUpstreamRequest()).messages.flatMap(({ content }) => content).map(({ text }) => text);

await run("stored responses with openai for JavaScript", {
  async "a conversation goes on by id"() {
    const first = await create("one");
    const second = await client.responses.stream({ model, input: "two", previous_response_id: first.id }).finalResponse();
    await create("three", { previous_response_id: second.id });
    assert.deepEqual(await turns(), ["one", "You said: one", "two", "You said: two", "three"]);
  },

  async "items can be referred to"() {
    const first = await create("one");
    const reference = { type: "item_reference", id: first.output[0].id };
    await create([{ role: "user", content: "one" }, reference, { role: "user", content: "two" }]);
    assert.deepEqual(await turns(), ["one", "You said: one", "two"]);
  },

  async "a response is read, its input listed, and deleted"() {
    const first = await create([{ role: "user", content: "one" }, { role: "user", content: "two" }]);
    assert.equal((await client.responses.retrieve(first.id)).output_text, first.output_text);
    const items = await all(client.responses.inputItems.list(first.id, { limit: 1, order: "asc" }));
    assert.deepEqual(items.map((item) => item.content[0].text), ["one", "two"]);
    await client.responses.delete(first.id);
    const error = await rejection(client.responses.retrieve(first.id), OpenAI.NotFoundError);
    assert.equal(error.code, "response_not_found");
  },

  async "tokens are counted"() {
    const counted = await client.responses.inputTokens.count({ model, input: "two words" });
    assert.ok(counted.input_tokens > 0, "no tokens");
  },
});
