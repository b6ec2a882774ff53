// The page's side of uploads: hands files to the worker, a few at a time, and tells how far it is.

import { whoami } from "../api/admin.js";
import { store } from "../lib/store.js";
import { weigh } from "./weight.js";

const CHUNK = 200;
const MOST_OUT = 2000;
const RATE_OVER = 10; // seconds

let only = null;

// Returns the engine of this page: {state, add, pause, go, forget}. `state`: {drops: [{id, dataset,
// counts, state, trouble, lost, before, rate, left}], refused: [{id, path, kind, detail}]}, where
// `state` of a drop is walking, sending, waiting, paused or done, `rate` files a second and `left`
// seconds, both null while nobody can know.
export function engine() {
  only ??= create();
  return only;
}

function create() {
  const state = store({ drops: [], refused: [] });
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const history = new Map(); // drop → [[seconds, settled]]
  let out = 0;
  let waiting = [];

  worker.addEventListener("message", async ({ data }) => {
    if (data.type === "taken") {
      out -= data.count;
      for (const one of waiting.splice(0)) one();
    } else if (data.type === "locked") {
      // Asked from here, so that the page opens its dialog; the answer comes once there is a key.
      await whoami().catch(() => {});
      worker.postMessage({ type: "unlock" });
    } else {
      const drops = data.drops.map((drop) => ({ ...drop, ...speed(history, drop) }));
      state.set({ drops, refused: data.refused.length ? [...state.get().refused, ...data.refused] : state.get().refused });
    }
  });
  worker.addEventListener("error", (event) => console.error(event.message));
  const wake = () => { if (!document.hidden) worker.postMessage({ type: "wake" }); };
  addEventListener("online", wake);
  document.addEventListener("visibilitychange", wake);

  // What is neither sent nor kept would be gone with the page.
  addEventListener("beforeunload", (event) => {
    const isOpen = (drop) => drop.state === "walking" || (drop.state !== "done" && !drop.mayResume);
    if (state.get().drops.some(isOpen)) event.preventDefault();
  });

  return {
    state,
    // Resolves with the number of files once all of the source is handed over. `source` gives
    // {path, file} or {path, problem}; `category` is for files whose path says none.
    async add(dataset, source, { category = null, sourceOfLabel } = {}) {
      const id = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
      worker.postMessage({ type: "begin", drop: { id, dataset, made: Date.now() / 1000, source: sourceOfLabel } });
      let files = [];
      let total = 0;
      const hand = () => {
        out += files.length;
        total += files.length;
        worker.postMessage({ type: "files", id, files, category });
        weigh(files.length);
        files = [];
      };
      for await (const one of source) {
        files.push(one);
        if (files.length < CHUNK) continue;
        hand();
        while (out > MOST_OUT) await new Promise((resolve) => { waiting.push(resolve); });
      }
      if (files.length > 0) hand();
      worker.postMessage({ type: "end", id });
      return total;
    },
    pause: () => worker.postMessage({ type: "pause" }),
    go: () => worker.postMessage({ type: "go" }),
    forget(id) {
      state.set({ refused: state.get().refused.filter((one) => one.id !== id), drops: state.get().drops.filter((one) => one.id !== id) });
      worker.postMessage({ type: "forget", id });
    },
  };
}

function speed(history, { id, counts, state }) {
  const now = performance.now() / 1000;
  const settled = counts.stored + counts.known + counts.relabeled + counts.refused;
  const points = history.get(id) ?? [];
  history.set(id, points);
  points.push([now, settled]);
  while (points.length > 2 && points[0][0] < now - RATE_OVER) points.shift();
  const [[from, before]] = points;
  if (state !== "sending" && state !== "walking") return { rate: null, left: null };
  const rate = now - from > 0.5 ? (settled - before) / (now - from) : null;
  return { rate, left: rate && state === "sending" ? (counts.found - settled) / rate : null };
}
