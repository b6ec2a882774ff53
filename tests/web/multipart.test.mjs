import assert from "node:assert/strict";
import { test } from "node:test";

import { multipart } from "../../web_client/js/api/multipart.js";

const opened = async (body) => {
  const form = await new Response(body, { headers: { "Content-Type": body.type } }).formData();
  return Promise.all([...form].map(async ([field, file]) => [field, file.name, Buffer.from(await file.arrayBuffer()).toString("latin1")]));
};

test("what is put in comes out, byte for byte and in order", async () => {
  const bytes = new Uint8Array([0, 13, 10, 45, 45, 255]);
  const body = multipart("files", [{ name: "0", data: bytes.buffer }, { name: "ein Käfer.png", data: new Blob(["\r\n--dicebox-"]) }, { name: "empty", data: new ArrayBuffer(0) }]);
  assert.deepEqual(await opened(body), [
    ["files", "0", Buffer.from(bytes).toString("latin1")],
    ["files", "ein Käfer.png", "\r\n--dicebox-"],
    ["files", "empty", ""],
  ]);
});

test("a name cannot break out of its header", async () => {
  const [[, name, content]] = await opened(multipart("files", [{ name: 'a"\r\nX: y.png', data: new Blob(["ok"]) }]));
  assert.equal(name, 'a"\r\nX: y.png');
  assert.equal(content, "ok");
});

test("two bodies have two boundaries", () => {
  assert.notEqual(multipart("files", []).type, multipart("files", []).type);
});
