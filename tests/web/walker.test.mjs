import assert from "node:assert/strict";
import { test } from "node:test";

import { fromDrop, fromEntries, fromFiles } from "../../web_client/js/upload/walker.js";

let open = 0;
let mostOpen = 0;

const file = (fullPath) => ({
  isFile: true, fullPath,
  file(resolve) {
    open += 1;
    mostOpen = Math.max(mostOpen, open);
    setImmediate(() => { open -= 1; resolve({ name: fullPath.split("/").at(-1), size: 3 }); });
  },
});
const unreadable = (fullPath) => ({ isFile: true, fullPath, file: (_, reject) => reject(new DOMException("no", "NotReadableError")) });
const folder = (fullPath, children, fails = false) => ({
  isFile: false, fullPath,
  createReader() {
    let at = 0;
    return { readEntries(resolve, reject) {
      if (fails && at >= 100) { reject(new DOMException("no", "SecurityError")); return; }
      setImmediate(() => { resolve(children.slice(at, at += 100)); });
    } };
  },
});
const all = async (stream) => { const found = []; for await (const one of stream) found.push(one); return found; };

test("every file of every folder is found once, a hundred at a time", async () => {
  const many = Array.from({ length: 250 }, (_, index) => file(`/pets/cats/${index}.png`));
  const found = await all(fromEntries([folder("/pets", [folder("/pets/cats", many), file("/pets/one.png")]), file("/two.png")]));
  assert.equal(found.length, 252);
  assert.equal(new Set(found.map((one) => one.path)).size, 252);
  assert.ok(found.some((one) => one.path === "pets/cats/249.png" && one.file.name === "249.png"));
  assert.ok(mostOpen <= 32, `${mostOpen}`);
});

test("what cannot be read is said, and the walk goes on", async () => {
  const half = Array.from({ length: 150 }, (_, index) => file(`/bad/${index}.png`));
  const found = await all(fromEntries([folder("/bad", half, true), unreadable("/x.png"), file("/good.png")]));
  assert.deepEqual(found.filter((one) => one.problem), [
    { path: "bad", problem: "this folder cannot be read: SecurityError" },
    { path: "x.png", problem: "cannot be read: NotReadableError" },
  ]);
  assert.equal(found.filter((one) => one.file).length, 101);
});

test("hidden files and folders are left out", async () => {
  const found = await all(fromEntries([folder("/.git", [file("/.git/a.png")]), file("/.DS_Store"), file("/a.png")]));
  assert.deepEqual(found.map((one) => one.path), ["a.png"]);
});

test("picked files keep the path of their folder", async () => {
  const files = [{ name: "a.png", webkitRelativePath: "pets/cats/a.png" }, { name: ".x", webkitRelativePath: "" }, { name: "b.png", webkitRelativePath: "" }];
  assert.deepEqual((await all(fromFiles(files))).map((one) => one.path), ["pets/cats/a.png", "b.png"]);
});

test("a drop that holds no entries is its files", async () => {
  const found = await all(fromDrop({ items: [{ webkitGetAsEntry: () => null }], files: [{ name: "a.png" }] }));
  assert.deepEqual(found.map((one) => one.path), ["a.png"]);
});
