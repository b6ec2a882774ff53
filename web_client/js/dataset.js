// Which dataset the whole page is about: chosen once, remembered, offered by every view.

const KEY = "dicebox.dataset";
const listeners = new Set();
let chosen = localStorage.getItem(KEY);
let known = [];

export const dataset = () => chosen;
export const datasets = () => known;
export const summary = () => known.find((one) => one.name === chosen) ?? null;

export function onDataset(listener) {
  listeners.add(listener);
}

export function choose(name) {
  if (name === chosen) return;
  chosen = name;
  if (name) localStorage.setItem(KEY, name);
  tell();
}

// Takes the list a service gave; a dataset that is gone is not kept.
export function learn(list) {
  known = list;
  if (!known.some((one) => one.name === chosen)) chosen = known[0]?.name ?? null;
  tell();
}

function tell() {
  for (const listener of listeners) listener();
}
