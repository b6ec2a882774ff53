import assert from "node:assert/strict";
import { test } from "node:test";

import { age, learn, now } from "../../web_client/js/lib/clock.js";

const said = (seconds) => ({ headers: new Headers({ Date: new Date(1000 * seconds).toUTCString() }) });

test("the server's time counts, whatever this machine's clock says", () => {
  const server = 1_900_000_000;
  learn(said(server));
  assert.ok(Math.abs(now() - server) < 1);
  assert.ok(age(server - 60) >= 60 && age(server - 60) < 62);
  assert.equal(age(server + 3600), 0);
});

test("an answer that was long on its way turns nothing back, a clock that was set does", () => {
  const server = 1_900_000_100;
  learn(said(server));
  learn(said(server - 2));
  assert.ok(now() >= server);
  learn(said(server - 1000));
  assert.ok(now() < server - 990);
});

test("an answer without a date teaches nothing", () => {
  const before = now();
  learn({ headers: new Headers() });
  assert.ok(Math.abs(now() - before) < 1);
});
