// What was not taken, and why: the latest on the page, all of it as a text.

import { el, show } from "../../lib/dom.js";
import { schedule } from "../../lib/frame.js";
import { count } from "../../lib/text.js";

const SHOWN = 200;

export function refusedList(uploads) {
  const node = el("div", { id: "upload-refused" });
  const draw = () => {
    const { refused } = uploads.state.get();
    show(node, `${refused.length}/${refused.at(-1)?.path}`, () => list(refused));
  };
  uploads.state.subscribe(() => schedule(draw), (value) => value.refused);
  return node;
}

function list(refused) {
  if (refused.length === 0) return [];
  const conflicts = refused.filter((one) => one.kind === "conflict").length;
  const title = [
    refused.length > conflicts ? `${count(refused.length - conflicts, "file")} refused` : "",
    conflicts ? `${count(conflicts, "picture")} in two categories` : "",
  ].filter(Boolean).join(", ");
  return el("div", { class: "refused" },
    el("div", { class: "title-line" }, el("h3", {}, title),
      el("button", { class: "button small", type: "button", onclick: () => save(refused) }, "Save as text")),
    el("ul", { tabindex: 0, "aria-label": "Refused files" }, refused.slice(-SHOWN).reverse().map((one) =>
      el("li", {}, el("strong", {}, one.path), ` – ${one.detail}`))),
    refused.length > SHOWN && el("p", { class: "hint" }, `The latest ${SHOWN} of ${refused.length}.`));
}

function save(refused) {
  const text = refused.map((one) => `${one.path}\t${one.kind}\t${one.detail}\n`).join("");
  const address = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  el("a", { href: address, download: "refused.txt" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
