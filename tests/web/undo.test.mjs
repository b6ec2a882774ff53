import assert from "node:assert/strict";
import { test } from "node:test";

import { undoLog } from "../../web_client/js/labeling/undo.js";

function shelf() {
  const rows = new Map();
  let key = 0;
  return {
    rows,
    older: async (dataset, limit) => [...rows].map(([at, value]) => ({ key: at, value: structuredClone(value) })).filter(({ value }) => value.dataset === dataset).reverse().slice(0, limit),
    add: async (value) => { key += 1; rows.set(key, structuredClone(value)); return key; },
    put: async (value, at) => { rows.set(at, structuredClone(value)); },
    remove: async (at) => { rows.delete(at); },
  };
}
const settled = () => new Promise((resolve) => { setTimeout(resolve, 5); });
const did = (image, before, after, changed = null) => [{ image, before, after, changed }];

test("what was done is taken back in turn, and done again", async () => {
  const log = undoLog("pets", shelf());
  log.did(did("a", null, "cats"));
  log.did(did("a", "cats", "dogs"));
  assert.deepEqual(await log.undo(), [{ image: "a", category: "cats", seen: null }]);
  assert.deepEqual(await log.undo(), [{ image: "a", category: null, seen: null }]);
  assert.equal(await log.undo(), null);
  assert.deepEqual(log.redo(), [{ image: "a", category: "cats", seen: null }]);
  log.did(did("b", null, "cats"));
  assert.equal(log.redo(), null);
});

test("what belongs to a step goes back with it, and not after it went back", async () => {
  const rows = shelf();
  const log = undoLog("pets", rows);
  const step = log.did(did("a", null, "cats"));
  assert.equal(log.also(step, did("b", null, "cats")), true);
  await settled();
  const next = undoLog("pets", rows);
  assert.deepEqual((await next.undo()).map((one) => one.image), ["a", "b"]);
  assert.equal((await log.undo()).length, 2);
  assert.equal(log.also(step, did("c", null, "cats")), false);
});

test("the way back has seen what the server said last", async () => {
  const log = undoLog("pets", shelf());
  log.did(did("a", null, "cats"));
  log.learn([{ image: "a", changed: 12.5 }]);
  assert.deepEqual(await log.undo(), [{ image: "a", category: null, seen: 12.5 }]);
  log.learn([{ image: "a", changed: 13.5 }]);
  assert.deepEqual(log.redo(), [{ image: "a", category: "cats", seen: 13.5 }]);
});

test("the way back of what is still on its way has seen what the decision had", async () => {
  const log = undoLog("pets", shelf());
  const step = log.did(did("a", null, "cats", 5));
  log.also(step, did("b", null, "cats", 6));
  assert.deepEqual((await log.undo()).map((one) => one.seen), [5, 6]);
});

test("what came to nothing is not taken back, and with it nothing that was before", async () => {
  const rows = shelf();
  const log = undoLog("pets", rows);
  log.did(did("a", null, "cats", 5));
  log.did([...did("a", "cats", "birds", 7), ...did("b", null, "birds", 6)]);
  log.lose(["a"]);
  log.did(did("a", "dogs", "mice", 9));
  assert.deepEqual((await log.undo()).map((one) => one.category), ["dogs"]);
  assert.deepEqual((await log.undo()).map((one) => one.image), ["b"]);
  assert.equal(await log.undo(), null);
  log.lose(["b"]);
  assert.deepEqual(log.redo().map((one) => one.image), ["a"]);
  await settled();
  assert.equal(rows.rows.size, 1);
});

test("what the server says after a reload counts for the steps of the page before", async () => {
  const rows = shelf();
  const before = undoLog("pets", rows);
  for (const image of ["a", "b", "c"]) before.did(did(image, null, "cats", 5));
  await settled();
  const log = undoLog("pets", rows);
  log.learn([{ image: "b", changed: 12.5 }]);
  log.lose(["c"]);
  assert.deepEqual(await Promise.all([log.undo(), log.undo(), log.undo()]),
    [[{ image: "b", category: null, seen: 12.5 }], [{ image: "a", category: null, seen: 5 }], null]);
  await settled();
  assert.equal(rows.rows.size, 0);
});

test("150 steps and a group of many are taken back by the page after the reload", async () => {
  const rows = shelf();
  const log = undoLog("pets", rows);
  undoLog("other", rows).did(did("x", null, "y"));
  for (let step = 0; step < 150; step += 1) {
    log.did(did(`i${step}`, null, "cats"));
    log.learn([{ image: `i${step}`, changed: step + 1 }]);
  }
  log.did([...did("g1", null, "dogs"), ...did("g2", "cats", "dogs")]);
  await settled();
  const next = undoLog("pets", rows);
  assert.deepEqual((await next.undo()).map((one) => one.category), [null, "cats"]);
  for (let step = 149; step >= 0; step -= 1) {
    assert.deepEqual(await next.undo(), [{ image: `i${step}`, category: null, seen: step + 1 }]);
  }
  assert.equal(await next.undo(), null);
  await settled();
  assert.deepEqual([...rows.rows.values()].map((one) => one.dataset), ["other"]);
});

test("a database that refuses leaves the steps of this page", async () => {
  const refuse = async () => { throw new Error("full"); };
  const log = undoLog("pets", { older: refuse, add: refuse, put: refuse, remove: refuse });
  log.did(did("a", null, "cats"));
  assert.equal((await log.undo()).length, 1);
  assert.equal(await log.undo(), null);
});
