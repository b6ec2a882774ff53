// Does the work of uploads beside the page, so that the page stays quick whatever is dropped on it.

import { onLocked, unlock } from "../api/http.js";
import { lookup, upload } from "../api/images.js";
import { open } from "../lib/idb.js";
import { drops } from "./drops.js";
import { ledger, room } from "./ledger.js";
import { sha256 } from "./sha256.js";
import { weigh } from "./weight.js";

const TELL_EVERY = 100;
const SAVE_EVERY = 500;

let hasChanged = false;
let refused = [];
let isSaving = false;

const started = start();

async function start() {
  const db = await open().catch(() => null);
  const book = ledger(db, db && await room(navigator.storage));
  const all = drops({
    book, hash: sha256,
    api: { lookup, upload },
    wait: (seconds) => new Promise((resolve) => { setTimeout(resolve, 1000 * seconds); }),
    told: {
      changed: () => { hasChanged = true; },
      refused: (id, one) => { refused.push({ id, ...one }); hasChanged = true; },
      taken: (id, count) => postMessage({ type: "taken", count }),
    },
  });
  setInterval(() => tell(all), TELL_EVERY);
  setInterval(() => save(all), SAVE_EVERY);
  await all.resume(take).catch((error) => console.error(error));
  return { all };
}

function tell(all) {
  if (!hasChanged) return;
  hasChanged = false;
  postMessage({ type: "state", drops: all.state(), refused });
  refused = [];
}

async function save(all) {
  if (isSaving) return;
  isSaving = true;
  await all.save().catch((error) => console.error(error));
  isSaving = false;
}

// One page works on a drop at a time; the lock goes with the page.
function take(id) {
  if (!navigator.locks) return true;
  return new Promise((resolve) => {
    navigator.locks.request(`dicebox-drop-${id}`, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock && new Promise(() => {});
    });
  });
}

onLocked(() => postMessage({ type: "locked" }));

// What must not overtake one another goes in a row; the rest is done at once.
let row = started;

addEventListener("message", async ({ data }) => {
  const { all } = await started;
  const inOrder = {
    begin: async () => { await take(data.drop.id); await all.begin(data.drop); },
    files: async () => { await all.files(data.id, data.files, data.category); weigh(data.files.length); },
    end: () => all.end(data.id),
    forget: () => all.forget(data.id),
  };
  if (data.type in inOrder) row = row.then(inOrder[data.type]).catch((error) => console.error(error));
  else if (data.type === "unlock") unlock();
  else all[data.type]();
});
