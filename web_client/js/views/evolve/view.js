// View: Evolve.

import { runsView } from "../../runs.js";
import { el } from "../../lib/dom.js";

export function create(section) {
  section.append(...markup());
  return runsView(section);
}

function markup() {
  return [
    el("div", { class: "heading" },
      el("h1", {}, "Evolve"),
      el("p", {}, "Networks are bred, trained and selected on validation images until the time is up.")),
    el("div", { class: "columns watch" },
      el("div", { class: "panel" },
        el("h2", {}, "Start a run"),
        el("form", { id: "run-form" },
          el("label", { class: "field" },
            el("span", {}, "Time to search, in seconds"),
            el("input", { name: "seconds", type: "number", min: "1", max: "2592000", step: "1", value: "60", required: true })),
          el("details", {},
            el("summary", {}, "More settings"),
            el("label", { class: "field" },
              el("span", {}, "Workers"),
              el("input", { name: "workers", type: "number", min: "1", max: "256", placeholder: "one per core" })),
            el("label", { class: "field" },
              el("span", {}, "Population"),
              el("input", { name: "population", type: "number", min: "2", max: "10000", value: "16", required: true })),
            el("label", { class: "field" },
              el("span", {}, "Seed"),
              el("input", { name: "seed", type: "number", min: "0", value: "0", required: true })),
            el("label", { class: "field" },
              el("span", {}, "Strategy"),
              el("select", { name: "strategy" },
                el("option", { value: "evolution" }, "Evolution"),
                el("option", { value: "random" }, "Random search (the baseline)")))),
          el("label", { class: "check" },
            el("input", { name: "promote", type: "checkbox", checked: true }),
            el("span", {}, "Let the winner answer, unless it is worse")),
          el("button", { class: "button primary", type: "submit" }, "Start"),
          el("p", { id: "run-hint", class: "hint", role: "status" }))),
      el("div", { class: "stack" },
        el("div", { class: "panel", id: "run-view", role: "region", "aria-label": "The chosen run" }),
        el("div", { class: "panel", id: "trainers", hidden: true })),
      el("div", { class: "panel" }, el("h2", {}, "Runs"), el("div", { id: "run-list" }))),
  ];
}
