import assert from "node:assert/strict";
import { test } from "node:test";

import { batcher } from "../../web_client/js/upload/batches.js";
import { delay } from "../../web_client/js/upload/retry.js";

const item = (category, size, split = null) => ({ category, split, size });

test("files travel in batches of one category and split and of bounded size", () => {
  const batches = batcher();
  for (let index = 0; index < 130; index += 1) batches.put(item("a", 10));
  for (const one of [item("b", 9e6), item("b", 1), item("a", 10, "test"), item(null, 1)]) batches.put(one);
  const sizes = [];
  while (batches.size > 0) { const batch = batches.take(true); sizes.push([batch[0].category, batch.length]); }
  assert.deepEqual(sizes, [["a", 128], ["b", 1], ["a", 2], ["b", 1], ["a", 1], [null, 1]]);
  assert.equal(batches.take(true), null);
});

test("what is not full waits unless it is called for", () => {
  const batches = batcher();
  batches.put(item("a", 1));
  assert.equal(batches.take(false), null);
  assert.equal(batches.take(true).length, 1);
});

test("each wait is longer than the one before, bounded, and as long as the service asks", () => {
  const always = (value) => () => value;
  const waits = [1, 2, 3, 4, 5, 6, 7, 20].map((tries) => delay({ status: 503 }, tries, always(1)));
  assert.deepEqual(waits, [0.5, 1, 2, 4, 8, 16, 30, 30]);
  assert.ok(delay({ status: 503 }, 3, always(0)) > 0);
  assert.equal(delay({ status: 429, retryAfter: 7 }, 1, always(0)), 7);
  assert.equal(delay({ status: 503, retryAfter: 9000 }, 1, always(0)), 60);
  assert.equal(delay({ status: 507 }, 1, always(0)), 30);
});
