// What is asked of a run, from the form and from a point of the front; and how two runs differ. Pure.

import { count, duration, percent, size } from "../../lib/text.js";

export const LIVE = new Set(["queued", "running"]);
export const isLive = (run) => LIVE.has(run.state);

const NUMBERS = ["seconds", "evaluations", "epochs_total", "population", "seed", "workers", "max_latency_us", "max_parameters"];

// Turns the values of the form (texts, and `objectives` as a list) into a RunRequest.
export function requestOf(values) {
  const request = { dataset: values.dataset, strategy: values.strategy, promote: values.promote };
  for (const name of NUMBERS) {
    const text = String(values[name] ?? "").trim();
    if (text !== "") request[name] = Number(text);
  }
  // Left out, a minute would be taken.
  request.seconds ??= null;
  if (values.snapshot) request.snapshot = values.snapshot;
  if (values.device) request.device = values.device;
  const objectives = values.objectives ?? [];
  if (objectives.length) request.objectives = ["accuracy", ...objectives];
  const shape = shapeOf(values.shape);
  if (shape) request.shape = shape;
  return request;
}

// "28x28x1", "28 × 28" → numbers; the channels are 3 unless said. Null for nothing.
export function shapeOf(text) {
  const numbers = (text ?? "").split(/[x×*,\s]+/i).filter(Boolean).map(Number);
  if (numbers.length === 0) return null;
  return numbers.length === 2 ? [...numbers, 3] : numbers;
}

// Trains one individual again, with all of its run's own circumstances, and puts it into the gallery.
export function publishing(run, individual) {
  const { request } = run;
  return {
    dataset: request.dataset, snapshot: run.snapshot, shape: run.shape, resize: request.resize,
    start: [individual.genome], taxonomy: request.taxonomy, seed: request.seed,
    seconds: null, evaluations: 1, population: 2, workers: 1, keep_weights: 1, promote: "never",
    command: `individual ${individual.number} of run ${run.id}`,
  };
}

// Which field a refusal is about, by the names it holds; null: none of them.
export function fieldOf(message, names) {
  const at = names.map((name) => ({ name, at: message.search(new RegExp(`\\b${name}\\b`)) }))
    .filter((one) => one.at >= 0).sort((one, other) => one.at - other.at);
  return at[0]?.name ?? null;
}

export function budgetOf({ seconds, evaluations, epochs_total: epochs }) {
  const ends = [seconds && duration(seconds), evaluations && count(evaluations, "candidate"), epochs && count(epochs, "epoch")];
  return ends.filter(Boolean).join(" or ");
}

const ROWS = [
  ["Best", (run) => percent(run.progress.best, 2)],
  ["State", (run) => run.state],
  ["Births", (run) => String(run.progress.births)],
  ["Failed", (run) => String(run.progress.failed)],
  ["Epochs", (run) => String(run.progress.epochs)],
  ["Time spent", (run) => duration(run.progress.seconds)],
  ["Dataset", (run) => run.request.dataset],
  ["Snapshot", (run) => (run.snapshot ? run.snapshot.slice(0, 10) : "–")],
  ["Input", (run) => size(run.shape)],
  ["Ends after", (run) => budgetOf(run.request)],
  ["Strategy", (run) => run.request.strategy],
  ["Objectives", (run) => run.request.objectives.join(", ")],
  ["Slowest allowed", (run) => (run.request.max_latency_us ? `${run.request.max_latency_us} µs` : "–")],
  ["Largest allowed", (run) => (run.request.max_parameters ? count(run.request.max_parameters, "weight") : "–")],
  ["Population", (run) => String(run.request.population)],
  ["Workers", (run) => String(run.request.workers ?? "one per core")],
  ["Seed", (run) => String(run.request.seed)],
];

// [{name, values, differs}]: what was asked and what came of it, a value for each run.
export function comparison(runs) {
  return ROWS.map(([name, of]) => {
    const values = runs.map(of);
    return { name, values, differs: new Set(values).size > 1 };
  });
}
