// What is in hand while a dataset is labeled: the images to come, in turn, and what was done.

import { lookup } from "../../api/images.js";
import { store } from "../../lib/store.js";

const AGAIN = 5000; // milliseconds until more is asked for after a failure
const RECENT = 12;

// `supply`: {more(limit, held) → {found, isCut}}; `alike(item)` → the unlabeled images of its group; `onSkip(images)` is told what another time will do for. `state` of
// what it returns: {items, recent, isAsking, isEmpty, problem}; `items` are to be labeled, `recent`
// were, the last one first. What is said of an image is said of those that look like it.
export function session({ dataset, desk, supply, alike, onSkip }) {
  const state = store({ items: [], recent: [], isAsking: false, isEmpty: false, problem: null });
  const known = new Map();
  const followers = new Set(); // labeled because they look like another one
  let skipped = [];
  let timer = null;
  let isOver = false;

  const remember = (items) => { for (const one of items) known.set(one.image, one); return items; };

  function without(items) {
    const gone = new Set(items.map((one) => one.image));
    return state.get().items.filter((one) => !gone.has(one.image));
  }

  async function more(limit) {
    if (state.get().isAsking || isOver) return [];
    clearTimeout(timer);
    state.set({ isAsking: true });
    try {
      // The server gives what it was not told yet once more.
      await desk.resumed;
      // What is on its way is still held for this tab, as far as the server knows.
      const waiting = desk.state.get().waiting;
      const held = state.get().items.length + waiting;
      const { found, isCut } = await supply.more(limit, held);
      const fresh = remember(found).filter((one) => desk.label(dataset, one) === null);
      state.set({ items: [...state.get().items, ...fresh], isEmpty: found.length === 0 && !isCut && waiting === 0, problem: null });
      return fresh;
    } catch (problem) {
      state.set({ problem: problem.message });
      timer = setTimeout(() => more(limit), AGAIN);
      return [];
    } finally {
      state.set({ isAsking: false });
    }
  }

  async function spread(step, item, category, source) {
    const others = await alike(item).catch(() => []);
    const open = others.filter((one) => one.image !== item.image && desk.label(dataset, one) === null);
    for (const one of remember(open)) followers.add(one.image);
    const given = new Set(open.map((one) => one.image));
    state.set({ items: state.get().items.filter((one) => !given.has(one.image)) });
    if (open.length) desk.also(step, dataset, open, category, source);
  }

  // The images of [{image, …}], also those that this page never showed.
  async function itemsOf(back) {
    const missing = back.filter(({ image }) => !known.has(image)).map(({ image }) => image);
    if (missing.length) remember(await lookup(dataset, missing));
    return back.map(({ image }) => known.get(image)).filter(Boolean);
  }

  function decided(items) {
    const these = new Set(items);
    const recent = [...items.slice(-RECENT).reverse(), ...state.get().recent.filter((one) => !these.has(one))].slice(0, RECENT);
    state.set({ items: without(items), recent });
  }

  return {
    state,
    more,
    decide(items, category, source = "person") {
      if (items.length === 0) return;
      decided(items);
      const step = desk.decide(dataset, items, category, source);
      for (const item of items) if (item.alike > 1) spread(step, item, typeof category === "function" ? category(item) : category, source);
    },
    skip(items) {
      skipped.push(...items);
      state.set({ items: without(items) });
      onSkip(items.map((one) => one.image));
    },
    skipped: () => skipped.length,
    // Has what was skipped come again.
    again() {
      const items = skipped.filter((one) => desk.label(dataset, one) === null);
      skipped = [];
      state.set({ items: [...state.get().items, ...items], isEmpty: false });
    },
    // Returns the images that are to be labeled again, or null where nothing was done.
    async undo() {
      const back = await desk.undo(dataset);
      if (!back) return null;
      const items = await itemsOf(back);
      const open = items.filter((item) => back.find(({ image }) => image === item.image).category === null && !followers.has(item.image));
      const these = new Set(items);
      state.set({ items: [...open, ...without(open)], recent: state.get().recent.filter((one) => !these.has(one)) });
      return items;
    },
    async redo() {
      const forth = desk.redo(dataset);
      if (!forth) return null;
      const items = await itemsOf(forth);
      decided(items);
      return items;
    },
    end() { isOver = true; clearTimeout(timer); },
  };
}
