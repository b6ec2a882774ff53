// The workers that train on other machines: a table beneath the run, where there is such a fleet.

import { evolution } from "./api.js";
import { el, show } from "./dom.js";
import { poll } from "./poll.js";
import { count, duration, number } from "./text.js";

const EVERY = 5000;
const COLUMNS = ["Worker", "Machine", "Kind", "Busy", "Trains", "A minute", "Done", "Failed", "Last failure"];

export function trainersView(section) {
  const place = section.querySelector("#trainers");
  const refresh = poll("Workers", EVERY, async () => showTrainers(place, await evolution.workers()));
  return { enter: refresh.now, leave: refresh.pause };
}

function showTrainers(place, page) {
  // Those of this machine are shown with the run that they belong to.
  place.hidden = page.engine === "local";
  if (place.hidden) return;
  const now = Date.now() / 1000;
  show(place, [page, Math.floor(now)], () => [el("h2", {}, "Workers"), table(page.workers, now), queues(page)]);
}

function table(workers, now) {
  if (workers.length === 0) {
    return el("p", { class: "empty" }, "None is there. On any machine that reaches the broker and the blobs: ",
      el("code", {}, "python -m trainer.worker"), ".");
  }
  return el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Workers" }, el("table", {},
    el("thead", {}, el("tr", {}, COLUMNS.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, workers.map((one) => row(one, now)))));
}

function row(one, now) {
  const busy = one.slots.filter((slot) => slot.job !== null);
  const cells = [
    one.machine ?? "–", one.kind ?? "–", `${busy.length}/${one.slots.length}`,
    busy.length ? busy.map((slot) => el("div", { class: "mono" }, activity(slot, now))) : "–",
    one.per_minute === null ? "–" : one.per_minute.toFixed(1), number(one.done), number(one.failed),
    one.last_failure ?? "–",
  ];
  return el("tr", {}, el("th", { scope: "row" }, one.leaving ? `${one.name} (leaving)` : one.name),
    cells.map((cell) => el("td", {}, cell)));
}

// Another machine's clock may be a little ahead of this one.
const activity = (slot, now) =>
  slot.since === null ? slot.job : `${slot.job} for ${duration(Math.max(0, now - slot.since))}`;

function queues(page) {
  const waiting = Object.values(page.ready).reduce((sum, value) => sum + value, 0);
  const dead = Object.values(page.dead).reduce((sum, value) => sum + value, 0);
  return el("p", { class: "hint" }, `${count(waiting, "job")} waiting`, dead ? ` · ${number(dead)} given up` : null);
}
