import assert from "node:assert/strict";
import { test } from "node:test";

import { pipeline } from "../../web_client/js/upload/pipeline.js";

const problem = (status, more = {}) => Object.assign(new Error(`answered ${status}`), {
  status, kind: `k${status}`, retryAfter: null, isPassing: [0, 408, 429, 502, 503, 504].includes(status), ...more,
});
const text = (buffer) => new TextDecoder().decode(buffer);

// Numbers that look random and are the same every time.
function numbers(seed) {
  let state = seed;
  return () => { state = (state * 1103515245 + 12345) % 2 ** 31; return state / 2 ** 31; };
}

// A service that keeps what it is sent by content, and fails when `fault()` says so.
function made({ fault = () => null, hidden = () => null } = {}) {
  const kept = new Map();
  const received = [];
  const server = {
    kept, received,
    async lookup(hashes) {
      await new Promise(setImmediate);
      const failed = fault("lookup", hashes);
      if (failed) throw failed;
      return new Map(hashes.filter((hash) => kept.has(hash)).map((hash) => [hash, kept.get(hash)]));
    },
    async send(batch) {
      await new Promise(setImmediate);
      const failed = fault("send", batch);
      if (failed && !failed.isLate) throw failed;
      const stored = [];
      const refused = [];
      batch.forEach((item, index) => {
        const what = text(item.data);
        if (what.startsWith("bad")) { refused.push({ file: String(index), kind: "not-an-image", detail: "no image" }); return; }
        received.push(what);
        const duplicate = kept.has(what);
        const relabeled = duplicate && item.category !== null && kept.get(what) !== item.category;
        if (!duplicate || item.category !== null) kept.set(what, item.category);
        stored.push({ duplicate, relabeled });
      });
      hidden(batch);
      if (failed) throw failed;
      return { stored, refused };
    },
  };
  return server;
}

function started(server, more = {}) {
  const refused = [];
  const done = [];
  let settled = null;
  let flow = null;
  const finished = new Promise((resolve) => { settled = resolve; });
  flow = pipeline({
    server, read: (items) => items.map((one) => one.read()), hash: async (buffer) => text(buffer), wait: () => new Promise(setImmediate), random: numbers(1),
    told: {
      changed: () => { if (flow?.isIdle() && flow.counts().found > 0) settled(); },
      done: (items) => done.push(...items), refused: (one) => refused.push(one),
    },
    ...more,
  });
  return { flow, refused, done, finished };
}

const item = (content, category = "a", more = {}) => ({
  path: `${category}/${content}.png`, category, split: null, size: content.length,
  read: async () => new TextEncoder().encode(content).buffer, ...more,
});
const total = (counts) => counts.stored + counts.known + counts.relabeled + counts.refused;

test("every file ends in exactly one place, and what is refused is said with its path", async () => {
  const server = made();
  const { flow, refused, done, finished } = started(server);
  const items = Array.from({ length: 300 }, (_, index) => item(`p${index}`, index % 2 ? "a" : "b"));
  flow.add([...items, item("bad1"), item("x", "a", { read: async () => { throw new DOMException("gone", "NotFoundError"); } }), item("y", "a", { problem: "cannot be read: NotReadableError" })]);
  await finished;
  assert.equal(server.kept.size, 300);
  assert.equal(server.received.length, 300);
  assert.equal(done.length, 303);
  assert.deepEqual(refused.map((one) => one.path).sort(), ["a/bad1.png", "a/x.png", "a/y.png"]);
  const counts = flow.counts();
  assert.deepEqual([counts.stored, counts.refused, total(counts)], [300, 3, 303]);
});

test("what the service has already is not sent again; another category is a new label", async () => {
  const server = made();
  server.kept.set("known", "a").set("other", "a").set("bare", null);
  const { flow, finished } = started(server);
  flow.add([item("known"), item("other", "b"), item("bare", "a"), item("known", null, { path: "known.png" })]);
  await finished;
  assert.deepEqual(server.received.sort(), ["bare", "other"]);
  const { known, relabeled, stored } = flow.counts();
  assert.deepEqual([known, relabeled, stored], [2, 2, 0]);
});

test("the same picture twice in one drop is sent once; in two categories the later one counts", async () => {
  const server = made();
  const { flow, refused, finished } = started(server);
  flow.add([item("same"), item("same", "a", { path: "a/copy.png" }), item("same", "b")]);
  await finished;
  assert.equal(server.kept.get("same"), "b");
  assert.deepEqual(refused.map((one) => [one.path, one.kind]), [["b/same.png", "conflict"]]);
  const counts = flow.counts();
  assert.deepEqual([counts.stored, counts.known, counts.relabeled, counts.conflicts], [1, 1, 1, 1]);
});

test("a copy of what is refused is refused too, whenever it comes", async () => {
  const server = made();
  const { flow, refused, finished } = started(server);
  flow.add([item("bad1"), item("bad1", "a", { path: "a/copy.png" })]);
  await finished;
  flow.add([item("bad1", "a", { path: "a/later.png" })]);
  while (!flow.isIdle()) await new Promise(setImmediate);
  assert.deepEqual(refused.map((one) => one.path), ["a/bad1.png", "a/copy.png", "a/later.png"]);
  assert.deepEqual([flow.counts().known, flow.counts().refused], [0, 3]);
});

test("nothing is lost or stored twice whatever fails, also when only the answer was lost", async () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const random = numbers(seed);
    const server = made({ fault: () => {
      const drawn = random();
      if (drawn < 0.2) return problem([0, 502, 503, 504, 429, 507][Math.floor(random() * 6)]);
      return drawn < 0.3 ? problem(0, { isLate: true }) : null;
    } });
    const { flow, finished, done } = started(server, { random });
    const items = Array.from({ length: 400 }, (_, index) => item(`p${index % 350}`, `c${index % 350 % 3}`));
    for (let at = 0; at < 400; at += 50) flow.add(items.slice(at, at + 50));
    await finished;
    assert.equal(server.kept.size, 350, `seed ${seed}`);
    assert.equal(done.length, 400, `seed ${seed}`);
    assert.equal(total(flow.counts()), 400, `seed ${seed}`);
    assert.equal(flow.counts().refused, 0, `seed ${seed}`);
  }
});

test("a service that is away is waited for, said, and gone on with at a wake", async () => {
  let isAway = true;
  let asked = 0;
  const server = made({ fault: () => { asked += 1; return isAway ? problem(503) : null; } });
  const { flow, finished } = started(server, { wait: () => new Promise(() => {}) });
  flow.add([item("one")]);
  while (flow.trouble() === null) await new Promise(setImmediate);
  assert.match(flow.trouble(), /does not answer/);
  assert.equal(asked, 1);
  isAway = false;
  flow.wake();
  await finished;
  assert.equal(flow.trouble(), null);
  assert.equal(flow.counts().stored, 1);
});

test("a full disk is said as what it is", async () => {
  let isFull = true;
  const server = made({ fault: (what) => (what === "send" && isFull ? problem(507) : null) });
  const { flow, finished } = started(server);
  flow.add([item("one")]);
  while (flow.trouble() === null) await new Promise(setImmediate);
  assert.match(flow.trouble(), /no space left/);
  isFull = false;
  await finished;
  assert.equal(flow.counts().stored, 1);
});

test("a batch that is refused whole is halved until the one to blame is alone", async () => {
  const server = made({ fault: (what, batch) => (what === "send" && batch.some((one) => text(one.data) === "evil") ? problem(400) : null) });
  const { flow, refused, finished } = started(server);
  flow.add([...Array.from({ length: 60 }, (_, index) => item(`p${index}`)), item("evil")]);
  await finished;
  assert.deepEqual(refused.map((one) => [one.path, one.detail]), [["a/evil.png", "answered 400"]]);
  assert.equal(server.kept.size, 60);
});

test("a key that may not upload refuses no file; it pauses", async () => {
  let may = false;
  const server = made({ fault: (what) => (what === "send" && !may ? problem(403) : null) });
  const { flow, finished } = started(server);
  flow.add([item("one"), item("two")]);
  while (!flow.isPaused()) await new Promise(setImmediate);
  assert.equal(flow.trouble(), "answered 403");
  assert.equal(flow.counts().refused, 0);
  may = true;
  flow.go();
  await finished;
  assert.equal(flow.counts().stored, 2);
});

test("while it is paused nothing is sent", async () => {
  const server = made();
  const { flow, finished } = started(server);
  flow.pause();
  flow.add(Array.from({ length: 10 }, (_, index) => item(`p${index}`)));
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  assert.equal(server.received.length, 0);
  flow.go();
  await finished;
  assert.equal(server.received.length, 10);
});

test("a file that is too large is refused without being read", async () => {
  const server = made();
  const { flow, refused, finished } = started(server);
  flow.add([item("x", "a", { size: 65 * 2 ** 20, read: () => assert.fail("was read") })]);
  await finished;
  assert.match(refused[0].detail, /64 MiB/);
});

test("a hundred thousand files pass through bounded hands", async () => {
  let most = 0;
  const server = made({ hidden: () => { most = Math.max(most, flow.hands()); } });
  const { flow, finished } = started(server);
  const large = (index) => ({
    ...item(`p${index}`, `c${index % 10}`), size: index % 1000 ? 700 : 4e6,
    read: async () => new TextEncoder().encode(`p${index}`).buffer,
  });
  for (let at = 0; at < 100_000; at += 1000) flow.add(Array.from({ length: 1000 }, (_, index) => large(at + index)));
  await finished;
  assert.equal(flow.counts().stored, 100_000);
  assert.ok(most <= 3000, `${most}`);
});

test("reading does not run ahead of a service that is slow, however small the files are", async () => {
  let release = null;
  const slow = new Promise((resolve) => { release = resolve; });
  const server = made();
  const { send } = server;
  server.send = async (batch) => { await slow; return send(batch); };
  const { flow, finished } = started(server);
  flow.add(Array.from({ length: 20_000 }, (_, index) => item(`p${index}`, `c${index % 200}`)));
  await new Promise((resolve) => { setTimeout(resolve, 300); });
  assert.ok(flow.hands() < 7000, `${flow.hands()}`);
  release();
  await finished;
  assert.equal(flow.counts().stored, 20_000);
});
