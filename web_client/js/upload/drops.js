// The drops of one page: each a pipeline and what is kept of it. Pure but for what is handed in.

import { labelOf } from "./folders.js";
import { settled } from "./ledger.js";
import { EMPTY, LONGEST_FILE, pipeline } from "./pipeline.js";

export const MOST_REFUSED = 10_000;
const PIECE = 8 * 1024 * 1024; // bytes that are read ahead at a time

// Args:
//   book: a ledger; api: {lookup(dataset, hashes), upload(dataset, files, about)};
//   hash, wait: as a pipeline wants them;
//   told: {changed(), refused(id, {path, kind, detail}), taken(id, count)}: `taken` says that so
//     many files are no longer held, so that others may come.
export function drops({ book, api, hash, wait, told }) {
  const all = new Map();

  function make(record, base = EMPTY) {
    const drop = {
      ...record, base, next: 0, refused: 0, isSaved: false, gone: [], mayKeep: true, before: 0, lost: 0, live: 0,
    };
    drop.flow = pipeline({
      hash, wait,
      read: (items) => readAll(drop, items),
      server: {
        lookup: async (hashes) => new Map((await api.lookup(drop.dataset, hashes)).map((one) => [one.image, one.category?.name ?? null])),
        send: (batch) => api.upload(drop.dataset, batch.map((item, index) => ({ name: String(index), data: item.data })), {
          category: batch[0].category, split: batch[0].split, source: drop.source,
        }),
      },
      told: {
        changed: () => told.changed(),
        done(items) {
          for (const item of items) if (item.isKept) drop.gone.push({ index: item.index, size: item.size });
          letGo(drop, items.filter((item) => !item.isKept).length);
        },
        refused(one) {
          drop.refused += 1;
          if (drop.refused <= MOST_REFUSED) told.refused(drop.id, one);
        },
      },
    });
    all.set(drop.id, drop);
    return drop;
  }

  // Never more than were taken: of a drop that was stopped all are let go of already.
  function letGo(drop, files) {
    const count = Math.min(files, drop.live);
    drop.live -= count;
    if (count) told.taken(drop.id, count);
  }

  // Reads ahead into the browser's own store, piece by piece, as long as there is room.
  async function keep(drop, items) {
    for (const piece of pieces(items.filter((item) => !item.problem && item.size <= LONGEST_FILE))) {
      drop.mayKeep &&= book.hasRoom(total(piece)) && await keepPiece(drop, piece);
      if (!drop.mayKeep) return;
    }
  }

  async function keepPiece(drop, items) {
    await Promise.all(items.map(async (item) => {
      try {
        item.data = await item.file.arrayBuffer();
      } catch (error) {
        item.problem = `cannot be read: ${error.name}`;
      }
    }));
    const read = items.filter((item) => !item.problem);
    const isKept = await book.keep(drop.id, read);
    for (const item of read) {
      item.data = null;
      if (!isKept) continue;
      item.isKept = true;
      item.file = null;
    }
    return isKept;
  }

  // A promise for each.
  function readAll(drop, items) {
    const kept = book.read(drop.id, items.filter((item) => item.isKept).map((item) => item.index));
    return items.map(async (item) => item.isKept ? (await kept).get(item.index) ?? gone() : item.file.arrayBuffer());
  }

  const countsOf = (drop) => {
    const counts = drop.flow.counts();
    for (const name of Object.keys(counts)) counts[name] += drop.base[name] ?? 0;
    return counts;
  };

  const write = (drop) => {
    const { id, dataset, made, source, walked } = drop;
    return book.save({ id, dataset, made, source, walked, counts: countsOf(drop) }, drop.gone.splice(0));
  };

  function stateOf(drop) {
    if (drop.walked && drop.flow.isIdle()) return "done";
    if (drop.flow.isPaused()) return "paused";
    if (drop.flow.trouble()) return "waiting";
    return drop.walked ? "sending" : "walking";
  }

  return {
    // Returns once it is written down: what is kept of a drop that nobody knows of stays for good.
    async begin({ id, dataset, made, source }) {
      await write(make({ id, dataset, made, source, walked: false })).catch(() => {});
    },
    // `files`: [{path, file}] or {path, problem}; `category` is for those whose path says none.
    async files(id, files, category) {
      const drop = all.get(id);
      if (!drop) return told.taken(id, files.length);
      drop.live += files.length;
      const items = files.map(({ path, file, problem }) => {
        const label = labelOf(path);
        return {
          path, file, problem, index: drop.next++, size: file?.size ?? 0,
          category: label.category ?? category, split: label.split,
        };
      });
      await keep(drop, items);
      drop.flow.add(items);
      letGo(drop, items.filter((item) => item.isKept).length);
      return null;
    },
    end(id) {
      const drop = all.get(id);
      if (drop) drop.walked = true;
      told.changed();
    },
    pause: () => { for (const drop of all.values()) drop.flow.pause(); },
    go: () => { for (const drop of all.values()) drop.flow.go(); },
    wake: () => { for (const drop of all.values()) drop.flow.wake(); },
    async forget(id) {
      const drop = all.get(id);
      all.delete(id);
      if (drop) {
        drop.flow.pause();
        letGo(drop, drop.live);
      }
      await book.forget(id);
      told.changed();
    },
    // Goes on with what an earlier page left.
    async resume(mayTake) {
      for (const { record, items } of await book.left(mayTake)) {
        const missing = Math.max(0, record.counts.found - settled(record.counts) - items.length);
        const isWhole = record.walked && missing === 0;
        if (items.length === 0 && isWhole) {
          await book.forget(record.id);
          continue;
        }
        // Pictures may have been kept since it was written how many were found.
        const base = { ...record.counts, found: settled(record.counts), hashed: settled(record.counts) };
        const drop = make({ ...record, walked: true }, base);
        drop.mayKeep = false;
        drop.before = items.length;
        drop.lost = isWhole ? 0 : Math.max(1, missing);
        drop.next = Math.max(-1, ...items.slice(-1).map((item) => item.index)) + 1;
        for (const item of items) item.isKept = true;
        if (items.length > 0) drop.flow.add(items);
      }
      told.changed();
    },
    // Writes how far everything is.
    async save() {
      for (const drop of [...all.values()]) {
        if (stateOf(drop) === "done") {
          // Of what an earlier page could not take in, a person is told until they say so.
          if (!drop.isSaved && !drop.lost) await book.forget(drop.id);
          drop.isSaved = true;
          continue;
        }
        // It may have been stopped while another one was written.
        if (all.has(drop.id)) await write(drop);
      }
    },
    state: () => [...all.values()].map((drop) => ({
      id: drop.id, dataset: drop.dataset, made: drop.made, counts: countsOf(drop), state: stateOf(drop),
      trouble: drop.flow.trouble(), before: drop.before, lost: drop.lost, mayResume: drop.mayKeep || drop.before > 0,
    })),
  };
}

function gone() {
  throw new Error("it was removed from this browser");
}

const total = (items) => items.reduce((sum, item) => sum + item.size, 0);

// Items in turn, together not too large; one that is larger goes alone.
function pieces(items) {
  const found = [];
  let size = Infinity;
  for (const item of items) {
    size += item.size;
    if (size > PIECE) {
      found.push([]);
      size = item.size;
    }
    found.at(-1).push(item);
  }
  return found;
}
