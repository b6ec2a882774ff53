import assert from "node:assert/strict";
import { test } from "node:test";

import { now } from "../../web_client/js/lib/clock.js";
import { ago, bytes, count, duration, number, percent, short, size } from "../../web_client/js/lib/text.js";

test("figures are written as people read them", () => {
  assert.equal(count(1, "image"), "1 image");
  assert.equal(count(12_400, "category", "categories"), "12,400 categories");
  assert.equal(number(null), "–");
  assert.equal(percent(0.12345), "12.3 %");
  assert.equal(percent(undefined), "–");
  assert.equal(short("0123456789abcdef"), "0123456789");
  assert.equal(size([28, 28, 1]), "28 × 28 × 1");
});

test("bytes have the unit that fits", () => {
  const said = [0, 999, 1000, 1500, 99_900, 100_000, 1e6, 67_108_864, 2.5e9, 1e18].map(bytes);
  assert.deepEqual(said, ["0 B", "999 B", "1.0 kB", "1.5 kB", "99.9 kB", "100 kB", "1.0 MB", "67.1 MB", "2.5 GB", "1000 PB"]);
});

test("durations and ages have two parts at most", () => {
  assert.equal(duration(59.6), "1 min");
  assert.equal(duration(90), "1 min 30 s");
  assert.equal(duration(7260), "2 h 01 min");
  assert.equal(ago(now() + 100), "just now");
  assert.equal(ago(now() - 3 * 86_400 - 5), "3 days ago");
});
