import assert from "node:assert/strict";
import { test } from "node:test";

import { format, parse } from "../../web_client/js/shell/router.js";
import { asked, read, sentence, write } from "../../web_client/js/views/browse/filters.js";

const EVIL = "a&b=c?#/<script>%";

test("a filter goes into the address and comes back as it was", () => {
  for (const filter of [
    {}, { labeled: false }, { category: EVIL, split: "test", source: "suggestion", who: EVIL },
    { disagrees: true, order: "disagreement", from: 90, to: 100 }, { disagrees: false, said: "0" }, { from: 0 },
    { group: "0123456789abcdef".repeat(4), labeled: true },
  ]) {
    const hash = format({ view: "browse", path: ["pets"], query: write(filter) });
    assert.deepEqual(read(parse(hash).query), filter, hash);
  }
});

test("what an address says wrongly is left out", () => {
  const query = new Map([["split", "half"], ["from", "many"], ["to", "101"], ["order", "newest"], ["labeled", "maybe"], ["x", "y"], ["group", "cats"], ["who", ""]]);
  assert.deepEqual(read(query), {});
});

test("the API is asked in shares of one, and not for what nobody said", () => {
  const query = asked({ category: "cats", from: 50, disagrees: true });
  assert.equal(query.min_confidence, 0.5);
  assert.equal(query.max_confidence, undefined);
  assert.equal(query.disagrees, true);
  assert.ok(!("from" in query));
});

test("a filter is said in words", () => {
  assert.equal(sentence({}), "all, newest first");
  assert.equal(sentence({ category: "cats", split: "train", disagrees: true }), "labeled cats, in train, the champion disagrees");
  assert.equal(sentence({ from: 20 }), "sure by 20 to 100 %");
});
