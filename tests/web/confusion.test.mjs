import assert from "node:assert/strict";
import { test } from "node:test";

import { mistakes, shares } from "../../web_client/js/parts/confusion.js";
import { correctionText } from "../../web_client/js/views/serve/answers.js";
import { findings } from "../../web_client/js/views/serve/trials.js";

const categories = ["cat", "dog", "<b>"].map((name) => ({ id: name, name }));

test("the most frequent mistakes come first, each with its share of what shows that", () => {
  const found = mistakes({ categories, confusion: [[8, 2, 0], [5, 5, 0], [0, 1, 0]] });
  assert.deepEqual(found, [
    { shown: "dog", taken: "cat", images: 5, share: 0.5 }, { shown: "cat", taken: "dog", images: 2, share: 0.2 },
    { shown: "<b>", taken: "dog", images: 1, share: 1 },
  ]);
  assert.deepEqual(mistakes({ categories, confusion: [[3, 0, 0], [0, 2, 0], [0, 0, 0]] }), []);
});

test("shares are of rows, and a category without images has none", () => {
  assert.deepEqual(shares([[3, 1], [0, 0]]), [[0.75, 0.25], [0, 0]]);
});

test("a correction is said by its state", () => {
  assert.match(correctionText({ category: "dog", state: "waiting" }), /on its way/);
  assert.match(correctionText({ category: "dog", state: "sent" }), /is dog now/);
  assert.match(correctionText({ category: "dog", state: "refused", reason: "no such dataset" }), /no such dataset/);
});

test("a trial says what it found, and that it found nothing", () => {
  const trial = { images: 0, better: 0, worse: 0, answers: 0, errors: 0, compared: 0, disagreed: 0 };
  assert.equal(findings(trial), "Nothing was found yet.");
  assert.match(findings({ ...trial, images: 40, better: 3, worse: 1, answers: 9, errors: 2, compared: 20, disagreed: 5 }), /40 images.*3.*1; it answered 9 requests, 2.*25\.0 %/);
});
