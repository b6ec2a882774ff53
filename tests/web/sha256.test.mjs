import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";

import { hashOf, sha256 } from "../../web_client/js/upload/sha256.js";

const expected = (bytes) => createHash("sha256").update(bytes).digest("hex");

test("it is the hash that everybody else computes, at every length around a block", async () => {
  for (const length of [0, 1, 3, 54, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129, 1000, 65_537]) {
    const bytes = new Uint8Array(randomBytes(length));
    assert.equal(hashOf(bytes), expected(bytes), `${length}`);
    assert.equal(await sha256(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + length)), expected(bytes));
  }
});

test("it reads a part of a buffer as that part", () => {
  const all = new Uint8Array(randomBytes(300));
  assert.equal(hashOf(all.subarray(17, 211)), expected(all.subarray(17, 211)));
});
