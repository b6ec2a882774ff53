// View: start a run, watch it live, look back at the earlier ones, compare them.
//
// `#evolve`, `#evolve/RUN`, `#evolve/RUN/population?of=12` (front, lineage, report), and
// `#evolve/compare?runs=A,B`.

import * as evolution from "../../api/evolution.js";
import { clear, el, show } from "../../lib/dom.js";
import { poll } from "../../shell/outages.js";
import { comparePanel } from "./compare.js";
import { runForm } from "./form.js";
import { runList } from "./list.js";
import { runPanel } from "./run.js";
import { workersPanel } from "./workers.js";

const EVERY = 5000;

export function create(section, { state, go, parse, say }) {
  const panel = el("div", { class: "panel stack", id: "run-view", role: "region", "aria-label": "The chosen run" });
  const fleet = el("div", { class: "panel", id: "trainers", hidden: true });
  const listed = el("div", { id: "run-list" });
  const form = runForm({ state, onStart: (run) => { learn(run); go({ view: "evolve", path: [run.id] }); } });
  section.append(
    el("div", { class: "heading" }, el("h1", {}, "Evolve"),
      el("p", {}, "Networks are bred, trained and selected on validation images until the time is up.")),
    el("div", { class: "columns watch" },
      el("div", { class: "panel no-print" }, el("h2", {}, "Start a run"), form.form),
      el("div", { class: "stack" }, panel, fleet),
      el("div", { class: "panel no-print" }, el("h2", {}, "Runs"), listed)));

  const list = runList(listed);
  const workers = workersPanel(fleet);
  const refresh = poll("Runs", EVERY, async () => {
    const found = await evolution.runs();
    const [wanted] = place.path;
    // The list holds the latest only; a link may lead to an older one.
    if (wanted && wanted !== "compare" && !found.some((run) => run.id === wanted)) found.push(...await older(wanted));
    runs = found;
    turn();
  });
  let runs = null;
  let place = parse(location.hash);
  let open = null; // {key, view}
  let isShown = false;

  function learn(run) {
    if (runs === null) return;
    runs = runs.some((one) => one.id === run.id) ? runs.map((one) => (one.id === run.id ? run : one)) : [run, ...runs];
    list.draw(runs, open?.key);
  }

  const attempt = async (work) => {
    try {
      learn(await work());
      await refresh.now();
      // A run that had ended is followed again.
      close();
      turn();
    } catch (problem) {
      say(problem.message, { kind: "bad" });
    }
  };
  const actions = { stop: (run) => attempt(() => evolution.stop(run.id)), resume: (run) => attempt(() => evolution.resume(run.id)) };

  function close() {
    open?.view.close();
    open = null;
  }

  // Shows what the address says; without one the newest run.
  function turn() {
    if (!isShown || runs === null) return;
    const [first, tab = ""] = place.path;
    if (first === "compare") {
      const ids = (place.query.get("runs") ?? "").split(",").filter(Boolean);
      renew(`compare ${ids}`, () => comparePanel(panel, ids));
      list.draw(runs, null);
      return;
    }
    const run = runs.find((one) => one.id === first) ?? (first ? null : runs[0]);
    list.draw(runs, run?.id ?? first ?? null);
    if (!run) {
      close();
      show(panel, `none ${first ?? ""}`, () => (first ? unknown(first) : empty()));
      return;
    }
    renew(run.id, () => runPanel(panel, run, { actions, onRun: learn, say }));
    open.view.learn(run);
    if (open.place !== place) open.view.turn(tab, place.query);
    open.place = place;
  }

  function renew(key, make) {
    if (open?.key === key) return;
    close();
    clear(panel);
    open = { key, view: make(), place: null };
  }

  return {
    enter(next) {
      place = next;
      isShown = true;
      workers.enter();
      form.enter();
      refresh.now();
      turn();
    },
    leave() {
      isShown = false;
      workers.leave();
      refresh.pause();
      close();
    },
  };
}

async function older(id) {
  try {
    return [await evolution.run(id)];
  } catch (problem) {
    if (problem.status === 404) return [];
    throw problem;
  }
}

function unknown(id) {
  return el("div", { class: "empty" }, el("strong", {}, "There is no such run."), `None is called ${id}.`);
}

function empty() {
  return el("div", { class: "empty" }, el("strong", {}, "No run yet."),
    "Start one with the form; a minute is enough for small pictures. What is bred appears here while it happens. ",
    "The same from a terminal: ", el("code", {}, "dicebox evolve --dataset NAME --seconds 60"), ".");
}
