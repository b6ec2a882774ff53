// One request to a service, and what it may say instead of an answer. Works in a worker too.

import { learn } from "../lib/clock.js";

// The folder of the page, also where a module is loaded by a worker.
const ROOT = new URL("../../", import.meta.url);
const PASSING = new Set([0, 408, 429, 502, 503, 504]);

export const SENSORY = "api/sensory/v1";
export const EVOLUTION = "api/evolution/v1";
export const CLASSIFICATION = "api/classification/v1";
export const ADMIN = "api/admin/v1";
export const part = encodeURIComponent;
export const address = (path) => new URL(path, ROOT).href;

// What a service answered instead: `kind` for programs, `message` for people. Status 0 means
// that nothing answered at all. `retryAfter`: seconds, where the service said so.
export class Problem extends Error {
  constructor(status, kind, detail, retryAfter = null) {
    super(detail);
    this.status = status;
    this.kind = kind;
    this.retryAfter = retryAfter;
  }

  get isPassing() {
    return PASSING.has(this.status);
  }
}

// Who is told when a service asks for a key; the requests wait until `unlock()`.
const tellers = new Set();
let lock = null;

export function onLocked(fn) {
  tellers.add(fn);
}

// Resolves as soon as nothing waits for a key.
export const authorized = () => lock?.promise ?? Promise.resolve();

export function unlock() {
  lock?.resolve();
  lock = null;
}

function waitForKey(signal) {
  if (lock === null) {
    lock = {};
    lock.promise = new Promise((resolve) => { lock.resolve = resolve; });
    for (const tell of tellers) tell();
  }
  const aborted = new Promise((_, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  return Promise.race([lock.promise, aborted]);
}

// Returns the JSON of the answer (null of an empty one; the Response itself with `raw`). A request
// that lacks a key waits for one and is sent again. Throws Problem, or AbortError.
export async function call(method, path, { query = {}, json, body, signal, keepalive, raw = false } = {}) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") parameters.set(name, value);
  }
  const where = new URL(path, ROOT);
  where.search = parameters.toString();
  const headers = json === undefined ? {} : { "Content-Type": "application/json" };
  const content = json === undefined ? body : JSON.stringify(json);
  for (;;) {
    const response = await send(where, { method, headers, body: content, signal, keepalive });
    learn(response);
    if (response.ok) return raw ? response : read(response);
    const problem = await problemOf(response);
    if (problem.status !== 401 || path === `${ADMIN}/login`) throw problem;
    await waitForKey(signal);
  }
}

async function send(where, options) {
  try {
    return await fetch(where, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Problem(0, "unreachable", "The service does not answer.");
  }
}

async function read(response) {
  if (response.status === 204) return null;
  try {
    return await response.json();
  } catch {
    throw new Problem(0, "unreachable", "The answer broke off.");
  }
}

async function problemOf(response) {
  const said = Number(response.headers.get("Retry-After"));
  const retryAfter = said > 0 ? said : null;
  try {
    const { type, detail } = await response.json();
    return new Problem(response.status, type, detail || type || response.statusText, retryAfter);
  } catch {
    return new Problem(response.status, "error", `The service answered ${response.status}.`, retryAfter);
  }
}
