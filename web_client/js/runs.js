// View: start a run, watch it, look back at the earlier ones.

import { evolution } from "./api.js";
import { dataset, onDataset, summary } from "./dataset.js";
import { el, show } from "./dom.js";
import { poll } from "./poll.js";
import { badge, isLive, showRun } from "./run_view.js";
import { moment, percent } from "./text.js";
import { trainersView } from "./trainers.js";

export function runsView(section) {
  const form = section.querySelector("#run-form");
  const hint = section.querySelector("#run-hint");
  const trainers = trainersView(section);
  const state = { runs: [], chosen: null, individuals: new Map(), of: null };
  const refresh = poll("Runs", 1000, () => ask(section, state, refresh, actions));
  const actions = {
    choose: (run) => { state.chosen = run.id; refresh.now(); },
    stop: (run) => attempt(hint, async () => { await evolution.stop(run.id); await refresh.now(); }),
    resume: (run) => attempt(hint, async () => { await evolution.resume(run.id); await refresh.now(); }),
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(hint, async () => {
      const run = await evolution.start(requestOf(form));
      state.chosen = run.id;
      await refresh.now();
    });
  });
  onDataset(() => allow(form, hint));
  allow(form, hint);
  return {
    enter: () => { trainers.enter(); return refresh.now(); },
    leave: () => { trainers.leave(); refresh.pause(); },
  };
}

async function attempt(hint, work) {
  hint.textContent = "";
  hint.classList.remove("fault");
  try {
    await work();
  } catch (problem) {
    hint.classList.add("fault");
    hint.textContent = problem.message;
  }
}

function requestOf(form) {
  const request = {
    dataset: dataset(),
    seconds: Number(form.elements.seconds.value),
    population: Number(form.elements.population.value),
    seed: Number(form.elements.seed.value),
    strategy: form.elements.strategy.value,
    promote: form.elements.promote.checked ? "auto" : "never",
  };
  if (form.elements.workers.value) request.workers = Number(form.elements.workers.value);
  return request;
}

// A run that is bound to fail is not offered; the reason is.
function allow(form, hint) {
  const ready = (summary()?.categories.filter((one) => one.images > 0).length ?? 0) >= 2;
  const button = form.querySelector("button[type=submit]");
  button.disabled = !ready;
  button.textContent = dataset() ? `Start on ${dataset()}` : "Start";
  if (!ready) hint.textContent = "First collect labeled images of at least two categories.";
  else if (!hint.classList.contains("fault")) hint.textContent = "";
}

async function ask(section, state, refresh, actions) {
  state.runs = await evolution.runs();
  const run = state.runs.find((one) => one.id === state.chosen) ?? state.runs[0];
  showList(section, state, run, actions);
  const place = section.querySelector("#run-view");
  if (!run) {
    show(place, "none", empty);
    return;
  }
  await learnIndividuals(state, run);
  showRun(place, run, [...state.individuals.values()], actions);
}

// Asks only for what can have changed: everything after the last individual before which all are
// finished.
async function learnIndividuals(state, run) {
  if (state.of !== run.id) {
    state.of = run.id;
    state.individuals = new Map();
    state.isWhole = false;
  }
  if (state.isWhole) return;
  const open = [...state.individuals.values()].filter((one) => one.state !== "finished");
  const after = open.length
    ? Math.min(...open.map((one) => one.number)) - 1
    : Math.max(0, ...state.individuals.keys());
  for (const one of await evolution.individuals(run.id, Math.max(0, after))) {
    state.individuals.set(one.number, one);
  }
  // One answer after the end may still bring news, so only then it counts as whole.
  state.isWhole = !isLive(run);
}

function showList(section, state, current, actions) {
  show(section.querySelector("#run-list"), [state.runs, current?.id], () => {
    if (state.runs.length === 0) return el("p", { class: "empty" }, "None yet.");
    return el("ul", { class: "list" }, state.runs.map((run) => el("li", {},
      el("button", {
        class: "pick", type: "button", "data-focus": run.id,
        "aria-current": run.id === current?.id && "true", onclick: () => actions.choose(run),
      }, el("strong", {}, run.request.dataset), badge(run),
      el("small", {}, `${moment(run.created)} · best ${percent(run.progress.best)}`)))));
  });
}

function empty() {
  return el("div", { class: "empty" }, el("strong", {}, "No run yet."),
    "Start one with the form; a minute is enough for small pictures. What is bred appears here while it happens. ",
    "The same from a terminal: ", el("code", {}, "dicebox evolve --dataset NAME --seconds 60"), ".");
}
