import assert from "node:assert/strict";
import { test } from "node:test";

import { format, parse } from "../../web_client/js/shell/router.js";

test("an address has a view, a path and a query", () => {
  const place = parse("#browse/my%20pets/x?disagrees=1&said=a%2Fb");
  assert.equal(place.view, "browse");
  assert.deepEqual(place.path, ["my pets", "x"]);
  assert.deepEqual([...place.query], [["disagrees", "1"], ["said", "a/b"]]);
});

test("an empty address is no view", () => {
  assert.deepEqual(parse(""), { view: "", path: [], query: new Map() });
});

test("the old name of a view leads to it", () => assert.equal(parse("#classify").view, "serve"));

test("what is written is read again, whatever is in it", () => {
  for (const odd of ["a/b", "50%", "?", "#", "<script>", "日本", "a&b=c", " "]) {
    const place = { view: "browse", path: [odd], query: new Map([["category", odd]]) };
    assert.deepEqual(parse(format(place)), place);
  }
});

test("what is empty is left out", () => {
  assert.equal(format({ view: "browse", query: { a: "", b: null, c: undefined, d: 0 } }), "#browse?d=0");
  assert.equal(format({ view: "browse" }), "#browse");
});

test("an address that somebody broke is read as far as it goes", () => {
  assert.deepEqual(parse("#browse/%E0%A4%A").path, ["%E0%A4%A"]);
});
