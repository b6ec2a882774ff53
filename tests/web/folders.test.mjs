import assert from "node:assert/strict";
import { test } from "node:test";

import { isHidden, labelOf } from "../../web_client/js/upload/folders.js";

test("a path says category and split", () => {
  for (const [path, category, split] of [
    ["a.png", null, null],
    ["cats/a.png", "cats", null],
    ["/pets/cats/a.png", "cats", null],
    ["digits/train/7/a.png", "7", "train"],
    ["digits/Val/7/a.png", "7", "validation"],
    ["digits/test/a.png", null, "test"],
    ["pets/<script>alert(1)<script>/a.png", "<script>alert(1)<script>", null],
  ]) assert.deepEqual(labelOf(path), { category, split }, path);
});

test("what the system put there is no picture", () => {
  for (const path of [".DS_Store", "cats/.DS_Store", ".git/a.png", "cats/Thumbs.db", "Desktop.ini"]) assert.ok(isHidden(path), path);
  for (const path of ["a.png", "cats/thumbs.db.png", "c.a.t/a.png"]) assert.ok(!isHidden(path), path);
});
