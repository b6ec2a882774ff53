import assert from "node:assert/strict";
import { test } from "node:test";

import { decisions } from "../../web_client/js/labeling/decisions.js";

const turn = () => new Promise((resolve) => { setImmediate(resolve); });
async function settled(times = 20) { for (let i = 0; i < times; i += 1) await turn(); }
const decision = (image, category, seen = null, more = {}) => ({ dataset: "pets", source: "person", image, category, seen, ...more });

// A log like the browser's, and a server whose labels have times; `fail` says what is wrong now.
function house({ labels = {} } = {}) {
  const rows = new Map();
  let key = 0;
  let clock = 100;
  const state = { fail: null, requests: [], waits: [], labels, rows, told: [], hold: null };
  const log = {
    read: async () => [...rows].map(([at, value]) => ({ key: at, value: { ...value } })),
    add: async (values) => (await state.slow, values).map((value) => { key += 1; rows.set(key, { ...value }); return key; }),
    change: async (pairs, gone) => { for (const [value, at] of pairs) rows.set(at, { ...value }); for (const at of gone) rows.delete(at); },
  };
  async function send(dataset, asked, source) {
    state.requests.push({ dataset, source, asked: asked.map((one) => ({ ...one })), written: rows.size });
    if (state.hold) await state.hold;
    if (state.fail) throw state.fail;
    const reply = { labeled: [], conflicts: [], unknown: [] };
    const mine = new Set();
    for (const { image, category, seen } of asked) {
      const now = labels[image];
      if (!now) { reply.unknown.push(image); continue; }
      const isSame = now.category === category;
      if (!isSame && seen !== null && seen !== now.changed && !mine.has(image)) { reply.conflicts.push({ image, category: { name: now.category }, changed: now.changed }); continue; }
      if (!isSame) { clock += 1; labels[image] = { category, changed: clock }; mine.add(image); }
      reply.labeled.push({ image, category: category && { name: category }, changed: labels[image].changed, relabeled: !isSame });
    }
    return reply;
  }
  const make = (who) => decisions({
    send, log, who, random: () => 1,
    wait: (fn, delay) => { state.waits.push({ fn, delay }); return state.waits.length; }, forget: () => {},
    onSaved: (dataset, saved) => state.told.push(["saved", saved.map((one) => one.image)]),
    onConflict: (dataset, found) => state.told.push(["conflict", found.map((one) => [one.theirs.category.name, one.mine.category])]),
    onRefused: (dataset, refused) => state.told.push(["refused", refused.map((one) => one.image)]),
    onResumed: (left) => { state.resumed = left; },
    onState: (now) => { state.now = now; },
  });
  return { state, make };
}
const images = (...names) => Object.fromEntries(names.map((name) => [name, { category: null, changed: 1 }]));

test("a decision is written down while it is sent and crossed out after the answer", async () => {
  const { state, make } = house({ labels: images("a") });
  let release;
  state.hold = new Promise((resolve) => { release = resolve; });
  make().decide([decision("a", "cats", 1)]);
  await settled();
  assert.deepEqual([state.requests.length, state.rows.size], [1, 1]);
  release();
  await settled();
  assert.equal(state.rows.size, 0);
  assert.equal(state.labels.a.category, "cats");
  assert.deepEqual(state.told, [["saved", ["a"]]]);
  assert.equal(state.now.waiting, 0);
});

test("an answer that is there before the decision is written down leaves nothing behind", async () => {
  const { state, make } = house({ labels: images("a") });
  let write;
  state.slow = new Promise((resolve) => { write = resolve; });
  make().decide([decision("a", "cats", 1)]);
  await settled();
  assert.deepEqual([state.labels.a.category, state.rows.size, state.now.waiting], ["cats", 0, 1]);
  write();
  await settled();
  assert.deepEqual([state.rows.size, state.now.waiting], [0, 0]);
});

test("what is decided while one request is under way goes together in the next", async () => {
  const { state, make } = house({ labels: images("a", "b", "c") });
  let release;
  state.hold = new Promise((resolve) => { release = resolve; });
  const desk = make();
  for (const name of ["a", "b", "c"]) desk.decide([decision(name, "cats", 1)]);
  await settled();
  assert.equal(state.requests.length, 1);
  release();
  await settled();
  assert.deepEqual(state.requests.map(({ asked }) => asked.length), [1, 2]);
  assert.equal(state.rows.size, 0);
});

test("a decision about an image whose last one is under way is no conflict with oneself", async () => {
  const { state, make } = house({ labels: images("a") });
  const desk = make();
  desk.decide([decision("a", "cats", 1)]);
  desk.decide([decision("a", "dogs", 1)]);
  await settled();
  assert.equal(state.labels.a.category, "dogs");
  assert.deepEqual(state.told.map(([kind]) => kind), ["saved", "saved"]);
});

test("somebody else's label stays until one of the two is chosen, and what hangs on it falls with it", async () => {
  const { state, make } = house({ labels: { a: { category: "birds", changed: 7 } } });
  const desk = make();
  desk.decide([decision("a", "cats", 1)]);
  desk.decide([decision("a", "dogs", 1)]);
  await settled();
  assert.equal(state.labels.a.category, "birds");
  assert.deepEqual(state.told, [["conflict", [["birds", "dogs"]]]]);
  assert.equal(state.rows.size, 0);
});

test("while the service is away decisions wait, longer and longer, and none is lost", async () => {
  const { state, make } = house({ labels: images("a", "b") });
  const desk = make();
  state.fail = Object.assign(new Error("The service does not answer."), { status: 0 });
  await desk.decide([decision("a", "cats", 1), decision("b", "dogs", 1)]);
  await settled();
  assert.equal(state.now.problem.message, "The service does not answer.");
  assert.equal(state.rows.size, 2);
  for (let i = 0; i < 9; i += 1) { state.waits.at(-1).fn(); await settled(); }
  assert.deepEqual(state.waits.map(({ delay }) => delay).slice(0, 3), [500, 1000, 2000]);
  assert.equal(state.waits.at(-1).delay, 30_000);
  const asked = state.requests.length;
  await desk.decide([decision("c", "cats", 1)]);
  await settled();
  assert.equal(state.requests.length, asked);
  state.fail = null;
  desk.again();
  await settled();
  assert.equal(state.labels.a.category, "cats");
  assert.equal(state.labels.b.category, "dogs");
  assert.equal(state.now.problem, null);
});

test("a service that says when it is there again is asked then", async () => {
  const { state, make } = house({ labels: images("a") });
  state.fail = Object.assign(new Error("busy"), { status: 503, retryAfter: 4 });
  make().decide([decision("a", "cats", 1)]);
  await settled();
  assert.equal(state.waits[0].delay, 4000);
});

test("a full disk is waited for; a refusal is told and not repeated", async () => {
  const { state, make } = house({ labels: images("a") });
  const desk = make();
  state.fail = Object.assign(new Error("no space"), { status: 507 });
  desk.decide([decision("a", "cats", 1)]);
  await settled();
  assert.equal(state.rows.size, 1);
  state.fail = Object.assign(new Error("no right to label"), { status: 403 });
  desk.again();
  await settled();
  assert.deepEqual(state.told, [["refused", ["a"]]]);
  assert.equal(state.rows.size, 0);
});

test("an image that is gone is told", async () => {
  const { state, make } = house({ labels: images("a") });
  make().decide([decision("a", "cats", 1), decision("gone", "cats", 1)]);
  await settled();
  assert.deepEqual(state.told, [["saved", ["a"]], ["refused", ["gone"]]]);
});

test("the next page sends what the one before could not, first and in turn", async () => {
  const { state, make } = house({ labels: images("a", "b") });
  state.fail = Object.assign(new Error("away"), { status: 0 });
  await make().decide([decision("a", "cats", 1), decision("a", "dogs", 1)]);
  await settled();
  state.fail = null;
  state.requests = [];
  const next = make();
  await next.resume();
  assert.deepEqual(state.resumed.map(({ image, category }) => [image, category]), [["a", "cats"], ["a", "dogs"]]);
  await next.decide([decision("b", "cats", 1)]);
  await settled();
  assert.equal(state.labels.a.category, "dogs");
  assert.equal(state.labels.b.category, "cats");
  assert.deepEqual(state.requests[0].asked.map((one) => one.image), ["a", "a"]);
  assert.equal(state.rows.size, 0);
});

test("what one person decided waits for them, and is not sent under the name of another", async () => {
  const { state, make } = house({ labels: images("a", "b") });
  state.fail = Object.assign(new Error("away"), { status: 0 });
  const ann = make(Promise.resolve("ann"));
  await settled();
  await ann.decide([decision("a", "cats", 1)]);
  await settled();
  state.fail = null;
  state.requests = [];
  const bob = make(Promise.resolve("bob"));
  await bob.resume();
  await bob.decide([decision("b", "dogs", 1)]);
  await settled();
  assert.deepEqual(state.requests.map(({ asked }) => asked.map((one) => one.image)), [["b"]]);
  assert.equal(state.rows.size, 1);
  await make(Promise.resolve("ann")).resume();
  await settled();
  assert.deepEqual([state.labels.a.category, state.rows.size], ["cats", 0]);
});

test("what is not written down when the page ends is sent before it is gone", async () => {
  const { state, make } = house({ labels: images("a", "b") });
  const sent = make();
  await sent.decide([decision("a", "cats", 1)]);
  await settled();
  sent.decide([decision("b", "dogs", 1)]); // nobody waits until it is written down
  sent.leave();
  assert.deepEqual(state.requests.at(-1).asked.map((one) => one.image), ["b"]);
  await settled();
  assert.equal(state.labels.b.category, "dogs");
  assert.equal(state.rows.size, 0);
  sent.leave();
  assert.equal(state.requests.length, 3); // with the one that went its usual way
});

test("datasets and ways of labeling do not mix in a request, and a request has an end", async () => {
  const many = Array.from({ length: 1200 }, (_, index) => `i${index}`);
  const { state, make } = house({ labels: images(...many) });
  const desk = make();
  await desk.decide(many.map((name) => decision(name, "cats", 1)));
  await desk.decide([decision("i0", null, null, { source: "undo" })]);
  await desk.decide([decision("i1", null, null, { source: "undo", dataset: "other" })]);
  await settled(60);
  assert.deepEqual(state.requests.map(({ dataset, source, asked }) => [dataset, source, asked.length]),
    [["pets", "person", 500], ["pets", "person", 500], ["pets", "person", 200], ["pets", "undo", 1], ["other", "undo", 1]]);
});

test("without a database in the browser labels are saved all the same", async () => {
  const { state } = house();
  const told = [];
  const refuse = async () => { throw new Error("none here"); };
  const desk = decisions({
    log: { read: refuse, add: refuse, change: refuse },
    send: async (dataset, asked) => ({ labeled: asked.map(({ image }) => ({ image, changed: 2 })), conflicts: [], unknown: [] }),
    onSaved: (dataset, saved) => told.push(...saved.map((one) => one.image)),
    onState: (now) => { state.now = now; },
  });
  await desk.resume();
  await desk.decide([decision("a", "cats", 1)]);
  await settled();
  assert.deepEqual(told, ["a"]);
  assert.equal(state.now.waiting, 0);
});
