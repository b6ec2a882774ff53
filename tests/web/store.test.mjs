import assert from "node:assert/strict";
import { test } from "node:test";

import { store } from "../../web_client/js/lib/store.js";

test("who subscribed is told of changes, and of nothing else", () => {
  const state = store({ a: 1, b: 2 });
  const told = [];
  const off = state.subscribe((value) => told.push(value.a));
  state.set({ a: 1 });
  state.set({ a: 3 });
  off();
  state.set({ a: 4 });
  assert.deepEqual(told, [3]);
  assert.deepEqual(state.get(), { a: 4, b: 2 });
});

test("who picks is told when what they pick is another", () => {
  const state = store({ a: 1, b: 2 });
  const told = [];
  state.subscribe((value) => told.push(value.b), (value) => value.b);
  state.set({ a: 5 });
  state.set({ b: 6 });
  assert.deepEqual(told, [6]);
});

test("who unsubscribes while being told hinders nobody", () => {
  const state = store({ a: 1 });
  const told = [];
  const off = state.subscribe(() => off());
  state.subscribe(() => told.push("second"));
  state.set({ a: 2 });
  assert.deepEqual(told, ["second"]);
});

test("a value that was got never changes", () => {
  const state = store({ a: 1 });
  const before = state.get();
  assert.throws(() => { before.a = 2; });
  state.set({ a: 3 });
  assert.equal(before.a, 1);
});
