// Tab of a run: what came of it, on one page that can be printed. All from the journal, but for what
// the published network takes for what.

import { examination } from "../../api/classification.js";
import { el, show } from "../../lib/dom.js";
import { count, duration, moment, number, percent, size } from "../../lib/text.js";
import { confusion } from "../../parts/confusion.js";
import { curve } from "../../parts/curve.js";
import { endsOf, failuresOf } from "./journal.js";
import { mainLine, operators } from "./ancestry.js";
import { stepsOf } from "./lineage.js";
import { figures, outcome } from "./overview.js";
import { axisText, facts } from "./parts.js";
import { budgetOf, isLive } from "./requests.js";

// [{rung, trainings, cached, failed, epochs, seconds}] and their sum; pure.
export function costs(individuals) {
  const found = new Map();
  for (const one of individuals) {
    for (const each of one.evaluations) {
      if (each.state !== "finished") continue;
      const row = found.get(each.rung) ?? { rung: each.rung, trainings: 0, cached: 0, failed: 0, epochs: 0, seconds: 0 };
      found.set(each.rung, row);
      row.trainings += 1;
      row.cached += each.cached ? 1 : 0;
      row.failed += each.outcome && each.outcome !== "ok" ? 1 : 0;
      row.seconds += each.seconds ?? 0;
    }
  }
  for (const end of endsOf(individuals)) if (found.has(end.rung)) found.get(end.rung).epochs += end.own;
  return [...found.values()].sort((one, other) => one.rung.localeCompare(other.rung, "en", { numeric: true }));
}

// Returns {draw, destroy}.
export function report(place, { run, journal }) {
  const page = el("div", { class: "stack" });
  const board = el("div");
  const taken = el("div", { class: "stack" });
  let examined = null;
  place.append(
    el("div", { class: "title-line" }, el("h3", {}, "Report"),
      el("button", { class: "button small no-print", type: "button", onclick: () => print() }, "Print")),
    page, el("div", {}, el("h3", {}, "The best so far, by time"), board), taken);
  const drawing = curve(board, {
    data: () => ({ lines: [{ name: "this run", ...journal.best("seconds") }], xName: "time", xText: axisText("seconds") }),
    label: () => "The best validation accuracy over time",
  });
  let drawn = null;

  // Behind the requests it takes a while until a new network is examined.
  async function examine(network) {
    if (examined === network) return;
    examined = network;
    const found = await examination(network).catch(() => null);
    show(taken, network, () => (found ? [
      el("h3", {}, `What the published network takes for what, on ${count(found.images, "validation image")}`), confusion(found),
    ] : []));
  }

  return {
    draw() {
      const now = run();
      if (now.network) examine(now.network);
      const key = `${now.state}/${journal.version()}`;
      if (key === drawn) return;
      drawn = key;
      drawing.redraw();
      show(page, key, () => pageOf(now, journal));
    },
    destroy: drawing.destroy,
  };
}

function pageOf(run, journal) {
  const all = journal.all();
  const best = journal.get(run.progress.best_individual);
  return [
    isLive(run) ? el("p", { class: "soft" }, "The run still goes on; this is how it stands.") : outcome(run),
    figures(run), asked(run),
    best && el("div", {}, el("h3", {}, `The best, no. ${best.number}`), el("p", { class: "genome" }, best.description), el("p", { class: "hint" }, facts(best))),
    best && el("div", {}, el("h3", {}, "Where it comes from"), stepsOf(mainLine(journal.get, best.number), null)),
    grid("What the operators gained", ["Operator", "Children", "Failed", "Better than its parents", "Largest gain"],
      operators(all).map((row) => [row.operator, number(row.tried), number(row.failed), number(row.gained), row.gain ? `+${percent(row.gain, 2)}` : "–"])),
    grid("What it cost", ["Rung", "Trainings", "From an earlier run", "Failed", "Epochs", "Time of workers"],
      costs(all).map((row) => [row.rung, number(row.trainings), number(row.cached), number(row.failed), number(row.epochs), duration(row.seconds)])),
    grid("What failed", ["Reason", "Times"], failuresOf(all).map((row) => [row.text, number(row.numbers.length)])),
    provenance(run),
  ];
}

function asked(run) {
  const { request } = run;
  const text = [
    `${budgetOf(request)} of ${request.strategy}`, `objectives ${request.objectives.join(", ")}`,
    request.max_latency_us ? `at most ${request.max_latency_us} µs` : null,
    request.max_parameters ? `at most ${count(request.max_parameters, "weight")}` : null,
    `population ${request.population}`, `seed ${request.seed}`, run.shape ? `input ${size(run.shape)}` : null,
    `started ${moment(run.created)}`, run.resumed ? `taken up again ${count(run.resumed, "time")}` : null,
  ];
  return el("p", { class: "hint" }, text.filter(Boolean).join(" · "));
}

function provenance({ card, snapshot }) {
  if (!card) return null;
  const rows = [...Object.entries(card.machine), ...Object.entries(card.versions)].map(([name, value]) => [name, value]);
  return [
    el("p", { class: "hint" }, "Snapshot ", el("span", { class: "mono" }, snapshot), card.command ? [", by ", el("code", {}, card.command)] : null),
    grid("Machine and versions", ["What", "Which"], rows),
  ];
}

function grid(title, columns, rows) {
  if (rows.length === 0) return null;
  return el("div", {}, el("h3", {}, title),
    el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": title }, el("table", { class: "figures" },
      el("thead", {}, el("tr", {}, columns.map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, index) =>
        el(index ? "td" : "th", { scope: index ? false : "row" }, String(cell)))))))));
}
