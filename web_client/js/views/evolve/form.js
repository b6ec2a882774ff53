// The form that starts a run. What the service refuses is said at the field it is about.

import * as evolution from "../../api/evolution.js";
import { el, show } from "../../lib/dom.js";
import { count, moment } from "../../lib/text.js";
import { may, summary } from "../../shell/state.js";
import { fieldOf, requestOf } from "./requests.js";

const STRATEGIES = [["evolution", "Evolution"], ["random", "Random search (the baseline)"], ["generational", "Generations (the classic)"], ["seeds", "Known-good networks alone"]];
const PROMOTION = [["auto", "answers, unless worse"], ["canary", "answers a share first"], ["never", "waits in the gallery"]];
const DEVICES = [["", "whoever is free"], ["cpu", "only processors"], ["gpu", "only graphics cards"]];

// `onStart(run)` comes when a run was started. Returns {form, enter()}.
export function runForm({ state, onStart }) {
  const hint = el("p", { id: "run-hint", class: "hint", role: "status" });
  const button = el("button", { class: "button primary", type: "submit" }, "Start");
  const snapshot = el("select", { name: "snapshot", "aria-describedby": "snapshot-hint" });
  const form = el("form", { id: "run-form", novalidate: true }, fields(snapshot), button, hint);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    unmark();
    if (!form.checkValidity()) {
      form.querySelector("details").open ||= Boolean(form.querySelector("details :invalid"));
      form.reportValidity();
      return;
    }
    const request = requestOf({ ...Object.fromEntries(new FormData(form)), dataset: state.get().dataset, objectives: objectives() });
    if (request.seconds === null && !request.evaluations && !request.epochs_total) {
      refuse("seconds", "A run needs an end: give it a time, a number of candidates or a number of epochs.");
      return;
    }
    button.disabled = true;
    try {
      onStart(await evolution.start(request));
    } catch (problem) {
      const names = [...form.elements].map((one) => one.name).filter(Boolean);
      refuse(fieldOf(problem.message, names), problem.message);
    }
    allow();
  });

  const objectives = () => [...form.querySelectorAll("[name=objectives]:checked")].map((box) => box.value);

  function refuse(name, text) {
    hint.classList.add("fault");
    hint.textContent = text;
    const field = name && form.elements[name];
    if (!field?.focus) return;
    const folded = field.closest("details");
    if (folded) folded.open = true;
    field.setAttribute("aria-invalid", "true");
    field.focus();
  }

  function unmark() {
    hint.classList.remove("fault");
    hint.textContent = "";
    for (const one of form.querySelectorAll("[aria-invalid]")) one.removeAttribute("aria-invalid");
  }

  // A run that is bound to fail is not offered; the reason is.
  function allow() {
    const { dataset } = state.get();
    const isReady = (summary()?.categories.filter((one) => one.images > 0).length ?? 0) >= 2;
    button.disabled = !isReady || !may("evolve");
    button.textContent = dataset ? `Start on ${dataset}` : "Start";
    if (hint.classList.contains("fault")) return;
    hint.textContent = !may("evolve") ? "Your key may not start runs: that takes the scope evolve."
      : isReady ? "" : "First collect labeled images of at least two categories.";
  }

  async function offerSnapshots() {
    const { dataset } = state.get();
    const found = dataset ? await evolution.snapshots(dataset).catch(() => []) : [];
    if (dataset !== state.get().dataset) return;
    const before = snapshot.value;
    show(snapshot, JSON.stringify([dataset, found.map((one) => one.id)]), () => [
      el("option", { value: "" }, "all labeled images, frozen now"),
      found.map((one) => el("option", { value: one.id }, `frozen ${moment(one.created)}, ${count(one.images, "image")}`)),
    ]);
    snapshot.value = found.some((one) => one.id === before) ? before : "";
  }

  state.subscribe(allow);
  state.subscribe(offerSnapshots, (value) => value.dataset);
  allow();
  return { form, enter: offerSnapshots };
}

function fields(snapshot) {
  const field = (text, control, small = null) => el("label", { class: "field" }, el("span", {}, text), control, small);
  const whole = (name, attributes) => el("input", { name, type: "number", min: "1", step: "1", inputmode: "numeric", ...attributes });
  const select = (name, options) => el("select", { name }, options.map(([value, text]) => el("option", { value }, text)));
  const objective = (value, text) => el("label", { class: "check" }, el("input", { type: "checkbox", name: "objectives", value }), el("span", {}, text));
  return [
    field("Time to search, in seconds", whole("seconds", { max: "2592000", value: "60" })),
    el("details", {}, el("summary", {}, "Data, end and size"),
      field("Data", snapshot, el("small", { id: "snapshot-hint" }, "A frozen snapshot makes two runs comparable.")),
      field("End after candidates", whole("evaluations", { placeholder: "no limit" })),
      field("End after epochs of all together", whole("epochs_total", { placeholder: "no limit" })),
      field("Input, height x width x channels", el("input", { name: "shape", placeholder: "the median, at most 64", pattern: "\\d+\\s*[x×]\\s*\\d+(\\s*[x×]\\s*[13])?", spellcheck: "false" }))),
    el("details", {}, el("summary", {}, "What is good"),
      el("fieldset", {}, el("legend", {}, "Beside accuracy, breed for"), objective("latency", "fast answers"), objective("parameters", "few weights")),
      field("An answer takes at most, in microseconds", whole("max_latency_us", { placeholder: "no limit" })),
      field("Weights at most", whole("max_parameters", { placeholder: "no limit" }))),
    el("details", {}, el("summary", {}, "How it searches"),
      field("Strategy", select("strategy", STRATEGIES)),
      field("Workers", whole("workers", { max: "256", placeholder: "one per core" })),
      field("Device", select("device", DEVICES)),
      field("Population", whole("population", { min: "2", max: "10000", value: "16", required: true })),
      field("Seed", whole("seed", { min: "0", value: "0", required: true }))),
    field("The winner", select("promote", PROMOTION)),
  ];
}
