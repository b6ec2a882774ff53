// One run: how far it is, what it has, what every worker trains.

import { curve } from "./curve.js";
import { el, show, track } from "./dom.js";
import { count, duration, moment, number, percent, short, size } from "./text.js";

const PHASES = ["preparing", "searching", "final training", "publishing"];
const MOST_WORKERS = 12;
export const isLive = (run) => run.state === "queued" || run.state === "running";

// `actions.stop(run)` and `actions.resume(run)` are called by the button.
export function showRun(place, run, individuals, actions) {
  const seen = [run, individuals.length, individuals.filter((one) => one.state === "finished").length];
  show(place, seen, () => el("div", { class: "stack" },
    title(run, actions), outcome(run), isLive(run) ? time(run) : null, steps(run), figures(run),
    bestGenome(run), anytime(individuals, place.clientWidth), workers(run), failures(individuals), facts(run)));
}

function title(run, actions) {
  const stop = el("button", {
    class: "button small", type: "button", "data-focus": "stop", onclick: () => actions.stop(run),
  }, "Stop with the best so far");
  const resume = el("button", {
    class: "button small", type: "button", "data-focus": "resume", onclick: () => actions.resume(run),
  }, "Go on where it was");
  const left = run.state === "interrupted" || run.state === "failed";
  return el("div", { class: "title-line" },
    el("h2", {}, run.request.dataset, " ", badge(run)), isLive(run) ? stop : left ? resume : null);
}

export function badge(run) {
  const kind = { running: " on", complete: " on", failed: " bad" }[run.state] ?? "";
  return el("span", { class: `badge${kind}` }, run.state);
}

function outcome(run) {
  if (run.state === "queued") return el("p", { class: "soft" }, "It waits for its turn.");
  if (run.reason) return el("p", { class: run.state === "failed" ? "fault" : "soft" }, run.reason);
  if (!run.network) return null;
  const fate = run.promoted ? "It answers now: " : "It waits in the gallery: ";
  return el("p", {}, `Network ${short(run.network)} was published. ${fate}`,
    el("a", { href: "#serve" }, "try it"), ".");
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
  if (!isLive(run)) return null;
  return el("ol", { class: "steps live" }, PHASES.map((phase, index) =>
    el("li", { class: index < at ? "done" : index === at ? "now" : false, "aria-current": index === at && "step" }, phase)));
}

function figures(run) {
  const { best, median, births, failed, candidates_per_minute: rate } = run.progress;
  const tile = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
  return el("dl", { class: "tiles big" },
    tile("Best", percent(best, 2)), tile("Median", percent(median, 2)), tile("Births", number(births)),
    tile("Per minute", rate ? rate.toFixed(1) : "–"), failed ? tile("Failed", number(failed)) : null);
}

function bestGenome(run) {
  const { best_genome: genome, best_individual: individual } = run.progress;
  if (!genome) return null;
  return el("div", {}, el("h3", {}, individual === null ? "Best genome" : `Best genome, no. ${individual}`),
    el("p", { class: "genome" }, genome));
}

function anytime(individuals, width) {
  const drawing = curve(individuals, width);
  return drawing && el("div", {}, el("h3", {}, "Validation accuracy, candidate by candidate"), drawing);
}

function workers(run) {
  const all = run.progress.workers;
  if (!isLive(run) || all.length === 0) return null;
  const busy = all.filter((one) => one.genome);
  // A fleet is listed whole beneath the run.
  const shown = all.length > MOST_WORKERS ? busy.slice(0, MOST_WORKERS) : all;
  return el("div", {}, el("h3", {}, "Workers"), el("ul", { class: "workers" }, shown.map(worker)),
    shown.length < all.length ? el("p", { class: "hint" }, `${number(busy.length)} of ${number(all.length)} are busy`) : null);
}

function worker(one) {
  if (!one.genome) return el("li", {}, el("span", {}, one.name), el("span", { class: "soft" }, "waits for work"));
  const epochs = one.epochs ? `epoch ${one.epoch ?? 0} of at most ${one.epochs}` : "starts";
  return el("li", {}, el("span", {}, one.name),
    el("span", {}, one.accuracy === null ? epochs : `${epochs} · ${percent(one.accuracy)}`),
    track((one.epoch ?? 0) / (one.epochs || 1)),
    el("span", { class: "mono" }, one.individual === null ? one.genome : `no. ${one.individual}: ${one.genome}`));
}

function failures(individuals) {
  const reasons = new Map();
  for (const one of individuals) {
    if (one.state !== "finished" || !one.outcome || one.outcome === "ok") continue;
    const text = one.reason ? `${one.outcome}: ${one.reason}` : one.outcome;
    reasons.set(text, (reasons.get(text) ?? 0) + 1);
  }
  if (reasons.size === 0) return null;
  return el("details", { "data-focus": "failures" },
    el("summary", { "data-focus": "failures-title" }, "Why candidates failed"),
    el("ul", {}, [...reasons].map(([text, times]) => el("li", { class: "hint" }, `${count(times, "time")} ${text}`))));
}

function budget(request) {
  const { seconds, evaluations, epochs_total: epochs } = request;
  const ends = [seconds && duration(seconds), evaluations && count(evaluations, "candidate"), epochs && count(epochs, "epoch")];
  return ends.filter(Boolean).join(" or ");
}

function facts(run) {
  const { request, shape } = run;
  const text = [
    `started ${moment(run.created)}`, `${budget(request)} of ${request.strategy}`,
    shape ? `input ${size(shape)}` : "", `seed ${request.seed}`,
  ];
  return el("p", { class: "hint" }, text.filter(Boolean).join(" · "));
}
