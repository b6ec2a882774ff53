import assert from "node:assert/strict";
import { test } from "node:test";

// As much of a browser as the desk needs: one without a database.
const page = new EventTarget();
Object.assign(globalThis, { addEventListener: page.addEventListener.bind(page), document: new EventTarget() });
Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });

const renamed = new Map([["kitty", "cats"]]); // as the server knows it
const labels = new Map(); // image → {category, changed}
const asked = [];
let clock = 100;

function labeled({ labels: wanted, source }) {
  asked.push({ source, wanted });
  const reply = { labeled: [], conflicts: [], unknown: [] };
  for (const { image, category: name, seen } of wanted) {
    const category = renamed.get(name) ?? name;
    const now = labels.get(image);
    const said = () => ({ image, category: labels.get(image).category && { name: labels.get(image).category }, changed: labels.get(image).changed });
    if (!now) reply.unknown.push(image);
    else if (now.category !== category && seen !== null && seen !== now.changed) reply.conflicts.push({ ...said(), who: "bob" });
    else {
      const relabeled = now.category !== category;
      if (relabeled) labels.set(image, { category, changed: clock += 1 });
      reply.labeled.push({ ...said(), relabeled });
    }
  }
  return reply;
}

globalThis.fetch = async (address, { body }) =>
  Response.json(address.pathname.endsWith("/labels") ? labeled(JSON.parse(body)) : { key: null, name: null, scopes: [] });

const { desk } = await import("../../web_client/js/labeling/desk.js");
const settled = () => new Promise((resolve) => { setTimeout(resolve, 20); });
const item = (image, changed = 1) => ({ image, category: null, changed });
const put = (image, category, changed = 1) => labels.set(image, { category, changed });

test("what somebody else said is not taken back with a step that came to nothing", async () => {
  put("x", "dogs", 7);
  put("y", null);
  desk().decide("pets", [item("x"), item("y")], "cats");
  await settled();
  assert.equal(desk().conflicts.get().list.length, 1);
  assert.deepEqual((await desk().undo("pets")).map(({ image }) => image), ["y"]);
  await settled();
  assert.equal(labels.get("x").category, "dogs");
  assert.equal(await desk().undo("pets"), null);
});

test("one's own label that was taken all the same goes back to the other one", async () => {
  const [conflict] = desk().conflicts.get().list;
  await desk().takeMine(conflict);
  await settled();
  assert.equal(labels.get("x").category, "cats");
  await desk().undo("pets");
  await settled();
  assert.equal(labels.get("x").category, "dogs");
});

test("a label that is taken back before its answer came does not take another one along", async () => {
  put("z", null);
  put("z", "dogs", 7);
  desk().decide("pets", [item("z")], "cats");
  await desk().undo("pets");
  await settled();
  assert.equal(labels.get("z").category, "dogs");
});

test("an image that is gone leaves nothing to take back", async () => {
  desk().decide("pets", [item("gone")], "cats");
  await settled();
  assert.equal(desk().said("pets", "gone").state, "refused");
  asked.length = 0;
  await desk().undo("pets");
  await settled();
  assert.deepEqual(asked, []);
});

test("a label by a name that the category had before is saved, and shown by the new one", async () => {
  put("k", null);
  desk().decide("pets", [item("k")], "kitty");
  await settled();
  assert.deepEqual([desk().said("pets", "k").state, desk().label("pets", item("k"))], ["saved", "cats"]);
});
