// The logs of decisions and of steps to take back, in this browser's database.

import { open } from "../lib/idb.js";
import { alive } from "./client.js";

// Those of this tab, and of tabs that are gone. `me`: the promise of this tab's name.
export const decisionLog = (me) => ({
  async read() {
    const [mine, isAlive, all] = [await me, await alive(), await (await open()).range("decisions")];
    return all
      .filter(({ value }) => value.client === mine || !isAlive(value.client))
      .map(({ key, value: { client: _, ...value } }) => ({ key, value }));
  },
  async add(values) {
    const client = await me;
    return (await open()).addMany("decisions", values.map((value) => ({ ...value, client })));
  },
  async change(pairs, gone) {
    const client = await me;
    const kept = pairs.filter(([, key]) => key !== null).map(([value, key]) => [{ ...value, client }, key]);
    await (await open()).putMany("decisions", kept, gone.filter((key) => key !== null));
  },
});

const MANY = 500;

export const stepLog = {
  // The newest steps of a dataset; those of others lie between them.
  async older(dataset, limit) {
    const database = await open();
    const found = [];
    let before = null;
    for (;;) {
      const page = await database.range("undo", null, before, MANY, { reverse: true });
      found.push(...page.filter(({ value }) => value.dataset === dataset));
      if (page.length < MANY || found.length >= limit) return found.slice(0, limit);
      before = page.at(-1).key - 1;
    }
  },
  add: async (value) => (await open()).add("undo", value),
  put: async (value, key) => (await open()).put("undo", value, key),
  remove: async (key) => (await open()).delete("undo", key),
};
