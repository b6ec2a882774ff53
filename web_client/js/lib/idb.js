// What this browser keeps of its own: uploads that are under way, decisions that wait to be saved.

const NAME = "dicebox";
const VERSION = 1;

// Where a store has no key path, the key is given beside the value (or counted up by `add`).
const STORES = {
  drops: { keyPath: "id" },
  files: {}, // key [drop, chunk]
  bytes: {}, // key [drop, index]
  decisions: { autoIncrement: true },
  undo: { autoIncrement: true },
  settings: {},
};

let opened = null;

// Returns the database, the same one every time. Rejects where the browser gives none (some
// private windows, a full disk).
export function open() {
  opened ??= connect().catch((error) => {
    opened = null;
    throw error;
  });
  return opened;
}

async function connect() {
  const request = indexedDB.open(NAME, VERSION);
  request.addEventListener("upgradeneeded", () => {
    for (const [name, options] of Object.entries(STORES)) {
      if (!request.result.objectStoreNames.contains(name)) request.result.createObjectStore(name, options);
    }
  });
  const database = await done(request);
  // A newer page in another tab may change the tables; this one opens them again when it needs to.
  database.addEventListener("versionchange", () => { database.close(); opened = null; });
  database.addEventListener("close", () => { opened = null; });
  return wrap(database);
}

function wrap(database) {
  // Runs `work(store)` in one transaction and returns the result of the request it returns, once
  // the transaction is complete.
  async function run(name, mode, work) {
    const transaction = database.transaction(name, mode, { durability: "relaxed" });
    const request = work(transaction.objectStore(name));
    await complete(transaction);
    return request?.result;
  }
  return {
    get: (name, key) => run(name, "readonly", (store) => store.get(key)),
    async getMany(name, keys) {
      let requests = [];
      await run(name, "readonly", (store) => { requests = keys.map((key) => store.get(key)); });
      return requests.map((request) => request.result);
    },
    put: (name, value, key) => run(name, "readwrite", (store) => store.put(value, key)),
    add: (name, value, key) => run(name, "readwrite", (store) => store.add(value, key)),
    // Many in one transaction; returns their keys.
    async addMany(name, values) {
      let requests = [];
      await run(name, "readwrite", (store) => { requests = values.map((value) => store.add(value)); });
      return requests.map((request) => request.result);
    },
    delete: (name, key) => run(name, "readwrite", (store) => store.delete(key)),
    // Everything with a key from `from` to `to`, both included.
    deleteRange: (name, from, to) => run(name, "readwrite", (store) => store.delete(IDBKeyRange.bound(from, to))),
    clear: (name) => run(name, "readwrite", (store) => store.clear()),
    count: (name) => run(name, "readonly", (store) => store.count()),
    // Many in one transaction: [[value, key]] are put, then `gone` keys deleted.
    putMany: (name, pairs, gone = []) => run(name, "readwrite", (store) => {
      for (const [value, key] of pairs) store.put(value, key);
      for (const key of gone) store.delete(key);
      return null;
    }),
    // [{key, value}] in the order of keys, or the last ones first; null: no bound.
    async range(name, from = null, to = null, limit = Infinity, { reverse = false } = {}) {
      const found = [];
      const bounds = from !== null && to !== null ? IDBKeyRange.bound(from, to)
        : from !== null ? IDBKeyRange.lowerBound(from)
          : to !== null ? IDBKeyRange.upperBound(to) : null;
      await run(name, "readonly", (store) => {
        const request = store.openCursor(bounds, reverse ? "prev" : "next");
        request.addEventListener("success", () => {
          const cursor = request.result;
          if (!cursor || found.length >= limit) return;
          found.push({ key: cursor.key, value: cursor.value });
          if (found.length < limit) cursor.continue();
        });
        return null;
      });
      return found;
    },
  };
}

const done = (request) => new Promise((resolve, reject) => {
  request.addEventListener("success", () => resolve(request.result));
  request.addEventListener("error", () => reject(request.error));
  request.addEventListener("blocked", () => reject(new Error("another tab holds an older database")));
});

const complete = (transaction) => new Promise((resolve, reject) => {
  transaction.addEventListener("complete", () => resolve());
  transaction.addEventListener("error", () => reject(transaction.error));
  transaction.addEventListener("abort", () => reject(transaction.error ?? new Error("aborted")));
});
