// What the JavaScript client checks share: running named checks, and driving fake-claude.
//
// Each check prints one line, `ok NAME` or `FAILED NAME: why`. Only loopback is ever talked to.

import assert from "node:assert/strict";

function environment(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value.replace(/\/+$/, "");
}

export const PROXY_URL = environment("PROXY_URL");
export const FAKE_URL = environment("FAKE_URL");
// The daemon serves programs of its own user without a key; the packages insist on having one.
export const PROXY_KEY = process.env.PROXY_KEY || "not-needed";

const MESSAGES = "/v1/messages";

/** Runs every check, an object of functions by name, in order; the exit code is non-zero if one failed. */
export async function run(client, checks) {
  for (const [name, check] of Object.entries(checks)) {
    try {
      // What an earlier check scripted and did not use must not answer this one.
      await fake("DELETE", "/fake/script");
      await check();
      console.log(`ok ${client}: ${name}`);
    } catch (error) {
      console.error(error);
      console.log(`FAILED ${client}: ${name}: ${`${error.name}: ${error.message}`.split(/\s+/).join(" ")}`);
      process.exitCode = 1;
    }
  }
}

/** The error the promise is rejected with, which must be of that class. */
export async function rejection(promise, type) {
  const error = await promise.then(
    () => assert.fail(`no ${type.name}`),
    (error) => error,
  );
  if (!(error instanceof type)) throw error;
  return error;
}

/** Everything an async iterable gives. */
export async function all(iterable) {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
}

/** Calls one of fake-claude's own endpoints. */
export async function fake(method, path, body) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(FAKE_URL + path, { method, headers, body: body && JSON.stringify(body) });
  const answer = await response.json();
  assert.equal(response.status, 200, JSON.stringify(answer));
  return answer;
}

/** The next model request is answered with this error. */
export async function scriptError(status, type, message, headers = {}) {
  const body = { type: "error", error: { type, message } };
  await fake("POST", "/fake/script", { path: MESSAGES, status, headers, body });
}

export async function expireAccessTokens() {
  await fake("POST", "/fake/expire-access-tokens");
}

export async function tokenCalls() {
  return (await fake("GET", "/fake/state")).token_calls;
}

/** The body of the last model request as it reached the upstream. */
export async function lastUpstreamRequest() {
  const requests = await fake("GET", `/fake/requests?path=${MESSAGES}`);
  return JSON.parse(requests.at(-1).body);
}
