import assert from "node:assert/strict";
import { test } from "node:test";

import { supply } from "../../web_client/js/labeling/supply.js";
import { session } from "../../web_client/js/views/label/session.js";

// A dataset of some unlabeled images and one tab that labels them, answered at once.
function house(count, resumed = Promise.resolve()) {
  const names = Array.from({ length: count }, (_, index) => `i${index}`);
  const labels = new Map();
  const said = new Map(); // here, and not known to the server yet
  const desk = {
    resumed: resumed.then((left = {}) => { for (const [image, category] of Object.entries(left)) said.set(image, category); }),
    state: { get: () => ({ waiting: 0 }) },
    label: (dataset, { image }) => said.get(image) ?? labels.get(image) ?? null,
    decide(dataset, items, category) { for (const { image } of items) labels.set(image, category); },
  };
  const queue = async (dataset, { limit }) =>
    ({ images: names.filter((name) => !labels.has(name)).slice(0, limit).map((image) => ({ image, alike: 1 })) });
  return session({ dataset: "pets", desk, supply: supply({ queue, dataset: "pets", me: "tab" }), alike: async () => [], onSkip: () => {} });
}

test("who has as many open as the server holds, and asks for more, gets them once those are labeled", async () => {
  const work = house(300);
  await work.more(200);
  await work.more(200);
  assert.deepEqual([work.state.get().items.length, work.state.get().isEmpty], [200, false]);
  work.decide(work.state.get().items, "cats");
  await work.more(200);
  assert.deepEqual([work.state.get().items.length, work.state.get().isEmpty], [100, false]);
  work.decide(work.state.get().items, "cats");
  await work.more(200);
  assert.equal(work.state.get().isEmpty, true);
});

test("what an earlier page decided and could not send does not come again", async () => {
  const work = house(3, new Promise((resolve) => { setTimeout(() => resolve({ i0: "cats" }), 5); }));
  await work.more(10);
  assert.deepEqual(work.state.get().items.map(({ image }) => image), ["i1", "i2"]);
});
