// Sends many files in small batches, some at a time; every file ends in exactly one list.

const BATCH_FILES = 40;
const BATCH_BYTES = 8 * 1024 * 1024;
const LANES = 3;
const TRIES = 5;

// Files that share a category and a split travel together.
export function batches(items) {
  const groups = new Map();
  for (const item of items) {
    const key = JSON.stringify([item.category, item.split]);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(item);
  }
  const result = [];
  for (const group of groups.values()) {
    let batch = [];
    let bytes = 0;
    for (const item of group) {
      if (batch.length === BATCH_FILES || (batch.length && bytes + item.file.size > BATCH_BYTES)) {
        result.push(batch);
        [batch, bytes] = [[], 0];
      }
      batch.push(item);
      bytes += item.file.size;
    }
    result.push(batch);
  }
  return result;
}

// Returns {total, stored, duplicates, relabeled, refused: [{file, detail}], stopped}; `report`
// gets the same while it grows. `send(batch, signal)` does one request.
export async function uploadAll(items, send, report, signal) {
  const waiting = batches(items);
  const state = { total: items.length, stored: 0, duplicates: 0, relabeled: 0, refused: [], stopped: false };

  async function lane() {
    for (let batch = waiting.shift(); batch && !signal.aborted; batch = waiting.shift()) {
      await sendBatch(batch, send, state, signal);
      report(state);
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane));
  state.stopped = signal.aborted;
  return state;
}

async function sendBatch(batch, send, state, signal) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const reply = await send(batch, signal);
      state.stored += reply.stored.length;
      state.duplicates += reply.stored.filter((image) => image.duplicate).length;
      state.relabeled += reply.stored.filter((image) => image.relabeled).length;
      state.refused.push(...reply.refused);
      return;
    } catch (problem) {
      if (problem.name === "AbortError") return;
      // Sending twice is safe: the same bytes are the same image.
      if (problem.isPassing && attempt < TRIES) {
        await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** attempt));
      } else {
        const detail = problem.message;
        state.refused.push(...batch.map(({ file }) => ({ file: file.name, detail })));
        return;
      }
    }
  }
}
