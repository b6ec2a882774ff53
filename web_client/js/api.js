// The services, by the paths they share behind one address.

const SENSORY = "api/sensory/v1";
const EVOLUTION = "api/evolution/v1";
const CLASSIFICATION = "api/classification/v1";
const ADMIN = "api/admin/v1";

// Called whenever a service asks for a key.
let askForKey = () => {};

export function onUnauthorized(callback) {
  askForKey = callback;
}

// What a service answered instead: `kind` for programs, `message` for people. Status 0 means
// that nothing answered at all.
export class Problem extends Error {
  constructor(status, kind, detail) {
    super(detail);
    this.status = status;
    this.kind = kind;
  }

  get isPassing() {
    return [0, 502, 503, 504].includes(this.status);
  }
}

async function call(method, path, { query = {}, json, body, signal } = {}) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") parameters.set(name, value);
  }
  const search = parameters.toString();
  const headers = json === undefined ? {} : { "Content-Type": "application/json" };
  let response;
  try {
    response = await fetch(search ? `${path}?${search}` : path, {
      method, headers, body: json === undefined ? body : JSON.stringify(json), signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "unreachable", "The service does not answer.");
  }
  if (response.ok) return response.status === 204 ? null : response.json();
  const problem = await problemOf(response);
  if (problem.status === 401 && path !== `${ADMIN}/login`) askForKey();
  throw problem;
}

async function problemOf(response) {
  try {
    const { type, detail } = await response.json();
    return new Problem(response.status, type, detail || type || response.statusText);
  } catch {
    return new Problem(response.status, "error", `The service answered ${response.status}.`);
  }
}

const part = encodeURIComponent;

export const admin = {
  whoami: () => call("GET", `${ADMIN}/whoami`),
  login: (key) => call("POST", `${ADMIN}/login`, { json: { key } }),
  logout: () => call("POST", `${ADMIN}/logout`),
};

export const sensory = {
  datasets: async () => (await call("GET", `${SENSORY}/datasets`)).datasets,
  upload: (dataset, files, { category, split, signal }) => {
    const form = new FormData();
    for (const file of files) form.append("files", file, file.name);
    const query = { category, split };
    return call("POST", `${SENSORY}/datasets/${part(dataset)}/images`, { query, body: form, signal });
  },
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
  fileAddress: (network, kind) => `${CLASSIFICATION}/networks/${part(network)}/${kind}`,
};
