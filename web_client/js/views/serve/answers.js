// What a network said of a picture, and the way to say what it really shows.

import * as classification from "../../api/classification.js";
import { el, track } from "../../lib/dom.js";
import { percent, short } from "../../lib/text.js";
import { may, summary } from "../../shell/state.js";

const MOST_BUTTONS = 12;
const LOOKS = [1000, 2000, 4000, 8000, 15_000]; // milliseconds until it is looked whether it arrived

export const bars = (answers) => el("ol", { class: "bars" }, answers.map(({ category, probability }, index) =>
  el("li", { class: index ? "other" : "first" },
    el("span", {}, category.name), track(probability),
    el("span", { class: "value" }, percent(probability)))));

// What became of a correction, as text; pure.
export function correctionText({ category, state, reason }) {
  if (state === "sent") return `Corrected: it is ${category} now, and stays so for the next run.`;
  if (state === "refused") return `${category} was refused as a label: ${reason ?? "no reason was given"}.`;
  return `Corrected to ${category}; it is on its way to the labels.`;
}

// A line beneath an answer that was recorded as `id`; `known` is a correction that was made before.
export function correction(id, { known = null, categories = () => summary()?.categories ?? [] } = {}) {
  const place = el("div", { class: "correction" });
  if (known) tell(place, known);
  else if (may("label")) offer(place, id, categories);
  return place;
}

function tell(place, made) {
  place.replaceChildren(el("p", { class: made.state === "refused" ? "fault" : "hint", role: "status" }, correctionText(made)));
}

function offer(place, id, categories) {
  const open = el("button", { class: "button small", type: "button" }, "Wrong? Correct it");
  open.addEventListener("click", () => ask(place, id, categories()));
  place.replaceChildren(open);
}

function ask(place, id, categories) {
  const input = el("input", { maxlength: "120", autocomplete: "off", required: true, "aria-label": "What it shows" });
  const said = el("p", { class: "fault", role: "alert" });
  const form = el("form", { class: "correct-form" }, input, el("button", { class: "button small", type: "submit" }, "Correct"));
  const names = categories.slice(0, MOST_BUTTONS).map(({ name }) =>
    el("button", { class: "button small", type: "button", onclick: () => send(name) }, name));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (input.value.trim()) send(input.value.trim());
  });
  place.replaceChildren(el("p", { class: "hint" }, "What does it show?"),
    names.length ? el("div", { class: "buttons start" }, names) : null ?? "", form, said);
  (names[0] ?? input).focus();

  async function send(category) {
    for (const button of place.querySelectorAll("button")) button.disabled = true;
    try {
      const made = await classification.correct(id, category);
      tell(place, made);
      await followUp(place, id, made);
    } catch (problem) {
      for (const button of place.querySelectorAll("button")) button.disabled = false;
      said.textContent = problem.message;
    }
  }
}

// A correction is durable when it is answered; that it is a label too shows a little later.
async function followUp(place, id, made) {
  let last = made;
  for (const wait of LOOKS) {
    if (last.state !== "waiting" || !place.isConnected) return;
    await new Promise((resolve) => { setTimeout(resolve, wait); });
    const found = await classification.classification(id).catch(() => null);
    if (found?.correction) last = found.correction;
    tell(place, last);
  }
}

export const by = (network) => `network ${short(network)}`;
