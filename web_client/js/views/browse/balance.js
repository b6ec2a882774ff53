// How the images are spread over categories, splits and ways of labeling.

import * as api from "../../api/labels.js";
import { el, show, track } from "../../lib/dom.js";
import { number } from "../../lib/text.js";
import { format } from "../../shell/router.js";
import { SOURCES, SPLITS, write } from "./filters.js";
import { spread } from "./spread.js";

const UNEVEN = 5; // times

export function balance() {
  const node = el("div", { class: "panel" });
  let dataset = null;

  async function look() {
    const mine = dataset;
    try {
      const said = await api.balance(mine);
      if (mine === dataset) show(node, JSON.stringify([mine, said]), () => table(mine, said));
    } catch (problem) {
      if (mine === dataset) show(node, problem.message, () => el("p", { class: "fault" }, problem.message));
    }
  }

  return {
    node,
    keys: [],
    open(name) { dataset = name; look(); },
    update: look,
    changed() {},
  };
}

function table(dataset, { cells, sources }) {
  const { rows, largest, ratio } = spread(cells);
  const to = (filter, text) => el("a", { href: format({ view: "browse", path: [dataset], query: write(filter) }) }, text);
  const named = (name) => (name === null ? { labeled: false } : { category: name });
  return [
    el("h2", {}, "Categories and splits"),
    ratio !== null && el("p", { class: ratio >= UNEVEN ? "uneven" : "hint" },
      `The largest category has ${ratio.toFixed(ratio < 10 ? 1 : 0)} times the images of the smallest.`,
      ratio >= UNEVEN ? " A network learns the small ones worse." : ""),
    el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Categories and splits" }, el("table", { class: "balance" },
      el("thead", {}, el("tr", {}, ["Category", ...SPLITS, "no split yet", "all", "", "champion disagrees"].map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, rows.map((row) => el("tr", {},
        el("th", { scope: "row" }, to(named(row.name), row.name ?? "no label")),
        SPLITS.map((split) => el("td", {}, row.splits[split] ? to({ ...named(row.name), split }, number(row.splits[split])) : "0")),
        el("td", {}, number(row.none)), el("td", {}, el("strong", {}, number(row.images))),
        el("td", { class: "share" }, track(row.images / largest)),
        el("td", {}, row.disagreeing ? to({ ...named(row.name), disagrees: true, order: "disagreement" }, number(row.disagreeing)) : "0")))))),
    el("p", { class: "hint" }, "An image gets its split when it is first frozen, and keeps it."),
    el("h2", { class: "second" }, "How the labels came"),
    el("ul", { class: "sources" }, sources.map(({ source, images }) => el("li", {},
      source === null ? "nobody knows" : to({ source }, SOURCES.get(source) ?? source), el("strong", {}, number(images))))),
  ];
}
