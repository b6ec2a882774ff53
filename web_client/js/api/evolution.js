// Runs: started, watched, looked back at; and who trains.

import { EVOLUTION, SENSORY, address, call, part } from "./http.js";

const of = (run) => `${EVOLUTION}/runs/${part(run)}`;

export const start = (request) => call("POST", `${EVOLUTION}/runs`, { json: request });
export const runs = async () => (await call("GET", `${EVOLUTION}/runs`)).runs;
export const run = (id, { signal } = {}) => call("GET", of(id), { signal });
export const stop = (id) => call("POST", `${of(id)}/stop`);
export const resume = (id) => call("POST", `${of(id)}/resume`);
export const workers = () => call("GET", `${EVOLUTION}/workers`);

// Those with a higher number than `after`, oldest first; a service may give more than `limit`.
export const individuals = async (id, { after = 0, limit = null, signal } = {}) =>
  (await call("GET", `${of(id)}/individuals`, { query: { after, limit }, signal })).individuals;

export const front = async (id) => (await call("GET", `${of(id)}/front`)).individuals;

export const eventsAddress = (id) => address(`${of(id)}/events`);

// What a run may begin with instead of freezing anew, newest first.
export const snapshots = async (dataset) =>
  (await call("GET", `${SENSORY}/datasets/${part(dataset)}/snapshots`)).snapshots;
