// What is said about images: labels, what to label next, categories, snapshots.

import { SENSORY, address, call, part } from "./http.js";

const of = (dataset) => `${SENSORY}/datasets/${part(dataset)}`;
const category = (dataset, id) => `${of(dataset)}/categories/${part(id)}`;

// `labels`: [{image, category, seen}] (at most 1,000), durable when it returns. Returns {labeled,
// conflicts, unknown}.
export const label = (dataset, labels, source, { keepalive } = {}) =>
  call("POST", `${of(dataset)}/labels`, { json: { labels, source }, keepalive });

// What to label next: {images, left, suggested, network}; held for `client` for `hold_s` seconds.
export const queue = (dataset, request) => call("POST", `${of(dataset)}/queue`, { json: request });

// Has these images not come again to `client` for an hour.
export const skip = (dataset, client, images) => call("POST", `${of(dataset)}/queue/skip`, { json: { client, images } });

// A page of images as {images, cursor}; `filter` by the names of the API.
export const browse = (dataset, filter = {}, cursor = null, limit = 200, { signal } = {}) =>
  call("GET", `${of(dataset)}/images`, { query: { ...filter, cursor, limit }, signal });

export const history = (dataset, image) => call("GET", `${of(dataset)}/images/${part(image)}/history`);
export const remove = (dataset, image) => call("DELETE", `${of(dataset)}/images/${part(image)}`);

export const addCategory = (dataset, name) => call("POST", `${of(dataset)}/categories`, { json: { name } });
export const rename = (dataset, id, name) => call("PUT", `${category(dataset, id)}/name`, { json: { name } });
export const merge = (dataset, id, into) => call("POST", `${category(dataset, id)}/merge`, { json: { into } });

export const snapshots = async (dataset) => (await call("GET", `${of(dataset)}/snapshots`)).snapshots;
export const snapshot = (id) => call("GET", `${SENSORY}/snapshots/${part(id)}`);
export const freeze = (dataset, request = {}) => call("POST", `${of(dataset)}/snapshots`, { json: request });
export const diff = (before, after, limit = 200) =>
  call("GET", `${SENSORY}/snapshots/${part(before)}/diff/${part(after)}`, { query: { limit } });

// How the images are spread: {cells, sources, groups}, some seconds old at most.
export const balance = (dataset) => call("GET", `${of(dataset)}/balance`);

// Images that look alike: {groups, cursor}; `mixed`: only those with different labels.
export const groups = (dataset, { mixed, cursor, limit }) =>
  call("GET", `${of(dataset)}/groups`, { query: { mixed, cursor, limit } });

// Where a snapshot is downloaded as a tar of folders.
export const exportAddress = (id) => address(`${SENSORY}/snapshots/${part(id)}/export`);
