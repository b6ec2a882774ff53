// Tab: the trial that runs, those that ended, and who answered when.

import * as classification from "../../api/classification.js";
import { ask } from "../../lib/dialog.js";
import { el, show } from "../../lib/dom.js";
import { count, moment, percent, short } from "../../lib/text.js";
import { may } from "../../shell/state.js";

// What a trial has found so far, in sentences; pure.
export function findings(trial) {
  const found = [];
  if (trial.images) found.push(`Of ${count(trial.images, "image")} that both were asked about, it alone was right on ${trial.better}, the champion alone on ${trial.worse}`);
  if (trial.answers) found.push(`it answered ${count(trial.answers, "request")}${trial.errors ? `, ${trial.errors} of them with an error` : ""}`);
  if (trial.compared) found.push(`they disagreed on ${trial.disagreed} of ${trial.compared} (${percent(trial.disagreed / trial.compared)})`);
  return found.length ? `${found.join("; ")}.` : "Nothing was found yet.";
}

// Returns {node, refresh()}; `label(network)` says what a network is called.
export function trialsTab({ state, label, say }) {
  const running = el("div");
  const ended = el("div");
  const reigns = el("div");
  const node = el("div", { class: "columns" },
    el("div", { class: "panel stack" }, el("h2", {}, "Trials"), running, ended),
    el("div", { class: "panel" }, el("h2", {}, "Who answered when"), reigns));

  async function stop(trial) {
    const done = await ask({
      title: "End this trial?", body: "Nobody is promoted; the champion answers all requests.",
      actions: [{ name: "no", label: "Let it run" }, { name: "yes", label: "End it", kind: "danger" }],
    });
    if (done !== "yes") return;
    await classification.stopTrial(trial.dataset).catch((problem) => say(problem.message, { kind: "bad" }));
    await refresh();
  }

  async function refresh() {
    const { dataset } = state.get();
    if (!dataset) return;
    const [trials, reign] = await Promise.all([classification.trials(dataset), classification.reign(dataset)]);
    const now = trials.find((one) => one.state === "running") ?? null;
    show(running, JSON.stringify([dataset, now]), () => (now ? current(now) : el("p", { class: "empty" },
      "None runs. A network of the gallery can be tried beside the champion before it answers everybody.")));
    const rest = trials.filter((one) => one !== now);
    show(ended, JSON.stringify([dataset, rest]), () => (rest.length ? el("ul", { class: "list" }, rest.map(past)) : []));
    show(reigns, JSON.stringify([dataset, reign]), () => (reign.length ? el("ol", { class: "list" }, reign.map(event)) : el("p", { class: "empty" }, "Nobody yet.")));
  }

  const current = (trial) => el("div", { class: "stack" },
    el("div", { class: "title-line" },
      el("h3", {}, `${trial.mode} of ${label(trial.network)}`, " ", el("span", { class: "badge on" }, "running")),
      may("publish") ? el("button", { class: "button small", type: "button", "data-focus": "stop-trial", onclick: () => stop(trial) }, "End it") : null),
    el("p", {}, trial.mode === "check" ? null : `${percent(trial.share, 0)} of the requests, since ${moment(trial.started)}. `, findings(trial)),
    el("p", { class: "hint" }, trial.promote ? "It is promoted when it is found better." : "It is not promoted, whatever is found."));

  const past = (trial) => el("li", { class: "network" },
    el("strong", {}, `${trial.mode} of ${label(trial.network)}`), el("span", { class: "badge" }, trial.state),
    el("p", { class: "facts" }, el("span", {}, moment(trial.started)), el("span", {}, trial.reason ?? findings(trial))));

  const event = (one) => el("li", { class: "network" },
    el("strong", {}, label(one.network)), el("span", { class: "badge" }, one.kind),
    el("p", { class: "facts" }, el("span", {}, moment(one.when)),
      one.undone ? el("span", {}, `instead of ${label(one.undone)}`) : null,
      one.automatic ? el("span", {}, "by itself") : null, one.reason ? el("span", {}, one.reason) : null));

  return { node, refresh };
}

export const labelOf = (networks) => (id) => networks().find((one) => one.network === id)?.name ?? short(id);
