import assert from "node:assert/strict";
import { test } from "node:test";

import { every, scheduler, yieldToPage } from "../../web_client/js/lib/frame.js";

test("each draw happens once a frame, however often it was asked for", () => {
  const frames = [];
  const schedule = scheduler((callback) => frames.push(callback));
  let drawn = 0;
  const draw = () => { drawn += 1; };
  schedule(draw);
  schedule(draw);
  schedule(() => {});
  assert.equal(frames.length, 1);
  frames.pop()();
  assert.equal(drawn, 1);
  schedule(draw);
  frames.pop()();
  assert.equal(drawn, 2);
});

test("a draw that asks for itself is drawn in the next frame", () => {
  const frames = [];
  const schedule = scheduler((callback) => frames.push(callback));
  let drawn = 0;
  const draw = () => { drawn += 1; if (drawn < 3) schedule(draw); };
  schedule(draw);
  frames.shift()();
  assert.deepEqual([drawn, frames.length], [1, 1]);
});

test("at most one draw in so many milliseconds, and the last one asked for is drawn", () => {
  let time = 0;
  const timers = [];
  let drawn = 0;
  const slow = every(200, () => { drawn += 1; }, {
    frame: (draw) => draw(), now: () => time, forget: () => timers.pop(),
    wait: (turn, after) => timers.push({ turn, at: time + after }),
  });
  const pass = (to) => { time = to; while (timers[0]?.at <= time) timers.shift().turn(); };
  slow.ask();
  pass(0);
  for (let at = 10; at < 200; at += 10) { pass(at); slow.ask(); }
  assert.equal(drawn, 1);
  pass(200);
  assert.equal(drawn, 2);
  pass(900);
  assert.equal(drawn, 2);
});

test("yielding lets others go first", async () => {
  const order = [];
  setTimeout(() => order.push("other"), 0);
  await yieldToPage();
  await new Promise((resolve) => { setTimeout(resolve, 5); });
  assert.deepEqual(order, ["other"]);
});
