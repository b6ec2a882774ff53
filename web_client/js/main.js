// The frame: which view is shown, and which dataset it is about.

import { sensory } from "./api.js";
import { classifyView } from "./classify.js";
import { collectView } from "./collect.js";
import { choose, dataset, datasets, learn, onDataset } from "./dataset.js";
import { el, show } from "./dom.js";
import { login } from "./login.js";
import { poll } from "./poll.js";
import { runsView } from "./runs.js";

// Every view needs the datasets, so they are asked for whichever is shown.
const refresh = poll("Images", 4000, async () => learn(await sensory.datasets()));
const VIEWS = { collect: collectView, evolve: runsView, classify: classifyView };
const views = new Map(Object.entries(VIEWS).map(([name, create]) => {
  const section = document.getElementById(`view-${name}`);
  return [name, { section, ...create(section, refresh) }];
}));
let current = null;

function navigate() {
  const wanted = location.hash.slice(1);
  const name = views.has(wanted) ? wanted : current ?? "collect";
  if (name === current) return;
  for (const [other, view] of views) {
    view.section.hidden = other !== name;
    if (other !== name) view.leave?.();
  }
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${name[0].toUpperCase()}${name.slice(1)} · Dicebox`;
  if (current !== null) document.getElementById("main").focus({ preventScroll: true });
  current = name;
  views.get(name).enter?.();
}

const select = document.getElementById("dataset");
select.addEventListener("change", () => choose(select.value));
onDataset(() => {
  select.closest("label").hidden = datasets().length === 0;
  show(select, datasets().map((one) => one.name), (names) => names.map((name) => el("option", { value: name }, name)));
  select.value = dataset();
});

window.addEventListener("hashchange", navigate);
navigate();
login();
refresh.now();
