// The runs, newest first; two to six of them can be compared.

import { el, show } from "../../lib/dom.js";
import { moment, percent } from "../../lib/text.js";
import { format } from "../../shell/router.js";
import { badge } from "./parts.js";

const MOST = 6;

// Returns {draw(runs, current)}; `current` is the id of the run that is shown.
export function runList(place) {
  const picked = new Set();
  let last = [];
  let shown = null;

  function draw(runs, current) {
    [last, shown] = [runs, current];
    for (const id of picked) if (!runs.some((run) => run.id === id)) picked.delete(id);
    const told = runs.map((run) => [run.id, run.state, run.progress.best]);
    show(place, JSON.stringify([told, current, [...picked]]), () => (runs.length === 0 ? el("p", { class: "empty" }, "None yet.") : [
      el("ul", { class: "list run-list" }, runs.map((run) => line(run, current))), runs.length > 1 ? compare() : null,
    ]));
  }

  function line(run, current) {
    const box = el("input", {
      type: "checkbox", checked: picked.has(run.id), "data-focus": `pick-${run.id}`,
      "aria-label": `Compare the run of ${moment(run.created)}`, disabled: !picked.has(run.id) && picked.size >= MOST,
    });
    box.addEventListener("change", () => {
      if (box.checked) picked.add(run.id);
      else picked.delete(run.id);
      draw(last, shown);
    });
    return el("li", {}, el("label", { class: "tick" }, box),
      el("a", {
        class: "pick", href: format({ view: "evolve", path: [run.id] }), "data-focus": run.id,
        "aria-current": run.id === current && "true",
      }, el("strong", {}, run.request.dataset), badge(run),
      el("small", {}, `${moment(run.created)} · best ${percent(run.progress.best)}`)));
  }

  function compare() {
    if (picked.size < 2) return el("p", { class: "hint" }, "Tick two or more to compare them.");
    return el("a", {
      class: "button small", "data-focus": "compare",
      href: format({ view: "evolve", path: ["compare"], query: { runs: [...picked].join(",") } }),
    }, `Compare ${picked.size} runs`);
  }
  return { draw };
}
