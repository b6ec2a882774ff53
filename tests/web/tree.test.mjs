import assert from "node:assert/strict";
import { test } from "node:test";

import { ancestry, differences, mainLine, operators, treeLayout } from "../../web_client/js/views/evolve/ancestry.js";

const family = (...rows) => {
  const known = new Map(rows.map(([number, ...parents]) => [number, { number, parents, fitness: number / 100, state: "finished", operator: parents.length ? "mutation" : "seed" }]));
  return (number) => known.get(number) ?? null;
};

test("ancestors come once each, the oldest first, also where both parents share them", () => {
  const get = family([1], [2, 1], [3, 1], [4, 2, 3], [5]);
  assert.deepEqual(ancestry(get, 4).map((one) => one.number), [1, 2, 3, 4]);
  assert.deepEqual(mainLine(get, 4).map((one) => one.number), [1, 2, 4]);
});

test("a parent that is not known ends a line", () => {
  assert.deepEqual(mainLine(family([7, 3]), 7).map((one) => one.number), [7]);
  assert.deepEqual(treeLayout(family([7, 3]), 7).edges, []);
});

test("children stand below their parents and nobody on another's place", () => {
  const get = family([1], [2], [3, 1, 2], [4, 2], [5, 3, 4]);
  const { nodes, edges } = treeLayout(get, 5);
  const at = new Map(nodes.map((node) => [node.number, node]));
  for (const { from, to } of edges) assert.ok(at.get(from).row < at.get(to).row);
  assert.equal(new Set(nodes.map((node) => `${node.row}/${node.column}`)).size, nodes.length);
  assert.deepEqual(nodes.filter((node) => node.isMain).map((node) => node.number), [1, 3, 5]);
});

test("a long line is drawn in its newest part, the rest is counted", () => {
  const rows = Array.from({ length: 500 }, (_, index) => (index ? [index + 1, index] : [1]));
  const { nodes, hidden } = treeLayout(family(...rows), 500, { most: 200 });
  assert.deepEqual([nodes.length, hidden, nodes.at(-1).number], [200, 300, 500]);
});

const convolution = (more = {}) => ({ type: "convolution", filters: 32, kernel: 3, ...more });
const genome = (features, training = {}) => ({ version: 1, features, head: "average", classifier: [], mirror: false, training: { learning_rate: 0.001, augmentation: { flip: false }, ...training } });

test("what a child has that its parent has not is said gene by gene", () => {
  const pooling = { type: "pooling", size: 2 };
  const before = genome([convolution(), pooling, convolution({ filters: 64 })]);
  assert.deepEqual(differences(before, before), []);
  assert.deepEqual(differences(before, genome([convolution({ kernel: 5 }), pooling, convolution({ filters: 64 })])), ["convolution 1: kernel 3 → 5"]);
  assert.deepEqual(differences(before, genome([convolution(), convolution({ filters: 64 })])), ["features: pooling 2 taken out"]);
  assert.deepEqual(differences(before, genome([convolution(), pooling, { type: "dropout", rate: 0.3 }, convolution({ filters: 64 })])), ["features: dropout 0.3 put in"]);
  assert.deepEqual(differences(before, { ...before, head: "flatten" }), ["head average → flatten"]);
  assert.deepEqual(differences(before, genome(before.features, { learning_rate: 0.0012345678 })), ["learning rate 0.001 → 0.001235"]);
  assert.deepEqual(differences(before, genome(before.features, { augmentation: { flip: true } })), ["augmentation flip off → on"]);
});

test("operators are judged by children that beat their best parent", () => {
  const one = (number, fitness, operator, ...parents) => ({ number, fitness, operator, parents, state: "finished" });
  const found = operators([one(1, 0.5, "seed"), one(2, 0.6, "mutation", 1), one(3, 0.55, "mutation", 2), one(4, null, "mutation", 1), one(5, 0.9, "crossover+mutation", 1, 2)]);
  const round = found.map((row) => ({ ...row, gain: Number(row.gain.toFixed(6)) }));
  assert.deepEqual(round, [
    { operator: "mutation", tried: 4, failed: 1, gained: 2, gain: 0.3 },
    { operator: "seed", tried: 1, failed: 0, gained: 0, gain: 0 },
    { operator: "crossover", tried: 1, failed: 0, gained: 1, gain: 0.3 },
  ]);
});
