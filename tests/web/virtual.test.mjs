import assert from "node:assert/strict";
import { test } from "node:test";

import { selection } from "../../web_client/js/parts/selection.js";
import { windowOf } from "../../web_client/js/parts/virtual.js";

test("only what is in sight is made, with the space of the rest", () => {
  const seen = windowOf({ count: 50_000, perRow: 8, rowHeight: 100, top: 300_000, height: 700, overscan: 2 });
  assert.deepEqual(seen, { first: 2998 * 8, last: 3009 * 8, before: 299_800, after: (6250 - 3009) * 100 });
});

test("the ends of a list are no further than the list", () => {
  assert.deepEqual(windowOf({ count: 0, rowHeight: 10, top: 0, height: 100 }), { first: 0, last: 0, before: 0, after: 0 });
  assert.deepEqual(windowOf({ count: 5, perRow: 2, rowHeight: 10, top: 0, height: 100 }), { first: 0, last: 5, before: 0, after: 0 });
  // Scrolled further than there is anything: the list became shorter.
  const beyond = windowOf({ count: 10, rowHeight: 10, top: 5000, height: 100 });
  assert.equal(beyond.first, 10);
  assert.equal(beyond.last, 10);
});

test("whatever the numbers, the window is whole rows and the space adds up", () => {
  for (let round = 0; round < 2000; round += 1) {
    const pick = (most) => Math.floor(Math.random() * most);
    const [count, perRow, rowHeight] = [pick(3000), 1 + pick(12), 20 + pick(200)];
    const [top, height] = [pick(20_000), 1 + pick(1500)];
    const { first, last, before, after } = windowOf({ count, perRow, rowHeight, top, height });
    assert.ok(first <= last && last <= count);
    assert.ok(first % perRow === 0 || first === count);
    const between = Math.ceil((last - first) / perRow) * rowHeight;
    assert.equal(before + between + after, Math.ceil(count / perRow) * rowHeight);
  }
});

function list(...ids) {
  const chosen = selection();
  chosen.set(ids);
  return chosen;
}

test("a click selects one, with Shift all between, with Ctrl one more or less", () => {
  const chosen = list("a", "b", "c", "d", "e");
  chosen.choose(1);
  chosen.choose(3, { extend: true });
  assert.deepEqual(chosen.selected(), ["b", "c", "d"]);
  chosen.choose(2, { toggle: true });
  chosen.choose(0, { toggle: true });
  assert.deepEqual(chosen.selected(), ["a", "b", "d"]);
  chosen.choose(4);
  assert.deepEqual(chosen.selected(), ["e"]);
});

test("keys go through the list and select on from where they were", () => {
  const chosen = list("a", "b", "c", "d");
  chosen.move(1);
  assert.equal(chosen.active, 1);
  assert.equal(chosen.size, 0);
  chosen.move(1, { extend: true });
  assert.deepEqual(chosen.selected(), ["b", "c"]);
  chosen.move(-10, { extend: true });
  assert.deepEqual(chosen.selected(), ["a", "b"]);
  chosen.move(99);
  assert.equal(chosen.active, 3);
});

test("what is gone is not selected, and one stays where one was", () => {
  const chosen = list("a", "b", "c", "d");
  chosen.select(["b", "c"]);
  chosen.go(2);
  chosen.set(["x", "c", "d"]);
  assert.deepEqual(chosen.selected(), ["c"]);
  assert.equal(chosen.active, 1);
  chosen.set([]);
  assert.equal(chosen.active, -1);
  chosen.move(1);
  assert.deepEqual(chosen.selected(), []);
  chosen.set(["a"]);
  assert.equal(chosen.active, 0);
});
