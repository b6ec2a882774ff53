// The services, for the views that are not rewritten yet.

import { CLASSIFICATION, EVOLUTION, address, call, part } from "./api/http.js";
import { datasets, upload } from "./api/images.js";

export const sensory = {
  datasets,
  upload: (dataset, files, options) => upload(dataset, files.map((blob) => ({ name: blob.name, blob })), options),
};

export const evolution = {
  start: (request) => call("POST", `${EVOLUTION}/runs`, { json: request }),
  runs: async () => (await call("GET", `${EVOLUTION}/runs`)).runs,
  run: (id) => call("GET", `${EVOLUTION}/runs/${part(id)}`),
  individuals: async (id, after) =>
    (await call("GET", `${EVOLUTION}/runs/${part(id)}/individuals`, { query: { after } })).individuals,
  workers: () => call("GET", `${EVOLUTION}/workers`),
  stop: (id) => call("POST", `${EVOLUTION}/runs/${part(id)}/stop`),
  resume: (id) => call("POST", `${EVOLUTION}/runs/${part(id)}/resume`),
};

export const classification = {
  networks: async (dataset) =>
    (await call("GET", `${CLASSIFICATION}/networks`, { query: { dataset } })).networks,
  champion: (dataset) => call("GET", `${CLASSIFICATION}/champions/${part(dataset)}`),
  promote: (dataset, network) =>
    call("PUT", `${CLASSIFICATION}/champions/${part(dataset)}`, { json: { network } }),
  classify: (picture, { dataset, network, top = 3 }) =>
    call("POST", `${CLASSIFICATION}/classify`, { query: { dataset, network, top }, body: picture }),
  fileAddress: (network, kind) => address(`${CLASSIFICATION}/networks/${part(network)}/${kind}`),
};
