import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { active, bind, handle, keyMap, nameOf, setEnabled, unbind } from "../../web_client/js/lib/keys.js";

const press = (key, more = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, target: null, preventDefault() { this.prevented = true; }, ...more });
const on = (kind) => ({ closest: (asked) => (kind === "field" ? asked.includes("textarea") : asked.startsWith("button")) });
let done;
let map;

beforeEach(() => {
  if (map) unbind(map);
  setEnabled(true);
  done = [];
  map = keyMap([
    { key: "s", label: "skip", run: () => done.push("s") },
    { key: "Ctrl+z", label: "undo", run: () => done.push("undo") },
    { key: "Ctrl+Shift+z", label: "redo", run: () => done.push("redo") },
    { key: "Enter", label: "accept", run: () => done.push("enter"), when: () => done.length < 5 },
    { key: "?", label: "help", run: () => done.push("?") },
  ]);
  bind(map);
});

test("a key has one name on every keyboard", () => {
  assert.equal(nameOf(press("S")), "s"); // caps lock
  assert.equal(nameOf(press("S", { shiftKey: true })), "S");
  assert.equal(nameOf(press("?", { shiftKey: true })), "?");
  assert.equal(nameOf(press("Z", { shiftKey: true, metaKey: true })), "Ctrl+Shift+z");
  assert.equal(nameOf(press("ArrowUp", { shiftKey: true })), "Shift+ArrowUp");
});

test("keys do what their map says and nothing of it in a field", () => {
  const event = press("s");
  assert.equal(handle(event), true);
  assert.equal(event.prevented, true);
  assert.equal(handle(press("z", { ctrlKey: true })), true);
  assert.equal(handle(press("s", { ctrlKey: true })), false);
  assert.equal(handle(press("s", { target: on("field") })), false);
  assert.equal(handle(press("Enter", { target: on("button") })), false);
  assert.equal(handle(press("s", { target: on("button") })), true);
  assert.deepEqual(done, ["s", "undo", "s"]);
});

test("the map that was bound last comes first", () => {
  const other = keyMap([{ key: "s", label: "other", run: () => done.push("other") }]);
  bind(other);
  handle(press("s"));
  unbind(other);
  handle(press("s"));
  assert.deepEqual(done, ["other", "s"]);
});

test("single keys can be switched off; those with Ctrl stay", () => {
  setEnabled(false);
  assert.equal(handle(press("s")), false);
  assert.equal(handle(press("Z", { ctrlKey: true, shiftKey: true })), true);
  assert.deepEqual(done, ["redo"]);
});

test("what cannot be done now is neither done nor listed", () => {
  done.push(1, 2, 3, 4, 5);
  assert.equal(handle(press("Enter")), false);
  assert.deepEqual(active().map((one) => one.key), ["s", "Ctrl+z", "Ctrl+Shift+z", "?"]);
});

test("a key that types a character of another script types it", () => {
  assert.equal(handle({ ...press("s"), isComposing: true }), false);
});
