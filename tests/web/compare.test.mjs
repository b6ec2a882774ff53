import assert from "node:assert/strict";
import { test } from "node:test";

import { budgetOf, comparison, fieldOf, publishing, requestOf, shapeOf } from "../../web_client/js/views/evolve/requests.js";

const values = { dataset: "pets", strategy: "evolution", promote: "auto", seconds: "60", evaluations: "", population: "16", seed: "0", objectives: [] };

test("the form says what was typed, and nothing that was not", () => {
  assert.deepEqual(requestOf(values), { dataset: "pets", strategy: "evolution", promote: "auto", seconds: 60, population: 16, seed: 0 });
});

test("a run without a time says so, for left out it would be a minute", () => {
  const request = requestOf({ ...values, seconds: " ", evaluations: "40", objectives: ["latency"], max_latency_us: "250", shape: "28x28x1", snapshot: "ab" });
  assert.deepEqual(request, {
    dataset: "pets", strategy: "evolution", promote: "auto", seconds: null, evaluations: 40, population: 16, seed: 0,
    objectives: ["accuracy", "latency"], max_latency_us: 250, shape: [28, 28, 1], snapshot: "ab",
  });
});

test("a shape is read as people write it", () => {
  assert.deepEqual(shapeOf("28 × 28 × 1"), [28, 28, 1]);
  assert.deepEqual(shapeOf("64X48"), [64, 48, 3]);
  assert.equal(shapeOf("  "), null);
  assert.equal(shapeOf(undefined), null);
});

test("a refusal is put to the field that it names first, by whole words", () => {
  assert.equal(fieldOf("population: expected at least 2, max_parameters", ["max_parameters", "population"]), "population");
  assert.equal(fieldOf("candidate_seconds is too long", ["seconds"]), null);
});

const run = (id, more = {}) => ({
  id, state: "complete", snapshot: "5".repeat(64), shape: [8, 8, 1], created: 0,
  request: { dataset: "pets", seconds: 60, evaluations: null, epochs_total: null, strategy: "evolution", objectives: ["accuracy"], population: 16, seed: 0, workers: null, resize: "fit", taxonomy: { layers: 3 }, max_latency_us: null, max_parameters: null, ...more },
  progress: { best: 0.9, births: 10, failed: 0, epochs: 30, seconds: 61 },
});

test("an individual is published from its run's own circumstances, and promotes nobody", () => {
  const request = publishing(run("r1"), { number: 7, genome: { version: 1 } });
  assert.deepEqual([request.snapshot, request.shape, request.taxonomy], ["5".repeat(64), [8, 8, 1], { layers: 3 }]);
  assert.deepEqual([request.start, request.seconds, request.evaluations, request.promote], [[{ version: 1 }], null, 1, "never"]);
});

test("a comparison marks what differs", () => {
  const rows = comparison([run("r1"), run("r2", { seed: 3 })]);
  assert.deepEqual(rows.filter((row) => row.differs).map((row) => [row.name, row.values]), [["Seed", ["0", "3"]]]);
});

test("a budget names every end", () => {
  assert.equal(budgetOf({ seconds: 90, evaluations: 1, epochs_total: 200 }), "1 min 30 s or 1 candidate or 200 epochs");
});
