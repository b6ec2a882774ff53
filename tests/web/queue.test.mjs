import assert from "node:assert/strict";
import { test } from "node:test";

import { supply } from "../../web_client/js/labeling/supply.js";

// A queue that gives what a client holds first; `labeled` ones are out of it.
function shelf(names) {
  const asked = [];
  const labeled = new Set();
  return {
    asked,
    labeled,
    async queue(dataset, request) {
      asked.push({ dataset, ...request });
      return { images: names.filter((name) => !labeled.has(name)).slice(0, request.limit).map((image) => ({ image })), left: 0 };
    },
  };
}
const got = ({ found }) => found.map((one) => one.image);
const of = ({ queue }) => supply({ queue, dataset: "pets", me: Promise.resolve("tab") });

test("every image comes once, also while its label is on its way, and then none", async () => {
  const server = shelf(["e", "d", "c", "b", "a"]);
  const images = of(server);
  assert.deepEqual(got(await images.more(2)), ["e", "d"]);
  assert.deepEqual(got(await images.more(2, 2)), ["c", "b"]);
  server.labeled.add("e").add("d");
  assert.deepEqual(got(await images.more(2, 2)), ["a"]);
  assert.deepEqual(got(await images.more(2, 3)), []);
  assert.deepEqual(server.asked[0], { dataset: "pets", client: "tab", order: "uncertain", limit: 2, hold_s: 300 });
});

test("no more is asked for than the server gives", async () => {
  const server = shelf([]);
  await of(server).more(200, 150);
  assert.equal(server.asked[0].limit, 200);
});

test("an image that came meanwhile is found", async () => {
  const names = ["b", "a"];
  const images = of(shelf(names));
  await images.more(5);
  names.push("c");
  assert.deepEqual(got(await images.more(5, 2)), ["c"]);
});
