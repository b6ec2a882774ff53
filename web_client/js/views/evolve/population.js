// Tab of a run: all its individuals, a hundred at a time.

import { el, show } from "../../lib/dom.js";
import { number, percent } from "../../lib/text.js";
import { every } from "../../lib/frame.js";
import { choice, microseconds } from "./parts.js";

const PAGE = 100;
const COLUMNS = ["No.", "Accuracy", "Weights", "Latency", "Epochs", "Comes from", "Network"];
const ORDERS = new Map([["best", "best first"], ["newest", "newest first"], ["oldest", "oldest first"]]);
const KINDS = new Map([["all", "all"], ["training", "in training"], ["judged", "judged"], ["failed", "failed"]]);

// Those of a kind in an order; pure. Who has no accuracy comes last.
export function arranged(individuals, { order, kind }) {
  const shown = individuals.filter((one) => kind === "all" || kindOf(one) === kind);
  if (order === "newest") return shown.reverse();
  if (order === "best") return shown.sort((one, other) => (other.fitness ?? -1) - (one.fitness ?? -1) || one.number - other.number);
  return shown;
}

export const kindOf = (one) =>
  one.state !== "finished" ? "training" : one.fitness === null || one.fitness === undefined ? "failed" : "judged";

// Returns {draw, destroy}.
export function population(place, { journal, href }) {
  let order = "best";
  let kind = "all";
  let page = 0;
  const table = el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "The population" });
  const pager = el("div", { class: "pager" });
  const update = () => { page = 0; turn(); };
  place.append(el("div", { class: "title-line" },
    el("div", { class: "choices" },
      choice({ label: "Order", options: ORDERS, value: order, change: (value) => { order = value; update(); } }),
      choice({ label: "Show", options: KINDS, value: kind, change: (value) => { kind = value; update(); } })), pager), table);

  function turn() {
    const all = arranged(journal.all(), { order, kind });
    page = Math.min(page, Math.max(0, Math.ceil(all.length / PAGE) - 1));
    const rows = all.slice(page * PAGE, (page + 1) * PAGE);
    const key = JSON.stringify([journal.version(), order, kind, page]);
    show(table, key, () => (rows.length === 0 ? el("p", { class: "empty" }, "Nobody.") : tableOf(rows, href)));
    show(pager, JSON.stringify([all.length, page]), () => pages(all.length));
  }

  function pages(total) {
    if (total <= PAGE) return el("span", { class: "soft" }, number(total));
    const step = (by, text, name, off) => el("button", {
      class: "button small", type: "button", disabled: off, "aria-label": name, "data-focus": name,
      onclick: () => { page += by; turn(); },
    }, text);
    return [
      step(-1, "‹", "Page before", page === 0),
      el("span", {}, `${page * PAGE + 1}–${Math.min(total, (page + 1) * PAGE)} of ${number(total)}`),
      step(1, "›", "Page after", (page + 1) * PAGE >= total),
    ];
  }

  // A table of a hundred rows that moves all the time cannot be read.
  const slowly = every(1000, turn);
  turn();
  return { draw: slowly.ask, destroy: slowly.stop };
}

function tableOf(rows, href) {
  return el("table", { class: "people" },
    el("thead", {}, el("tr", {}, COLUMNS.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, rows.map((one) => el("tr", { class: kindOf(one) },
      el("th", { scope: "row" }, el("a", { href: href({ of: one.number }), "data-focus": `no-${one.number}` }, number(one.number))),
      el("td", {}, kindOf(one) === "judged" ? percent(one.fitness, 2) : kindOf(one) === "failed" ? one.outcome ?? "failed" : "…"),
      el("td", {}, number(one.parameters)),
      el("td", {}, one.latency_us ? microseconds(one.latency_us) : "–"),
      el("td", {}, number(one.epochs)),
      el("td", {}, `${one.operator.replaceAll("+", " + ")}${one.parents.length ? ` of ${one.parents.join(", ")}` : ""}`),
      el("td", { class: "mono" }, one.description)))));
}
