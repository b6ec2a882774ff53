import assert from "node:assert/strict";
import { test } from "node:test";

import { arranged } from "../../web_client/js/views/evolve/population.js";
import { numbersOf } from "../../web_client/js/views/evolve/front.js";
import { costs } from "../../web_client/js/views/evolve/report.js";

const each = (rung, more = {}) => ({ rung, state: "finished", outcome: "ok", accuracy: 0.5, epochs: 2, seconds: 1.5, ended: 1, resumed: false, cached: false, ...more });
const one = (number, evaluations, more = {}) => ({ number, state: "finished", fitness: 0.5, parents: [], evaluations, ...more });

test("costs are summed by rung, with epochs counted once", () => {
  const found = costs([
    one(1, [each("1"), each("2", { ended: 2, epochs: 6, resumed: true })]),
    one(2, [each("1", { outcome: "diverged", accuracy: null })]), one(3, [each("1", { cached: true }), each("10", { state: "submitted", ended: null })]),
  ]);
  assert.deepEqual(found, [
    { rung: "1", trainings: 3, cached: 1, failed: 1, epochs: 4, seconds: 4.5 },
    { rung: "2", trainings: 1, cached: 0, failed: 0, epochs: 4, seconds: 1.5 },
  ]);
});

test("the population is ordered and sifted; who has no accuracy comes last", () => {
  const all = () => [one(1, [], { fitness: 0.5 }), one(2, [], { fitness: null }), one(3, [], { fitness: 0.9 }), one(4, [], { state: "submitted", fitness: null })];
  const numbers = (how) => arranged(all(), how).map((each) => each.number);
  assert.deepEqual(numbers({ order: "best", kind: "all" }), [3, 1, 2, 4]);
  assert.deepEqual(numbers({ order: "newest", kind: "all" }), [4, 3, 2, 1]);
  assert.deepEqual(numbers({ order: "oldest", kind: "failed" }), [2]);
  assert.deepEqual(numbers({ order: "best", kind: "training" }), [4]);
});

test("with three objectives the run's own front counts, with fewer that of the two shown", () => {
  const run = (objectives, front) => ({ request: { objectives }, progress: { front: front.map((number) => ({ number })) } });
  const points = [{ number: 1, x: 5, y: 0.5 }, { number: 2, x: 9, y: 0.4 }];
  assert.deepEqual(numbersOf(run(["accuracy", "latency", "parameters"], [1, 2]), points), [1, 2]);
  assert.deepEqual(numbersOf(run(["accuracy"], []), points), [1]);
});
