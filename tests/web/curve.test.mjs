import assert from "node:assert/strict";
import { test } from "node:test";

import { logTicks, scale, ticks } from "../../web_client/js/parts/axes.js";
import { sharesOf } from "../../web_client/js/parts/bars.js";
import { curveLayout, staircase, windowOf } from "../../web_client/js/parts/curve.js";

test("ticks are round numbers within the axis", () => {
  assert.deepEqual(ticks(0, 10, 4), [0, 5, 10]);
  assert.deepEqual(ticks(0.52, 0.97, 4), [0.6, 0.8]);
  for (const value of ticks(0.913, 0.999, 4)) assert.ok(value >= 0.913 && value <= 0.999);
  assert.deepEqual(ticks(3, 3), [3]);
  assert.deepEqual(logTicks(100, 10_000), [100, 200, 500, 1000, 2000, 5000, 10_000]);
  assert.deepEqual(logTicks(10, 1e6), [10, 100, 1000, 10_000, 100_000, 1e6]);
});

test("values become pixels, logarithms too", () => {
  const at = scale({ low: 1, high: 100, from: 0, to: 200, log: true });
  assert.deepEqual([at(1), at(10), at(100)], [0, 100, 200]);
  assert.equal(scale({ low: 5, high: 5, from: 0, to: 10 })(5), 0);
});

test("a staircase rises at its records only and goes on to the end", () => {
  const same = (value) => value;
  assert.deepEqual(staircase({ xs: [1, 4], ys: [5, 8] }, 9, same, same), [[1, 5], [4, 5], [4, 8], [9, 8]]);
  assert.deepEqual(staircase({ xs: [], ys: [] }, 9, same, same), []);
});

test("hopeless candidates do not squeeze the others", () => {
  const { low, high } = windowOf([0.1, ...Array(50).fill(0.95), 0.99]);
  assert.ok(low > 0.85);
  assert.ok(high <= 1);
  assert.deepEqual(windowOf([]), { low: 0, high: 1 });
  assert.ok(windowOf([1, 1, 1]).high > windowOf([1, 1, 1]).low);
});

test("nothing judged is nothing to draw, and lines without points are left out", () => {
  assert.equal(curveLayout({ lines: [{ name: "a", xs: [], ys: [], last: 0 }] }, 400, 200), null);
  const lines = [{ name: "a", xs: [], ys: [], last: 0 }, { name: "b", xs: [1], ys: [0.5], last: 3 }];
  assert.deepEqual(curveLayout({ lines }, 400, 200).lines.map((line) => line.name), ["b"]);
});

test("every point lies within the frame", () => {
  const xs = Array.from({ length: 300 }, (_, index) => index + 1);
  const ys = xs.map((x) => (x % 97) / 97);
  const { x, y } = curveLayout({ lines: [{ name: "a", xs, ys, last: 300 }], dots: { xs, ys } }, 400, 200);
  for (const at of xs.keys()) {
    assert.ok(x(xs[at]) >= 0 && x(xs[at]) <= 400);
    assert.ok(y(ys[at]) >= 0 && y(ys[at]) <= 200);
  }
});

test("parts of bars are shares of the longest", () => {
  const parts = (...values) => ({ parts: values.map((value) => ({ value })) });
  assert.deepEqual(sharesOf([parts(2, 2), parts(1), parts(-5)]), [[0.5, 0.5], [0.25], [0]]);
});
