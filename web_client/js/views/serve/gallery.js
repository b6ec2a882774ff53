// The networks of a dataset: who answers, who could; promoted, tried beside the champion, named.

import * as classification from "../../api/classification.js";
import { ask } from "../../lib/dialog.js";
import { el, show } from "../../lib/dom.js";
import { bytes, count, moment, percent, short, size } from "../../lib/text.js";
import { format } from "../../shell/router.js";
import { may } from "../../shell/state.js";
import { latency } from "./card.js";

const MODES = [
  ["canary", "Canary: it answers a share of the requests, until it is found better or worse"],
  ["shadow", "Shadow: it is asked too, but only the champion answers"],
  ["check", "Check: both are asked about the validation images; nobody waits for it"],
];

// Returns {node, draw(networks, chosen)}; `changed()` is called when something was done,
// `examined(id)` gives what is known of a network's examination.
export function gallery({ changed, examined }) {
  const place = el("div", { id: "gallery" });
  const said = el("p", { id: "gallery-said", class: "hint", role: "status" });

  async function attempt(work) {
    said.classList.remove("fault");
    try {
      said.textContent = await work();
    } catch (problem) {
      said.classList.add("fault");
      said.textContent = problem.message;
    }
    await changed();
  }

  const actions = {
    promote: (entry) => attempt(async () => {
      await classification.promote(entry.card.dataset, entry.network);
      return `Network ${nameOf(entry)} answers from now on.`;
    }),
    rollBack: (entry) => rollBack(entry, attempt),
    trial: (entry) => beginTrial(entry, attempt),
  };
  return {
    node: el("div", { class: "panel" }, el("h2", {}, "Gallery"), place, said),
    draw(networks, chosen) {
      const found = networks.map((one) => examined(one.network));
      const key = JSON.stringify([networks.map((one) => [one.network, one.name, one.champion]), chosen, found.map((one) => one?.latency_us), may("publish")]);
      show(place, key, () => (networks.length === 0 ? el("p", { class: "empty" }, "Empty. Every run adds its winner here.")
        : el("ul", { class: "list" }, networks.map((entry, index) => line(entry, found[index], chosen, actions)))));
    },
  };
}

export const nameOf = (entry) => entry.name ?? short(entry.network);

function line(entry, examination, chosen, actions) {
  const { card } = entry;
  const label = nameOf(entry);
  const button = (text, name, run) => el("button", {
    class: "button small", type: "button", "data-focus": name === "promote" ? entry.network : `${name}-${entry.network}`,
    "aria-label": `${text} network ${label}`, onclick: () => run(entry),
  }, text);
  const doing = !may("publish") ? [] : entry.champion ? [button("Roll back", "back", actions.rollBack)]
    : [button("Try it beside", "trial", actions.trial), button("Promote", "promote", actions.promote)];
  return el("li", { class: "network" },
    el("a", {
      class: "mono", href: format({ view: "serve", path: [entry.network] }), "data-focus": `open-${entry.network}`,
      "aria-current": entry.network === chosen && "true", "aria-label": `Network ${label}, its card`,
    }, el("strong", {}, label)),
    el("span", { class: "doing" }, entry.champion ? el("span", { class: "badge on" }, "champion") : null, doing),
    el("p", { class: "facts" },
      el("span", {}, `${percent(card.metrics.validation_accuracy, 2)} on validation`),
      examination ? el("span", {}, `${latency(examination)} a picture`) : null,
      el("span", {}, count(card.metrics.parameters, "weight")),
      el("span", {}, bytes(card.onnx.bytes)),
      el("span", {}, `input ${size(card.preprocessing.shape)}`),
      el("span", {}, moment(card.created))));
}

async function rollBack(entry, attempt) {
  const done = await ask({
    title: "Go back to who answered before?",
    body: `${nameOf(entry)} stops answering ${entry.card.dataset} with the next request. The one before takes its place; it is still in memory or is loaded first.`,
    actions: [{ name: "no", label: "Keep it" }, { name: "yes", label: "Roll back", kind: "danger" }],
  });
  if (done !== "yes") return;
  await attempt(async () => {
    const { network } = await classification.rollBack(entry.card.dataset, entry.network);
    return network ? `Network ${short(network)} answers again.` : "Nobody answers now.";
  });
}

async function beginTrial(entry, attempt) {
  const mode = el("select", { name: "mode" }, MODES.map(([value, text]) => el("option", { value }, text)));
  const share = el("input", { type: "number", min: "1", max: "100", step: "1", value: "10" });
  const promote = el("input", { type: "checkbox", checked: true });
  const shared = el("label", { class: "field" }, el("span", {}, "Of the requests, in percent"), share);
  mode.addEventListener("change", () => {
    shared.hidden = mode.value === "check";
    share.value = mode.value === "shadow" ? "100" : "10";
  });
  const done = await ask({
    title: `Try ${nameOf(entry)} beside the champion`,
    body: [
      el("label", { class: "field" }, el("span", {}, "How"), mode), shared,
      el("label", { class: "check" }, promote, el("span", {}, "Promote it when it is found better")),
    ],
    actions: [{ name: "no", label: "Leave it" }, { name: "yes", label: "Begin", kind: "primary" }],
  });
  if (done !== "yes") return;
  await attempt(async () => {
    const request = { network: entry.network, mode: mode.value, promote: promote.checked };
    if (mode.value !== "check") request.share = Math.min(100, Math.max(1, Number(share.value) || 1)) / 100;
    const trial = await classification.trial(entry.card.dataset, request);
    return trial.state === "running" ? `The ${trial.mode} of ${nameOf(entry)} began.` : `${nameOf(entry)}: ${trial.state}. ${trial.reason ?? ""}`;
  });
}
