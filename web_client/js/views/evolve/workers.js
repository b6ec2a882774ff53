// The workers that train on other machines: a table beneath the run, where there is such a fleet.

import * as evolution from "../../api/evolution.js";
import { age } from "../../lib/clock.js";
import { el, show } from "../../lib/dom.js";
import { count, duration, number } from "../../lib/text.js";
import { poll } from "../../shell/outages.js";

const EVERY = 5000;
const COLUMNS = ["Worker", "Machine", "Kind", "Busy", "Trains", "A minute", "Done", "Failed", "Last failure"];

export function workersPanel(place) {
  const refresh = poll("Workers", EVERY, async () => showWorkers(place, await evolution.workers()));
  return { enter: refresh.now, leave: refresh.pause };
}

function showWorkers(place, page) {
  // Those of this machine are shown with the run that they belong to.
  place.hidden = page.engine === "local";
  if (place.hidden) return;
  show(place, JSON.stringify([page, Math.floor(performance.now() / 1000)]), () => [el("h2", {}, "Workers"), table(page.workers), queues(page)]);
}

function table(workers) {
  if (workers.length === 0) {
    return el("p", { class: "empty" }, "None is there. On any machine that reaches the broker and the blobs: ",
      el("code", {}, "python -m trainer.worker"), ".");
  }
  return el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Workers" }, el("table", {},
    el("thead", {}, el("tr", {}, COLUMNS.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, workers.map(row))));
}

function row(one) {
  const busy = one.slots.filter((slot) => slot.job !== null);
  const cells = [
    one.machine ?? "–", one.kind ?? "–", `${busy.length}/${one.slots.length}`,
    busy.length ? busy.map((slot) => el("div", { class: "mono" }, activity(slot))) : "–",
    one.per_minute === null ? "–" : one.per_minute.toFixed(1), number(one.done), number(one.failed),
    one.last_failure ?? "–",
  ];
  return el("tr", {}, el("th", { scope: "row" }, one.leaving ? `${one.name} (leaving)` : one.name),
    cells.map((cell) => el("td", {}, cell)));
}

const activity = (slot) => (slot.since === null ? slot.job : `${slot.job} for ${duration(age(slot.since))}`);

function queues(page) {
  const waiting = Object.values(page.ready).reduce((sum, value) => sum + value, 0);
  const dead = Object.values(page.dead).reduce((sum, value) => sum + value, 0);
  return el("p", { class: "hint" }, `${count(waiting, "job")} waiting`, dead ? ` · ${number(dead)} given up` : null);
}
