import assert from "node:assert/strict";
import { test } from "node:test";

import { drops } from "../../web_client/js/upload/drops.js";
import { ledger, room } from "../../web_client/js/upload/ledger.js";

// The browser's store as far as it is used, kept in memory; it outlives a "page".
function memory({ fails = () => false } = {}) {
  const tables = { drops: new Map(), bytes: new Map() };
  const name = JSON.stringify;
  const order = (one, other) => {
    const [a, b] = [[one].flat(), [other].flat()];
    const at = a.findIndex((part, index) => part !== b[index]);
    return at < 0 ? 0 : a[at] < b[at] ? -1 : 1;
  };
  const sorted = (table) => [...tables[table].values()].sort((one, other) => order(one.key, other.key));
  const guard = () => { if (fails()) throw new DOMException("full", "QuotaExceededError"); };
  return {
    tables,
    async put(table, value, key = value.id) { guard(); tables[table].set(name(key), { key, value: structuredClone(value) }); },
    async putMany(table, pairs, gone = []) {
      guard();
      for (const [value, key] of pairs) tables[table].set(name(key), { key, value: structuredClone(value) });
      for (const key of gone) tables[table].delete(name(key));
    },
    get: async (table, key) => structuredClone(tables[table].get(name(key))?.value),
    getMany: async (table, keys) => keys.map((key) => structuredClone(tables[table].get(name(key))?.value)),
    async delete(table, key) { tables[table].delete(name(key)); },
    async deleteRange(table, from, to) {
      for (const { key } of sorted(table)) if (order(key, from) >= 0 && order(key, to) <= 0) tables[table].delete(name(key));
    },
    range: async (table, from = null, to = null, limit = Infinity) => sorted(table)
      .filter(({ key }) => (from === null || order(key, from) >= 0) && (to === null || order(key, to) <= 0)).slice(0, limit)
      .map((one) => structuredClone(one)),
  };
}

function page(db, { mayAnswer = () => true, most = 1e9 } = {}) {
  const received = [];
  const refused = [];
  let taken = 0;
  const away = Object.assign(new Error("away"), { status: 503, isPassing: true, retryAfter: null });
  const all = drops({
    book: ledger(db, most), hash: async (buffer) => Buffer.from(buffer).toString("hex"),
    // A page that is left to try for ever must not keep the test alive.
    wait: () => new Promise((resolve) => { setTimeout(resolve, 1).unref(); }),
    api: {
      lookup: async (_, hashes) => hashes.filter((hash) => received.includes(hash)).map((image) => ({ image, category: null })),
      async upload(_, files) {
        if (!(await mayAnswer())) throw away;
        received.push(...files.map(({ data }) => Buffer.from(data).toString("hex")));
        return { stored: files.map(() => ({ duplicate: false, relabeled: false })), refused: [] };
      },
    },
    told: { changed: () => {}, refused: (id, one) => refused.push(one), taken: (id, count) => { taken += count; } },
  });
  return { all, received, refused, taken: () => taken };
}

const file = (content) => ({ size: content.length, arrayBuffer: async () => new TextEncoder().encode(content).buffer });
const files = (count, from = 0) => Array.from({ length: count }, (_, index) => ({ path: `pets/cats/${from + index}.png`, file: file(`picture ${from + index}`) }));
const until = async (condition) => { for (let turn = 0; turn < 5000 && !condition(); turn += 1) await new Promise((resolve) => { setTimeout(resolve, 1); }); assert.ok(condition()); };
const begin = (all) => all.begin({ id: "d1", dataset: "pets", made: 1 });

test("a drop goes on in the next page, and no picture is lost", async () => {
  const db = memory();
  let answers = 0;
  const first = page(db, { mayAnswer: () => (answers += 1) <= 1 });
  begin(first.all);
  await first.all.files("d1", files(300), null);
  first.all.end("d1");
  await until(() => first.all.state()[0].state === "waiting" && first.received.length > 0);
  await first.all.save();
  assert.equal(db.tables.bytes.size, 300 - first.received.length);

  const second = page(db);
  await second.all.resume(() => true);
  const [drop] = second.all.state();
  assert.deepEqual([drop.counts.found, drop.before, drop.lost], [300, 300 - first.received.length, 0]);
  await until(() => second.all.state()[0].state === "done");
  assert.equal(second.all.state()[0].counts.stored, 300);
  assert.equal(new Set([...first.received, ...second.received]).size, 300);
  await second.all.save();
  assert.deepEqual([db.tables.drops.size, db.tables.bytes.size], [0, 0]);
});

test("a page that died before it wrote how far it was sends again, and loses nothing", async () => {
  const db = memory();
  const first = page(db);
  begin(first.all);
  await first.all.files("d1", files(50), null);
  first.all.end("d1");
  await first.all.save();
  await until(() => first.all.state()[0].state === "done");
  const second = page(db);
  await second.all.resume(() => true);
  await until(() => second.all.state().every((drop) => drop.state === "done"));
  assert.equal(new Set([...first.received, ...second.received]).size, 50);
});

test("what could not be kept is said to be missing, until a person says they know", async () => {
  const db = memory();
  const first = page(db, { mayAnswer: () => false, most: 2000 });
  begin(first.all);
  await first.all.files("d1", files(100), null);
  await first.all.files("d1", files(100, 100), null);
  first.all.end("d1");
  assert.equal(first.all.state()[0].mayResume, false);
  await first.all.save();
  for (const turn of [1, 2]) {
    const next = page(db);
    await next.all.resume(() => true);
    const [drop] = next.all.state();
    assert.equal(drop.lost, 100, `page ${turn}`);
    await until(() => next.all.state()[0].state === "done");
    await next.all.save();
    if (turn === 2) await next.all.forget("d1");
  }
  assert.equal(db.tables.drops.size, 0);
});

test("a page that was closed while it was still reading says so", async () => {
  const db = memory();
  const first = page(db, { mayAnswer: () => false });
  begin(first.all);
  await first.all.files("d1", files(10), null);
  await first.all.save();
  const second = page(db);
  await second.all.resume(() => true);
  assert.ok(second.all.state()[0].lost > 0);
});

test("a drop that another page works on is left to it", async () => {
  const db = memory();
  const first = page(db, { mayAnswer: () => false });
  begin(first.all);
  await first.all.files("d1", files(10), null);
  await first.all.save();
  const second = page(db);
  await second.all.resume(() => false);
  assert.deepEqual(second.all.state(), []);
});

test("without a store, or with a full one, everything arrives all the same", async () => {
  for (const db of [null, memory({ fails: () => true })]) {
    const only = page(db);
    begin(only.all);
    await only.all.files("d1", files(30), null);
    only.all.end("d1");
    await until(() => only.all.state()[0].state === "done");
    assert.equal(only.received.length, 30);
    assert.equal(only.taken(), 30);
  }
});

test("as many files are let go of as were taken, whatever became of them", async () => {
  const only = page(memory());
  begin(only.all);
  const gone = { path: "pets/cats/gone.png", file: { size: 1, arrayBuffer: async () => { throw new DOMException("gone", "NotFoundError"); } } };
  await only.all.files("d1", [...files(20), gone, { path: "pets/secret", problem: "cannot be read: NotAllowedError" }], null);
  only.all.end("d1");
  await until(() => only.all.state()[0].state === "done");
  assert.equal(only.taken(), 22);
  assert.deepEqual(only.refused.map((one) => one.detail).sort(), ["cannot be read: NotAllowedError", "cannot be read: NotFoundError"]);
});

test("what is stopped leaves nothing behind, and what was on its way is let go of", async () => {
  const db = memory();
  const only = page(db, { mayAnswer: () => false });
  begin(only.all);
  await only.all.files("d1", files(20), null);
  await only.all.save();
  await only.all.forget("d1");
  await only.all.files("d1", files(5, 20), null);
  assert.deepEqual([db.tables.drops.size, db.tables.bytes.size, only.all.state().length], [0, 0, 0]);
  assert.equal(only.taken(), 25);
});

test("what could not be kept is let go of when it is stopped, once", async () => {
  let release;
  const answer = new Promise((resolve) => { release = resolve; });
  let isAsked = false;
  const only = page(memory(), { most: 0, mayAnswer: () => { isAsked = true; return answer; } });
  begin(only.all);
  await only.all.files("d1", files(20), null);
  await until(() => isAsked);
  await only.all.forget("d1");
  assert.equal(only.taken(), 20);
  release(true);
  await until(() => only.received.length === 20);
  assert.equal(only.taken(), 20);
});

test("photos are read a few at a time, and not at all where there is no room for them", async () => {
  const photo = 3 * 2 ** 20;
  const of = (count, taken) => Array.from({ length: count }, (_, index) => ({
    path: `pets/cats/${index}.jpg`,
    file: { size: photo, async arrayBuffer() { taken.read += 1; taken.most = Math.max(taken.most, taken.read - taken.kept); return new TextEncoder().encode(`photo ${index}`).buffer; } },
  }));
  const taken = { read: 0, kept: 0, most: 0 };
  const db = memory();
  const only = page({ ...db, putMany(table, pairs, gone) { taken.kept += pairs.length; return db.putMany(table, pairs, gone); } },
    { mayAnswer: () => false, most: 10 * photo });
  begin(only.all);
  only.all.pause();
  await only.all.files("d1", of(50, taken), null);
  assert.deepEqual([taken.kept, taken.read, taken.most], [10, 10, 2]);
  assert.equal(only.taken(), 10);
});

test("a large file among small ones is kept like them, one that is too large is left to be refused", async () => {
  const db = memory();
  const only = page(db, { mayAnswer: () => false });
  begin(only.all);
  const large = (name, size) => ({ path: `pets/cats/${name}.png`, file: { ...file(name), size } });
  await only.all.files("d1", [...files(3), large("large", 20 * 2 ** 20), large("huge", 65 * 2 ** 20)], null);
  assert.deepEqual([db.tables.bytes.size, only.all.state()[0].mayResume], [4, true]);
  await until(() => only.refused.length > 0);
  assert.deepEqual(only.refused.map(({ path }) => path), ["pets/cats/huge.png"]);
});

test("a page that died before it ever wrote how far it was leaves nothing that nobody knows of", async () => {
  const db = memory();
  const first = page(db, { mayAnswer: () => false });
  begin(first.all);
  await first.all.files("d1", files(10), null);
  const second = page(db);
  await second.all.resume(() => true);
  assert.equal(second.all.state()[0].counts.found, 10);
  await until(() => second.all.state()[0].state === "done");
  assert.equal(second.all.state()[0].counts.stored, 10);
  await second.all.forget("d1");
  assert.deepEqual([db.tables.drops.size, db.tables.bytes.size], [0, 0]);
});

test("the room of what arrived, or was stopped, is there for others", async () => {
  let isOpen = false;
  const only = page(memory(), { most: 250, mayAnswer: () => isOpen });
  const drop = async (id, from) => {
    only.all.begin({ id, dataset: "pets", made: 1 });
    await only.all.files(id, files(20, from), null); // some 200 bytes
    only.all.end(id);
    return only.all.state().at(-1).mayResume;
  };
  assert.equal(await drop("stopped", 100), true);
  assert.equal(await drop("too much", 200), false);
  await only.all.forget("stopped");
  assert.equal(await drop("next", 300), true);
  isOpen = true;
  await until(() => only.all.state().every(({ state }) => state === "done"));
  await only.all.save();
  assert.equal(await drop("last", 400), true);
});

test("what is stopped while all is written down is not written again", async () => {
  const db = memory();
  const only = page({ ...db, put: async (...what) => { await null; return db.put(...what); } }, { mayAnswer: () => false });
  for (const id of ["d1", "d2"]) await only.all.begin({ id, dataset: "pets", made: 1 });
  for (const id of ["d1", "d2"]) await only.all.files(id, files(5), null);
  await Promise.all([only.all.save(), only.all.forget("d2")]);
  assert.deepEqual([...db.tables.drops.values()].map(({ value }) => value.id), ["d1"]);
});

test("a fifth of what the browser offers is taken, and at most 512 MB", async () => {
  assert.equal(await room({ estimate: async () => ({ quota: 1000 }) }), 200);
  assert.equal(await room({ estimate: async () => ({ quota: 1e15 }) }), 512 * 2 ** 20);
  assert.equal(await room({ estimate: async () => { throw new TypeError("no"); } }), 0);
  assert.equal(await room(undefined), 0);
});
