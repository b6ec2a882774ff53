// Tab of a run: how far it is, its curve, what every worker trains, what failed.

import { el, show, track } from "../../lib/dom.js";
import { count, duration, number, percent } from "../../lib/text.js";
import { curve } from "../../parts/curve.js";
import { AXES, axisText, choice, tile } from "./parts.js";
import { isLive } from "./requests.js";

const PHASES = ["preparing", "searching", "final training", "publishing"];
const MOST_WORKERS = 12;
const MOST_NUMBERS = 20;

// Returns {draw, destroy}; `context`: {run(), journal, href(query), choose(number)}.
export function overview(place, { run, journal, href, choose }) {
  let axis = "candidate";
  const head = el("div", { class: "stack" });
  const board = el("div");
  const team = el("div");
  const faults = el("div");
  place.append(head,
    el("div", {},
      el("div", { class: "title-line" }, el("h3", {}, "Validation accuracy, the best so far"),
        choice({ label: "by", options: AXES, value: axis, change: (value) => { axis = value; drawing.redraw(); } })),
      board),
    team, faults);
  const drawing = curve(board, {
    data: () => ({
      lines: [{ name: "this run", ...journal.best(axis) }],
      dots: axis === "candidate" ? journal.dots() : undefined, xName: AXES.get(axis), xText: axisText(axis),
    }),
    label: () => {
      const { ys } = journal.best("candidate");
      return ys.length ? `Validation accuracy of ${journal.size()} candidates; the best has ${percent(ys.at(-1))}` : "No candidate was judged yet";
    },
    choose,
  });
  let drawn = -1;
  return {
    draw() {
      const now = run();
      show(head, JSON.stringify([now.state, now.progress, now.network, now.promoted, now.verdict, now.reason]), () => summary(now));
      show(team, JSON.stringify([now.state, now.progress.workers]), () => workers(now));
      if (journal.version() === drawn) return;
      drawn = journal.version();
      const failed = journal.failures();
      show(faults, JSON.stringify(failed.map((one) => [one.text, one.numbers.length])), () => failures(failed, href));
      drawing.redraw();
    },
    destroy: () => drawing.destroy(),
  };
}

const summary = (run) => [outcome(run), isLive(run) ? [time(run), steps(run)] : null, figures(run), bestGenome(run, run.progress.best_individual)];

export function outcome(run) {
  if (run.state === "queued") return el("p", { class: "soft" }, "It waits for its turn.");
  if (run.reason) return el("p", { class: run.state === "failed" ? "fault" : "soft" }, run.reason);
  if (!run.network) return null;
  const fate = run.promoted ? "It answers now" : run.verdict ? `It ${run.verdict}` : "It waits in the gallery";
  return el("p", {}, `Network ${run.network.slice(0, 10)} was published. ${fate}: `,
    el("a", { href: `#serve/${run.network}` }, "try it"), ".");
}

function time(run) {
  const { seconds, seconds_left: left, epochs } = run.progress;
  // A run that ends by its candidates or epochs has no seconds left to speak of.
  if (left === null) return el("p", { class: "soft" }, `${duration(seconds)} gone, ${count(epochs, "epoch")} trained`);
  return el("div", {},
    el("div", { class: "title-line" },
      el("span", {}, `${duration(left)} left`), el("span", { class: "soft" }, `${duration(seconds)} gone`)),
    track(seconds / Math.max(1, seconds + left), true));
}

function steps(run) {
  const at = run.progress.phase === "done" ? PHASES.length : PHASES.indexOf(run.progress.phase);
  return el("ol", { class: "steps live" }, PHASES.map((phase, index) =>
    el("li", { class: index < at ? "done" : index === at ? "now" : false, "aria-current": index === at && "step" }, phase)));
}

export function figures(run) {
  const { best, median, births, failed, candidates_per_minute: rate } = run.progress;
  return el("dl", { class: "tiles big" },
    tile("Best", percent(best, 2)), tile("Median", percent(median, 2)), tile("Births", number(births)),
    tile("Per minute", rate ? rate.toFixed(1) : "–"), failed ? tile("Failed", number(failed)) : null);
}

function bestGenome({ progress: { best_genome: genome } }, individual) {
  if (!genome) return null;
  return el("div", {}, el("h3", {}, individual === null ? "Best genome" : `Best genome, no. ${individual}`),
    el("p", { class: "genome" }, genome));
}

function workers(run) {
  const all = run.progress.workers;
  if (!isLive(run) || all.length === 0) return null;
  const busy = all.filter((one) => one.genome);
  // A fleet is listed whole beneath the run.
  const shown = all.length > MOST_WORKERS ? busy.slice(0, MOST_WORKERS) : all;
  return [el("h3", {}, "What the workers train"), el("ul", { class: "workers" }, shown.map(worker)),
    shown.length < all.length ? el("p", { class: "hint" }, `${number(busy.length)} of ${number(all.length)} are busy`) : null];
}

function worker(one) {
  if (!one.genome) return el("li", {}, el("span", {}, one.name), el("span", { class: "soft" }, "waits for work"));
  const epochs = one.epochs ? `epoch ${one.epoch ?? 0} of at most ${one.epochs}` : "starts";
  return el("li", {}, el("span", {}, one.name),
    el("span", {}, one.accuracy === null ? epochs : `${epochs} · ${percent(one.accuracy)}`),
    track((one.epoch ?? 0) / (one.epochs || 1)),
    el("span", { class: "mono" }, one.individual === null ? one.genome : `no. ${one.individual}: ${one.genome}`));
}

function failures(found, href) {
  if (found.length === 0) return null;
  const total = found.reduce((sum, one) => sum + one.numbers.length, 0);
  return el("details", { "data-focus": "failures" },
    el("summary", { "data-focus": "failures-title" }, `Why ${count(total, "candidate")} failed`),
    el("ul", { class: "list" }, found.map(({ text, numbers }) => el("li", { class: "hint" },
      `${count(numbers.length, "time")} ${text} `,
      numbers.slice(0, MOST_NUMBERS).map((one) => [el("a", { href: href({ of: one }, "population") }, `no. ${one}`), " "])))));
}
