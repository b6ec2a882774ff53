// Bars in a list, each of one or more parts; what they say is text too.

import { el } from "../lib/dom.js";

// Shares (0…1 of the largest row) of every part; pure. `rows`: [{parts: [{value}]}].
export function sharesOf(rows) {
  const most = Math.max(1e-12, ...rows.map((row) => sum(row.parts)));
  return rows.map((row) => row.parts.map((part) => Math.max(0, part.value) / most));
}

const sum = (parts) => parts.reduce((total, part) => total + Math.max(0, part.value), 0);

// Returns a list of `rows` [{name, parts: [{value, name?}], text, href?}]; part n of every row has
// the n-th colour of the charts. `kinds`: what the parts are called, for the key above.
export function bars(rows, { kinds = [] } = {}) {
  const shares = sharesOf(rows);
  const list = el("ul", { class: "bars" }, rows.map((row, index) => el("li", {},
    row.href ? el("a", { href: row.href }, row.name) : el("span", {}, row.name),
    el("div", { class: "track parts", "aria-hidden": "true" }, shares[index].map((share, kind) => piece(share, kind))),
    el("span", { class: "value" }, row.text))));
  return kinds.length > 1 ? [legend(kinds), list] : [list];
}

function piece(share, kind) {
  const node = el("span", { class: `part-${(kind % 6) + 1}`, hidden: !(share > 0) });
  node.style.setProperty("--share", share);
  return node;
}

// What the colours of a chart stand for.
export function legend(names) {
  return el("ul", { class: "legend" }, names.map((name, index) =>
    el("li", {}, el("span", { class: `swatch part-${(index % 6) + 1}`, "aria-hidden": "true" }), name)));
}
