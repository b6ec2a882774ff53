// From files to the service: read → hash → known already? → send, each with few hands, so that
// however many files there are, only little of them is in memory. Every file ends in exactly one
// of: stored, known, relabeled, refused.

import { batcher } from "./batches.js";
import { delay, isWorthWaiting, trouble } from "./retry.js";

const READERS = 4;
const GROUP = 32; // files that are read at a time, unless they are large
const GROUP_BYTES = 1024 * 1024;
const LANES = 4;
const LOOKUP = 500;
const MOST_HASHED = 1000;
const MOST_BATCHED = 4096; // enough that most batches fill, however the categories are mixed
const MOST_BYTES = 32 * 1024 * 1024;
export const LONGEST_FILE = 64 * 1024 * 1024;

export const EMPTY = Object.freeze({
  found: 0, hashed: 0, known: 0, stored: 0, relabeled: 0, refused: 0, conflicts: 0, bytes: 0,
});

// Args:
//   server: {lookup(hashes) → Map(hash → category name or null), send(batch) → {stored, refused}},
//     where `file` of a refused one is its place in the batch; both throw Problem.
//   read: (items) → a promise of the bytes of each; hash: (buffer) → hex.
//   told: {changed(), done(items), refused({path, kind, detail})}.
//   clock: {wait(seconds) → Promise that `wake` may end early}; random.
export function pipeline({ server, read, hash, told, wait, random = Math.random }) {
  const counts = { ...EMPTY };
  const waiting = queue();
  const batches = batcher();
  const seen = new Map(); // hash → {category, fate, copies}: what became of it, and what shares that
  const late = [];
  let hashed = [];
  let reading = 0; // groups
  let inHand = 0; // their files
  let isLooking = false;
  let sending = 0;
  let held = 0;
  let isPaused = false;
  let said = null;
  let wakers = [];

  function pump() {
    if (!isPaused) {
      while (reading < READERS && mayRead()) take(group());
      const isFlowing = reading > 0 || mayRead();
      if (!isLooking && hashed.length > 0 && (hashed.length >= LOOKUP || !isFlowing)) look();
      const force = !isFlowing && hashed.length === 0 && !isLooking;
      while (sending < LANES) {
        const batch = batches.take(force);
        if (batch === null) break;
        send(batch);
      }
      if (isIdle() && late.length > 0) {
        for (const item of late.splice(0)) waiting.put(item);
        pump();
        return;
      }
    }
    told.changed();
  }

  const mayRead = () => waiting.size > 0 && held < MOST_BYTES && hashed.length < MOST_HASHED && batches.size < MOST_BATCHED;
  const isIdle = () => reading === 0 && hashed.length === 0 && !isLooking && sending === 0
    && batches.size === 0 && waiting.size === 0;

  function group() {
    const items = [waiting.take()];
    let [{ size }] = items;
    while (items.length < GROUP && waiting.size > 0 && (size += waiting.next().size) <= GROUP_BYTES) items.push(waiting.take());
    return items;
  }

  async function take(items) {
    reading += 1;
    inHand += items.length;
    for (const item of items) {
      held += item.size;
      item.isFree = false;
      if (item.size > LONGEST_FILE) item.problem ??= "larger than the 64 MiB that one picture may have";
    }
    const wanted = items.filter((item) => !item.problem);
    const found = await Promise.allSettled(read(wanted).map(async (bytes) => {
      const data = await bytes;
      return { data, hash: await hash(data) };
    }));
    for (const item of items) if (item.problem) refuse(item, "unreadable", item.problem);
    for (const [index, { value, reason }] of found.entries()) {
      const item = wanted[index];
      if (reason) {
        const isOurs = reason.constructor === Error;
        refuse(item, isOurs ? "unreadable" : reason.name, isOurs ? reason.message : `cannot be read: ${reason.name}`);
        continue;
      }
      Object.assign(item, value);
      counts.hashed += 1;
      sort(item);
    }
    reading -= 1;
    inHand -= items.length;
    pump();
  }

  // The same picture twice in one drop is sent once, and both have the same fate; where the
  // categories differ, the second one waits until the first is there, and counts.
  function sort(item) {
    const before = seen.get(item.hash);
    if (before === undefined || item.isLate) {
      seen.set(item.hash, { category: item.category, fate: null, copies: [] });
      hashed.push(item);
    } else if (item.category === null || item.category === before.category) {
      free(item);
      if (before.fate) before.fate([item]);
      else before.copies.push(item);
    } else {
      counts.conflicts += 1;
      told.refused({ path: item.path, kind: "conflict", detail: `the same picture as one in ${before.category ?? "no category"}; this one came later and counts` });
      item.isLate = true;
      counts.hashed -= 1;
      free(item);
      late.push(item);
    }
  }

  function decide(item, fate) {
    const about = seen.get(item.hash);
    if (!about) return;
    about.fate = fate;
    const copies = about.copies.splice(0);
    if (copies.length > 0) fate(copies);
  }

  async function look() {
    isLooking = true;
    const asked = hashed.splice(0, LOOKUP);
    let known = new Map();
    try {
      known = await attempt(() => server.lookup(asked.map((item) => item.hash)));
    } catch {
      // A dataset that is not there yet, or a key that may only write: all are sent.
    }
    const [done, rest] = [[], []];
    for (const item of asked) {
      const is = known.has(item.hash) && (item.category === null || known.get(item.hash) === item.category);
      (is ? done : rest).push(item);
    }
    settle(done, "known");
    for (const item of rest) batches.put(item);
    isLooking = false;
    pump();
  }

  async function send(batch) {
    sending += 1;
    await deliver(batch);
    sending -= 1;
    pump();
  }

  async function deliver(batch) {
    let reply;
    try {
      reply = await attempt(() => server.send(batch));
    } catch (problem) {
      if (problem.status === 403) {
        // It is not the fault of any of these files.
        said = problem.message;
        isPaused = true;
        for (const item of batch) batches.put(item);
      } else if (batch.length > 1) {
        const half = Math.ceil(batch.length / 2);
        await deliver(batch.slice(0, half));
        await deliver(batch.slice(half));
      } else {
        refuse(batch[0], problem.kind, problem.message);
      }
      return;
    }
    const faults = new Map(reply.refused.map((fault) => [fault.file, fault]));
    const kept = batch.filter((_, index) => !faults.has(String(index)));
    batch.forEach((item, index) => {
      const fault = faults.get(String(index));
      if (fault) refuse(item, fault.kind, fault.detail);
    });
    for (const image of reply.stored) counts[image.relabeled ? "relabeled" : image.duplicate ? "known" : "stored"] += 1;
    for (const item of kept) counts.bytes += item.size;
    settle(kept, null);
  }

  // Until it works, or a person pauses, or it is no fault that passes.
  async function attempt(work) {
    for (let tries = 1; ; tries += 1) {
      while (isPaused) await new Promise((resolve) => { wakers.push(resolve); });
      try {
        const reply = await work();
        said = null;
        return reply;
      } catch (problem) {
        if (!isWorthWaiting(problem)) throw problem;
        said = trouble(problem);
        told.changed();
        await Promise.race([
          wait(delay(problem, tries, random)),
          new Promise((resolve) => { wakers.push(resolve); }),
        ]);
      }
    }
  }

  function refuse(item, kind, detail) {
    counts.refused += 1;
    told.refused({ path: item.path, kind, detail });
    settle([item], null, (copies) => { for (const one of copies) refuse(one, kind, detail); });
  }

  const areKnown = (copies) => settle(copies, "known");

  function settle(items, kind, fate = areKnown) {
    if (items.length === 0) return;
    if (kind) counts[kind] += items.length;
    for (const item of items) free(item);
    told.done(items);
    for (const item of items) if (item.hash) decide(item, fate);
  }

  function free(item) {
    if (!item.isFree) held -= item.size;
    item.isFree = true;
    item.data = null;
  }

  function wake() {
    const all = wakers;
    wakers = [];
    for (const one of all) one();
  }

  return {
    // `items`: [{path, category, split, size}], or with the `problem` why they cannot be read.
    add(items) {
      counts.found += items.length;
      for (const item of items) waiting.put(item);
      pump();
    },
    pause() { isPaused = true; told.changed(); },
    go() { isPaused = false; said = null; wake(); pump(); },
    // What waits for the service tries at once.
    wake,
    counts: () => ({ ...counts }),
    trouble: () => said,
    isPaused: () => isPaused,
    isIdle: () => isIdle() && late.length === 0,
    // Of how many files something is in memory.
    hands: () => inHand + hashed.length + batches.size + sending,
  };
}

// First in, first out; taking is cheap however long it is.
function queue() {
  let items = [];
  let head = 0;
  return {
    get size() { return items.length - head; },
    put: (item) => items.push(item),
    next: () => items[head],
    take() {
      const item = items[head];
      items[head] = undefined;
      head += 1;
      if (head > 1000 && head * 2 > items.length) {
        items = items.slice(head);
        head = 0;
      }
      return item;
    },
  };
}
