// Two to six runs beside each other: their curves in one chart, their differences in a table.

import * as evolution from "../../api/evolution.js";
import { clear, el } from "../../lib/dom.js";
import { yieldToPage } from "../../lib/frame.js";
import { moment, percent } from "../../lib/text.js";
import { legend } from "../../parts/bars.js";
import { curve } from "../../parts/curve.js";
import { format } from "../../shell/router.js";
import { journal as newJournal } from "./journal.js";
import { AXES, axisText, choice } from "./parts.js";
import { comparison } from "./requests.js";

const PAGE = 100;
const MOST = 6;

// Shows the runs of `ids` in a place. Returns {close}.
export function comparePanel(place, ids) {
  const over = new AbortController();
  const state = { axis: "seconds", runs: [], journals: [] };
  let drawing = null;
  clear(place);
  const body = el("div", { class: "stack" }, el("p", { class: "soft" }, "Reading the journals…"));
  place.append(el("div", { class: "title-line" }, el("h2", {}, "Compare"), el("a", { class: "button small", href: "#evolve" }, "Close")), body);
  load().catch((problem) => {
    if (!over.signal.aborted) body.replaceChildren(el("p", { class: "fault" }, problem.message));
  });

  async function load() {
    for (const id of ids.slice(0, MOST)) {
      state.runs.push(await evolution.run(id, { signal: over.signal }));
      state.journals.push(await journalOf(id, over.signal));
    }
    drawing = drawInto(body, state);
  }
  return { close: () => { over.abort(); drawing?.destroy(); } };
}

async function journalOf(id, signal) {
  const journal = newJournal();
  for (let after = 0; ;) {
    const found = await evolution.individuals(id, { after, limit: PAGE, signal });
    journal.learn(found);
    if (found.length < PAGE) return journal;
    after = found.at(-1).number;
    await yieldToPage();
  }
}

function drawInto(body, state) {
  const names = state.runs.map((run, index) => `${index + 1}. ${run.request.dataset}, ${moment(run.created)}`);
  const board = el("div");
  body.replaceChildren(
    el("div", { class: "title-line" }, el("h3", {}, "Validation accuracy, the best so far"),
      choice({ label: "by", options: AXES, value: state.axis, change: (value) => { state.axis = value; drawing.redraw(); } })),
    legend(names), board, table(state.runs));
  const drawing = curve(board, {
    data: () => ({
      lines: state.journals.map((one, index) => ({ name: names[index], ...one.best(state.axis) })),
      xName: AXES.get(state.axis), xText: axisText(state.axis),
    }),
    label: () => state.runs.map((run, index) => `${names[index]}: ${percent(run.progress.best, 2)}`).join("; "),
  });
  return drawing;
}

function table(runs) {
  return el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Their differences" }, el("table", { class: "compared" },
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, ""), runs.map((run, index) =>
      el("th", { scope: "col" }, el("a", { href: format({ view: "evolve", path: [run.id] }) }, `${index + 1}. ${moment(run.created)}`))))),
    el("tbody", {}, comparison(runs).map(({ name, values, differs }) => el("tr", { class: differs ? "differs" : false },
      el("th", { scope: "row" }, name), values.map((value) => el("td", {}, value)))))));
}
