// The card of one network: what it is, what it takes for what, its files, its name.

import * as classification from "../../api/classification.js";
import { clear, el, show } from "../../lib/dom.js";
import { bytes, count, moment, number, percent, short, size } from "../../lib/text.js";
import { confusion } from "../../parts/confusion.js";
import { format } from "../../shell/router.js";
import { may } from "../../shell/state.js";

const KINDS = ["onnx", "keras", "weights"];

export const latency = ({ latency_us: us }) => (us >= 1000 ? `${(us / 1000).toFixed(1)} ms` : `${us.toFixed(0)} µs`);

// Returns {node, draw(entry, examination)}; `examination` is null until it is made; `changed()` is
// called when it was named.
export function cardPanel({ changed, say }) {
  const node = el("div", { class: "panel card stack", hidden: true, role: "region", "aria-label": "The chosen network" });

  async function rename(entry, text) {
    try {
      if (text) await classification.name(entry.network, text);
      else await classification.unname(entry.network);
      say(text ? `It is called ${text} now, wherever its number may stand.` : "It has no name now.", { kind: "good" });
    } catch (problem) {
      say(problem.message, { kind: "bad" });
    }
    await changed();
  }

  return {
    node,
    draw(entry, examination) {
      node.hidden = !entry;
      if (!entry) return clear(node);
      const key = JSON.stringify([entry.network, entry.name, entry.champion, examination?.at]);
      return show(node, key, () => [title(entry), facts(entry, examination), naming(entry, rename), examined(examination), files(entry)]);
    },
  };
}

const title = (entry) => el("div", { class: "title-line" },
  el("h2", {}, entry.name ?? short(entry.network), " ", entry.champion ? el("span", { class: "badge on" }, "champion") : null),
  el("a", { class: "button small", href: "#serve" }, "Close"));

function facts({ card, network }, examination) {
  const tile = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
  return [
    el("dl", { class: "tiles" },
      tile("Accuracy", percent(card.metrics.validation_accuracy, 2)),
      tile("A picture", examination ? latency(examination) : "–"),
      tile("Weights", number(card.metrics.parameters)), tile("To load", bytes(card.onnx.bytes)),
      tile("Input", size(card.preprocessing.shape))),
    el("p", { class: "hint" },
      `Bred ${moment(card.created)} on ${count(card.metrics.train_images, "image")} of ${card.dataset}, ${count(card.categories.length, "category", "categories")}`,
      card.run ? [", in ", el("a", { href: format({ view: "evolve", path: card.individual ? [card.run, "lineage"] : [card.run], query: card.individual ? { of: card.individual } : {} }) }, "this run")] : null,
      ". ", el("span", { class: "mono" }, network)),
  ];
}

function naming(entry, rename) {
  if (!may("publish")) return null;
  const input = el("input", { name: "name", maxlength: "63", value: entry.name ?? "", autocomplete: "off", spellcheck: "false", placeholder: "none" });
  const form = el("form", { class: "correct-form" },
    el("label", { class: "field" }, el("span", {}, "Name"), input), el("button", { class: "button small", type: "submit" }, "Save"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    rename(entry, input.value.trim());
  });
  return form;
}

function examined(examination) {
  if (!examination) return el("p", { class: "hint" }, "It was not examined yet: the job worker asks it about the validation images, behind the requests.");
  return [
    el("h3", {}, `What it takes for what, on ${count(examination.images, "validation image")}`),
    el("p", { class: "hint" }, `${percent(examination.accuracy, 2)} right; ${latency(examination)} a picture on one thread of ${examination.cpu}.`),
    confusion(examination),
  ];
}

const files = ({ network }) => el("p", { class: "hint" }, "Files: ", KINDS.map((kind, index) => [
  index ? " · " : "", el("a", { href: classification.fileAddress(network, kind), download: true }, kind)]));
