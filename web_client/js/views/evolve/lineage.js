// Tab of a run: where the best comes from, step by step.

import { el, show } from "../../lib/dom.js";
import { count, percent } from "../../lib/text.js";
import { tree } from "../../parts/tree.js";
import { differences, mainLine, treeLayout } from "./ancestry.js";
import { fate } from "./parts.js";

const MOST_STEPS = 60;

// Returns {draw, destroy}.
export function lineage(place, { run, journal, href, chosen }) {
  return {
    draw() {
      const number = chosen() ?? run().progress.best_individual;
      const one = number === null ? null : journal.get(number);
      const line = one ? mainLine(journal.get, number) : [];
      const key = JSON.stringify([number, line.map((each) => [each.number, each.fitness])]);
      show(place, key, () => (one ? drawing(journal, number, line, href) : el("p", { class: "empty" }, "Nobody was judged yet.")));
    },
    destroy() {},
  };
}

function drawing(journal, number, line, href) {
  const layout = treeLayout(journal.get, number);
  return [
    el("h3", {}, `How no. ${number} came to be: ${count(line.length - 1, "step")}`),
    el("div", { class: "lineage" },
      tree(layout, { label: `Ancestors of no. ${number}`, text: (node) => fate(node.one), href: (one) => href({ of: one }), chosen: number }),
      el("div", {}, layout.hidden ? el("p", { class: "hint" }, `${count(layout.hidden, "older ancestor")} not drawn.`) : null, stepsOf(line, href))),
  ];
}

// The main line, the newest first, each with what it changed and what that gained.
export function stepsOf(line, href) {
  const steps = line.map((one, index) => ({ one, before: line[index - 1] ?? null })).reverse();
  return [
    el("ol", { class: "list line-steps" }, steps.slice(0, MOST_STEPS).map(({ one, before }) => el("li", {},
      el("div", { class: "title-line" },
        el("span", {}, href ? el("a", { href: href({ of: one.number }) }, `no. ${one.number}`) : `no. ${one.number}`, ` by ${one.operator.replaceAll("+", " + ")}`),
        el("span", { class: "mono" }, fate(one), gain(one, before))),
      el("ul", { class: "changes" }, changes(one, before).map((text) => el("li", {}, text)))))),
    steps.length > MOST_STEPS ? el("p", { class: "hint" }, `${count(steps.length - MOST_STEPS, "earlier step")} not listed.`) : null,
  ];
}

function changes(one, before) {
  if (!before) return [one.description];
  const found = differences(before.genome, one.genome);
  return found.length ? found : ["the same genome"];
}

function gain(one, before) {
  if (!before || one.fitness === null || before.fitness === null) return null;
  const by = one.fitness - before.fitness;
  return el("span", { class: by > 0 ? "gained" : "soft" }, ` ${by >= 0 ? "+" : "−"}${percent(Math.abs(by), 2)}`);
}
