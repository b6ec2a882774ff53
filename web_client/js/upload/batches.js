// Pictures that travel together: one category, one split, not too many, not too large.

export const BATCH_FILES = 128;
export const BATCH_BYTES = 8 * 1024 * 1024;

// `put(item)` takes {category, split, size, …}; `take(force)` returns the next full batch, with
// `force` any, or null.
export function batcher() {
  const open = new Map();
  const full = [];
  let count = 0;

  function close(key) {
    full.push(open.get(key).items);
    open.delete(key);
  }

  return {
    get size() { return count; },
    put(item) {
      const key = JSON.stringify([item.category, item.split]);
      const group = open.get(key);
      if (group && group.bytes + item.size > BATCH_BYTES) close(key);
      if (!open.has(key)) open.set(key, { items: [], bytes: 0 });
      const mine = open.get(key);
      mine.items.push(item);
      mine.bytes += item.size;
      count += 1;
      if (mine.items.length === BATCH_FILES) close(key);
    },
    take(force) {
      if (full.length === 0 && force && open.size > 0) close(open.keys().next().value);
      const batch = full.shift() ?? null;
      count -= batch?.length ?? 0;
      return batch;
    },
  };
}
