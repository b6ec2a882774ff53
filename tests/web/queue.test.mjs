import assert from "node:assert/strict";
import { test } from "node:test";

import { supply } from "../../web_client/js/labeling/supply.js";

// A dataset whose unlabeled images are `newest`; the champion spoke about `uncertain`. The cursor is
// the last name.
function shelf(newest, uncertain = []) {
  const asked = [];
  return {
    asked,
    async browse(dataset, filter, cursor, limit) {
      asked.push({ dataset, filter, cursor, limit });
      const names = filter.order === "newest" ? newest : uncertain;
      const rest = cursor === null ? names : names.slice(names.indexOf(cursor) + 1);
      return { images: rest.slice(0, limit).map((image) => ({ image })), cursor: rest.length > limit ? rest[limit - 1] : null };
    },
  };
}
const got = (items) => items.map((one) => one.image);

test("every image comes once, page by page, and then none", async () => {
  const { browse, asked } = shelf(["e", "d", "c", "b", "a"]);
  const images = supply(browse, "pets");
  assert.deepEqual(got(await images.more(2)), ["e", "d"]);
  assert.deepEqual(got(await images.more(2)), ["c", "b"]);
  assert.deepEqual(got(await images.more(2)), ["a"]);
  assert.deepEqual(got(await images.more(2)), []);
  assert.deepEqual(asked[0], { dataset: "pets", filter: { labeled: false, order: "uncertain" }, cursor: null, limit: 2 });
});

test("what the champion is least sure of comes first, and then the others", async () => {
  const { browse } = shelf(["e", "d", "c", "b", "a"], ["b", "d", "a"]);
  const images = supply(browse, "pets");
  assert.deepEqual(got(await images.more(2)), ["b", "d"]);
  assert.deepEqual(got(await images.more(3)), ["a", "e", "c"]);
});

test("images that came meanwhile are found when the end is reached", async () => {
  const names = ["c", "b", "a"];
  const images = supply(shelf(names).browse, "pets");
  assert.deepEqual(got(await images.more(2)), ["c", "b"]);
  names.unshift("e", "d");
  assert.deepEqual(got(await images.more(3)), ["a", "e", "d"]);
});

test("what was skipped comes again when it is asked for", async () => {
  const images = supply(shelf(["b", "a"]).browse, "pets");
  const items = await images.more(5);
  assert.deepEqual(got(await images.more(5)), []);
  images.again([items[1]]);
  assert.deepEqual(got(await images.more(5)), ["a"]);
});
