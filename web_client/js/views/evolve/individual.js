// One individual: what it is, where it comes from, how it trained; and the way into the gallery.

import * as evolution from "../../api/evolution.js";
import { el } from "../../lib/dom.js";
import { duration, percent } from "../../lib/text.js";
import { may } from "../../shell/state.js";
import { differences } from "./ancestry.js";
import { facts, fate } from "./parts.js";
import { publishing } from "./requests.js";

// `href(query)` is a place in the same tab, `open(run)` goes to another run.
export function individualPanel(run, one, { get, href, open, say }) {
  const parent = get(one.parents[0]);
  return el("section", { class: "individual stack", "aria-label": `Individual no. ${one.number}` },
    el("div", { class: "title-line" },
      el("h3", { tabindex: "-1" }, `No. ${one.number}`, " ", el("span", { class: "badge on" }, fate(one))),
      el("a", { class: "button small", href: href({ of: null }) }, "Close")),
    el("p", { class: "genome" }, one.description),
    el("p", { class: "hint" }, facts(one)),
    one.reason ? el("p", { class: "fault" }, one.reason) : null,
    origin(one, parent, href),
    trainings(one),
    el("details", {}, el("summary", {}, "Its genome"), el("pre", { class: "genome" }, JSON.stringify(one.genome, null, 1))),
    publish(run, one, { open, say }));
}

function origin(one, parent, href) {
  const from = one.parents.map((number, index) => [index ? " and " : "", el("a", { href: href({ of: number }) }, `no. ${number}`)]);
  const changed = parent ? differences(parent.genome, one.genome) : [];
  return el("div", {},
    el("p", {}, one.parents.length ? [`By ${one.operator} from `, from, "."] : `By ${one.operator}, without parents.`),
    changed.length ? el("ul", { class: "changes" }, changed.map((text) => el("li", {}, text))) : null);
}

const COLUMNS = ["Rung", "Accuracy", "Epochs", "Seconds", "Worker", "Remarks"];

function trainings(one) {
  if (one.evaluations.length === 0) return null;
  return el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Its trainings" }, el("table", {},
    el("thead", {}, el("tr", {}, COLUMNS.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, one.evaluations.map((each) => el("tr", {}, el("th", { scope: "row" }, each.rung),
      [percent(each.accuracy, 2), each.epochs ?? "–", each.seconds === null ? "–" : duration(each.seconds), each.worker ?? "–", remarks(each)]
        .map((cell) => el("td", {}, String(cell))))))));
}

const remarks = (each) => [
  each.state === "submitted" ? "under way" : null, each.outcome && each.outcome !== "ok" ? `${each.outcome}: ${each.reason ?? ""}` : null,
  each.resumed ? "went on from the rung before" : null, each.inherited ? `weights of no. ${each.inherited}` : null,
  each.stopped ? "its curve was hopeless" : null, each.cached ? "done in an earlier run" : null,
  each.attempt > 1 ? `attempt ${each.attempt}` : null,
].filter(Boolean).join(", ");

function publish(run, one, { open, say }) {
  if (one.fitness === null || !run.snapshot || !may("evolve")) return null;
  const button = el("button", { class: "button", type: "button" }, "Train and publish this one");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const started = await evolution.start(publishing(run, one));
      say(`Run ${started.id} trains it and puts it into the gallery.`, { kind: "good" });
      open(started);
    } catch (problem) {
      button.disabled = false;
      say(problem.message, { kind: "bad" });
    }
  });
  return el("div", {}, button, el("p", { class: "hint" },
    "A run of its own trains it again on the same snapshot, so its accuracy may differ a little. Nobody is replaced by it."));
}
