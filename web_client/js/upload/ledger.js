// What of a drop must outlive the page: how far it is, and the pictures that wait, so that a reload
// goes on by itself. `db`: as lib/idb.js; null: nothing can be kept.

export const MOST_KEPT = 512 * 1024 * 1024;

// Bytes that may be kept: a fifth of what the browser offers, at most 512 MB.
export async function room(storage) {
  try {
    const { quota = 0 } = await storage.estimate();
    return Math.min(MOST_KEPT, quota / 5);
  } catch {
    return 0;
  }
}

export function ledger(db, mostBytes) {
  let left = db === null ? 0 : mostBytes;
  const used = new Map(); // drop → bytes of it that are kept

  function use(drop, size) {
    left -= size;
    used.set(drop, (used.get(drop) ?? 0) + size);
  }

  return {
    // Whether so many bytes may be kept now.
    hasRoom: (size) => size <= left,
    // Keeps read items, [{index, path, category, split, size, data}]; says whether they are.
    async keep(drop, items) {
      const size = items.reduce((sum, item) => sum + item.size, 0);
      if (size > left) return false;
      try {
        await db.putMany("bytes", items.map(({ index, path, category, split, data }) =>
          [{ path, category, split, data }, [drop, index]]));
      } catch {
        left = 0; // the disk is full, or the browser gave up on it
        return false;
      }
      use(drop, size);
      return true;
    },
    // The bytes of those that are still kept, by index.
    async read(drop, indexes) {
      if (indexes.length === 0) return new Map();
      const kept = await db.getMany("bytes", indexes.map((index) => [drop, index]));
      return new Map(kept.flatMap((one, at) => one ? [[indexes[at], one.data]] : []));
    },
    // First how far it is, then what is done goes: whatever dies in between is done again, and
    // doing it again is harmless. `done`: [{index, size}].
    async save(record, done) {
      if (db === null) return;
      await db.put("drops", record);
      if (done.length === 0) return;
      await db.putMany("bytes", [], done.map(({ index }) => [record.id, index]));
      use(record.id, -done.reduce((sum, { size }) => sum + size, 0));
    },
    async forget(drop) {
      if (db === null) return;
      await db.delete("drops", drop);
      await db.deleteRange("bytes", [drop, 0], [drop, Infinity]);
      use(drop, -(used.get(drop) ?? 0));
      used.delete(drop);
    },
    // Drops that an earlier page left: [{record, items: [{index, path, category, split, size}]}].
    async left(mayTake) {
      if (db === null) return [];
      const found = [];
      for (const { value: record } of await db.range("drops")) {
        if (!(await mayTake(record.id))) continue;
        const items = [];
        for (let from = 0; ;) {
          const some = await db.range("bytes", [record.id, from], [record.id, Infinity], 500);
          for (const { key, value: { data, ...about } } of some) {
            items.push({ ...about, index: key[1], size: data.byteLength });
            use(record.id, data.byteLength);
          }
          if (some.length < 500) break;
          from = some.at(-1).key[1] + 1;
        }
        found.push({ record, items });
      }
      return found;
    },
  };
}

const SETTLED = ["stored", "known", "relabeled", "refused"];
export const settled = (counts) => SETTLED.reduce((sum, name) => sum + counts[name], 0);
