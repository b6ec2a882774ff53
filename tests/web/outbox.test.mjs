import assert from "node:assert/strict";
import { test } from "node:test";

import { outbox } from "../../web_client/js/upload/outbox.js";

const turn = () => new Promise((resolve) => { setImmediate(resolve); });
async function settled() { for (let i = 0; i < 500; i += 1) await turn(); }

function house() {
  const state = { fail: () => null, stored: [], waits: [], now: null };
  const box = outbox({
    async send(picture) {
      const problem = state.fail(picture);
      if (problem) throw problem;
      state.stored.push(picture);
    },
    wait: (seconds) => new Promise((resolve) => { state.waits.push({ seconds, resolve }); }),
    onState: (now) => { state.now = now; },
    random: () => 1,
  });
  return { state, box };
}
const away = Object.assign(new Error("The service does not answer."), { status: 0, isPassing: true });

test("pictures wait for a service that is away, longer and longer, and all arrive in turn", async () => {
  const { state, box } = house();
  state.fail = () => away;
  for (const name of ["a", "b", "c"]) box.put(name);
  for (let i = 0; i < 3; i += 1) { await settled(); state.waits.at(-1).resolve(); }
  await settled();
  assert.deepEqual(state.waits.map(({ seconds }) => seconds), [0.5, 1, 2, 4]);
  assert.deepEqual(state.now, { waiting: 3, stored: 0, refused: 0, problem: away });
  state.fail = () => null;
  state.waits.at(-1).resolve();
  await settled();
  assert.deepEqual(state.stored, ["a", "b", "c"]);
  assert.deepEqual(state.now, { waiting: 0, stored: 3, refused: 0, problem: null });
});

test("what is refused is counted, and takes none of the others along", async () => {
  const { state, box } = house();
  const wrong = Object.assign(new Error("no picture"), { status: 400, isPassing: false });
  state.fail = (picture) => (picture === "b" ? wrong : null);
  for (const name of ["a", "b", "c"]) box.put(name);
  await settled();
  assert.deepEqual(state.stored, ["a", "c"]);
  assert.deepEqual(state.now, { waiting: 0, stored: 2, refused: 1, problem: null });
});

test("a hundred wait; who has more is told, and may come again", async () => {
  const { state, box } = house();
  state.fail = () => away;
  for (let index = 0; index < 100; index += 1) assert.equal(box.put(index), true);
  assert.deepEqual([box.isFull(), box.put(100), box.waiting()], [true, false, 100]);
  await settled();
  state.fail = () => null;
  state.waits.at(-1).resolve();
  await settled();
  assert.deepEqual([box.isFull(), box.waiting(), state.stored.length], [false, 0, 100]);
  box.put(100);
  await settled();
  assert.equal(state.stored.length, 101);
});
