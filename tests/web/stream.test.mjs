import assert from "node:assert/strict";
import { test } from "node:test";

import { parser } from "../../web_client/js/views/evolve/stream.js";

const TEXT = 'retry: 2000\n\nid: 1.5\nevent: run\ndata: {"a": 1}\n\n: still here\n\nevent: training\ndata: x\ndata: y\n\n';

test("events are the same however the text is cut", () => {
  const whole = parser()(TEXT);
  assert.deepEqual(whole.map(({ id, event, data }) => [id, event, data]), [
    [null, "message", null], ["1.5", "run", '{"a": 1}'], [null, "message", null], [null, "training", "x\ny"],
  ]);
  for (const size of [1, 2, 3, 7, 50]) {
    const take = parser();
    const found = [];
    for (let at = 0; at < TEXT.length; at += size) found.push(...take(TEXT.slice(at, at + size)));
    assert.deepEqual(found, whole, `${size} at a time`);
  }
});

test("what is not whole is no event", () => {
  assert.deepEqual(parser()("event: run\ndata: 1\n"), []);
});
