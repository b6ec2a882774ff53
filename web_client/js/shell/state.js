// What the whole page knows: {me, datasets, dataset, health, isLoaded}. `me` is null until it is
// known, `dataset` the name of the chosen one, which is remembered; `isLoaded`: the datasets are
// those of the service.

import { store } from "../lib/store.js";

const KEY = "dicebox.dataset";

export const state = store({ me: null, datasets: [], dataset: remembered(KEY), health: null, isLoaded: false });

// localStorage may be refused; then nothing is remembered.
export function remembered(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // as said
  }
}

export function choose(name) {
  if (name) remember(KEY, name);
  state.set({ dataset: name });
}

// Takes the list a service gave; a dataset that is gone is not kept. A list that says nothing new
// is no change, so that what is shown stays.
export function learn(datasets) {
  const before = state.get();
  const isNew = JSON.stringify(datasets) !== JSON.stringify(before.datasets);
  const isThere = datasets.some((one) => one.name === before.dataset);
  state.set({
    isLoaded: true,
    datasets: isNew ? datasets : before.datasets,
    dataset: isThere ? before.dataset : datasets[0]?.name ?? null,
  });
}

// The chosen dataset with its counts, or null.
export function summary() {
  const { datasets, dataset } = state.get();
  return datasets.find((one) => one.name === dataset) ?? null;
}

// Whether the key may do what any of these scopes allows. Before it is known who asks: yes.
export function may(...scopes) {
  const { me } = state.get();
  return me === null || me.scopes.includes("admin") || scopes.some((scope) => me.scopes.includes(scope));
}
