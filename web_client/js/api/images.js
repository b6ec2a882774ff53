// Datasets and images: what is there, and how more gets in.

import { SENSORY, address, call, part } from "./http.js";
import { multipart } from "./multipart.js";

const of = (dataset) => `${SENSORY}/datasets/${part(dataset)}`;

export const datasets = async () => (await call("GET", `${SENSORY}/datasets`)).datasets;
export const dataset = (name) => call("GET", of(name));

// `files`: [{name, data}], `data` a Blob or its bytes. Returns {stored, refused}.
export const upload = (name, files, { category, split, source, signal } = {}) =>
  call("POST", `${of(name)}/images`, { query: { category, split, source }, body: multipart("files", files), signal });

// Those of some hashes that the dataset has already, as images of it.
export const lookup = async (name, images, { signal } = {}) =>
  (await call("POST", `${of(name)}/images/lookup`, { json: { images }, signal })).images;

// Unpacks an archive on the server; `onLine` gets each line of its progress as it comes.
export async function importArchive(name, blob, onLine = () => {}) {
  const response = await call("POST", `${of(name)}/imports`, { body: blob, raw: true });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = done ? "" : lines.pop();
    for (const line of lines) if (line.trim()) onLine(JSON.parse(line));
    if (done) return;
  }
}

export const imageAddress = (sha256) => address(`${SENSORY}/images/${part(sha256)}`);
export const thumbnailAddress = (sha256, size = 128) =>
  address(`${SENSORY}/images/${part(sha256)}/thumbnail?size=${size}`);
