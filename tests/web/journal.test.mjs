import assert from "node:assert/strict";
import { test } from "node:test";

import { endsOf, failuresOf, journal } from "../../web_client/js/views/evolve/journal.js";

const evaluation = (rung, accuracy, more = {}) => ({
  rung, state: "finished", outcome: accuracy === null ? "diverged" : "ok", reason: null, accuracy, loss: 1, epochs: 2,
  seconds: 3, ended: 100, at: 5, resumed: false, cached: false, worker: "w1", ...more,
});
const born = (number, more = {}) => ({
  number, parents: [], operator: "random", state: "submitted", fitness: null, outcome: null, parameters: 10 * number,
  latency_us: null, evaluations: [{ rung: "1", state: "submitted", outcome: null, accuracy: null, ended: null, epochs: null }], ...more,
});
const judged = (number, fitness, more = {}) =>
  born(number, { state: "finished", outcome: "ok", fitness, evaluations: [evaluation("1", fitness)], ...more });

test("a journal grows beyond its first room and keeps every number in its place", () => {
  const found = journal();
  found.learn(Array.from({ length: 1000 }, (_, index) => judged(index + 1, (index % 100) / 100)));
  assert.equal(found.size(), 1000);
  const { count, fitness, parameters } = found.columns();
  assert.deepEqual([count, fitness[999], parameters[999]], [1000, 0.99, 10_000]);
  assert.equal(found.best("candidate").ys.at(-1), 0.99);
});

test("the end of a training judges an individual as the service does", () => {
  const found = journal();
  found.learn([born(1), born(2)]);
  assert.equal(found.ended({ number: 1, evaluation: evaluation("1", 0.6) }), true);
  assert.equal(found.get(1).fitness, 0.6);
  found.ended({ number: 1, evaluation: evaluation("2", 0.5, { epochs: 6, resumed: true }) });
  // The highest rung counts, and the best is shown.
  assert.deepEqual([found.get(1).fitness, found.get(1).accuracy], [0.5, 0.6]);
  found.ended({ number: 1, evaluation: evaluation("final", 0.9) });
  assert.equal(found.get(1).fitness, 0.5);
  found.ended({ number: 2, evaluation: evaluation("1", null) });
  assert.equal(found.columns().state[1], 2);
});

test("an end of somebody unknown is said to be so, and told twice it is the same", () => {
  const found = journal();
  assert.equal(found.ended({ number: 7, evaluation: evaluation("1", 0.6) }), false);
  found.learn([born(1)]);
  for (const _ of [1, 2]) found.ended({ number: 1, evaluation: evaluation("1", 0.6) });
  assert.equal(found.get(1).evaluations.length, 1);
});

test("listings are asked from before the first who is not judged", () => {
  const found = journal();
  assert.equal(found.after(), 0);
  found.learn([judged(1, 0.5), born(2), judged(3, 0.5)]);
  assert.equal(found.after(), 1);
  found.ended({ number: 2, evaluation: evaluation("1", null) });
  assert.equal(found.after(), 3);
});

test("the best so far by candidates, by seconds and by epochs", () => {
  const found = journal();
  found.learn([
    judged(1, 0.5, { evaluations: [evaluation("1", 0.5, { ended: 30, at: 30 })] }),
    judged(2, 0.7, { evaluations: [evaluation("1", 0.6, { ended: 10, at: 10 }), evaluation("2", 0.7, { ended: 40, at: 40, epochs: 6, resumed: true })] }),
    judged(3, 0.4, { evaluations: [evaluation("1", 0.4, { ended: 20, at: 20, cached: true })] }),
  ]);
  assert.deepEqual(found.best("candidate"), { xs: [1, 2], ys: [0.5, 0.7], last: 3 });
  assert.deepEqual(found.best("seconds"), { xs: [10, 40], ys: [0.6, 0.7], last: 40 });
  assert.deepEqual(found.best("epochs"), { xs: [2, 8], ys: [0.6, 0.7], last: 8 });
  assert.equal(found.place(), 40);
});

test("epochs of a training that went on are counted once, remembered ones not at all", () => {
  const ends = endsOf([born(1, { evaluations: [
    evaluation("1", 0.5, { ended: 1, epochs: 3 }), evaluation("2", 0.6, { ended: 2, epochs: 9, resumed: true }),
    evaluation("3", 0.6, { ended: 3, epochs: 27, cached: true }),
  ] })]);
  assert.deepEqual(ends.map((end) => [end.own, end.epochs]), [[3, 3], [6, 9], [0, 9]]);
});

test("failures are counted by their reason, the most frequent first", () => {
  const failed = (number, reason) => born(number, { state: "finished", outcome: "diverged", reason });
  const found = failuresOf([failed(1, "a"), failed(2, "b"), failed(3, "b"), judged(4, 0.5), born(5)]);
  assert.deepEqual(found, [{ text: "diverged: b", numbers: [2, 3] }, { text: "diverged: a", numbers: [1] }]);
});

test("an event of a run with thousands costs little", () => {
  const found = journal();
  found.learn(Array.from({ length: 5000 }, (_, index) => born(index + 1)));
  const start = performance.now();
  for (let number = 1; number <= 1000; number += 1) found.ended({ number, evaluation: evaluation("1", 0.5) });
  assert.ok(performance.now() - start < 500);
});
