import assert from "node:assert/strict";
import { test } from "node:test";

import { frontOf, hit, scatterLayout } from "../../web_client/js/parts/scatter.js";

const point = (number, x, y) => ({ number, x, y });

test("on the front is who is beaten in neither", () => {
  const points = [point(1, 10, 0.5), point(2, 20, 0.4), point(3, 20, 0.9), point(4, 5, 0.5), point(5, 30, 0.9), point(6, NaN, 1)];
  assert.deepEqual(frontOf(points).map((one) => one.number), [4, 3]);
});

test("the front of random points is what comparing all with all says", () => {
  let seed = 7;
  const random = () => { seed = (seed * 48271) % 2147483647; return Math.round((seed / 2147483647) * 40) / 40; };
  const points = Array.from({ length: 200 }, (_, index) => point(index, random(), random()));
  const beats = (one, other) => one.x <= other.x && one.y >= other.y && (one.x < other.x || one.y > other.y);
  const expected = new Set(points.filter((one) => !points.some((other) => beats(other, one))).map(({ x, y }) => `${x},${y}`));
  assert.deepEqual(new Set(frontOf(points).map(({ x, y }) => `${x},${y}`)), expected);
});

test("what is drawn is found again under the pointer, also across the lines of the grid", () => {
  const points = Array.from({ length: 500 }, (_, index) => point(index, 1 + index * 37, (index * 7919 % 500) / 500));
  const layout = scatterLayout(points, 600, 260);
  for (const dot of layout.dots.filter((_, index) => index % 17 === 0)) {
    const found = hit(layout, dot.left + 1, dot.top - 1);
    assert.ok(Math.hypot(found.left - dot.left - 1, found.top - dot.top + 1) <= Math.hypot(1, 1) + 1e-9);
  }
  assert.equal(hit(layout, -500, -500), null);
});

test("points without a cost are not drawn, and of one cost alone there is still an axis", () => {
  assert.equal(scatterLayout([point(1, 0, 0.5), point(2, NaN, 0.5)], 400, 200), null);
  const { dots } = scatterLayout([point(1, 100, 0.5), point(2, 100, 0.6)], 400, 200);
  assert.ok(dots.every((dot) => Number.isFinite(dot.left) && Number.isFinite(dot.top)));
});
