// The gallery, who answers, what was answered and what was wrong about it.

import { CLASSIFICATION, address, call, part } from "./http.js";

const network_ = (id) => `${CLASSIFICATION}/networks/${part(id)}`;
const champion_ = (dataset) => `${CLASSIFICATION}/champions/${part(dataset)}`;
const classification_ = (id) => `${CLASSIFICATION}/classifications/${part(id)}`;

// `record: false` leaves no trace of the picture in the history.
export const classify = (picture, { dataset, network, top = 3, record = true, signal } = {}) =>
  call("POST", `${CLASSIFICATION}/classify`, { query: { dataset, network, top, record: record ? null : "false" }, body: picture, signal });

export const networks = async (dataset) =>
  (await call("GET", `${CLASSIFICATION}/networks`, { query: { dataset } })).networks;
export const network = (id) => call("GET", network_(id));
export const name = (id, text, { move = false } = {}) =>
  call("PUT", `${network_(id)}/name`, { json: { name: text, move } });
export const unname = (id) => call("DELETE", `${network_(id)}/name`);
// What it takes for what, and how long; null until the job worker has looked.
export async function examination(id) {
  try {
    return await call("GET", `${network_(id)}/examination`);
  } catch (problem) {
    if (problem.kind === "not-examined") return null;
    throw problem;
  }
}
export const fileAddress = (id, kind) => address(`${network_(id)}/${kind}`);

export const champion = (dataset) => call("GET", champion_(dataset));
export const promote = (dataset, id) => call("PUT", champion_(dataset), { json: { network: id } });
// `id` is whose promotion is undone, so that a second press undoes nothing else.
export const rollBack = (dataset, id, reason = null) =>
  call("POST", `${champion_(dataset)}/rollback`, { json: { network: id, reason } });
export const reign = async (dataset) => (await call("GET", `${champion_(dataset)}/history`)).events;

export const trials = async (dataset) => (await call("GET", `${champion_(dataset)}/trials`)).trials;
// `request`: {network, mode: "check" | "canary" | "shadow", share?, promote}.
export const trial = (dataset, request) => call("POST", `${champion_(dataset)}/trials`, { json: request });
export const stopTrial = (dataset) => call("DELETE", `${champion_(dataset)}/trials`);

// `query`: {dataset, network, category, corrected, order, cursor, limit…}. Returns a page of them.
export const classifications = (query) => call("GET", `${CLASSIFICATION}/classifications`, { query });
export const classification = (id) => call("GET", classification_(id));
export const correct = (id, category) => call("POST", `${classification_(id)}/correction`, { json: { category } });
export const classificationThumbnail = (id, size = 128) =>
  address(`${classification_(id)}/thumbnail?size=${size}`);
