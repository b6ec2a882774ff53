// Tab of a run: accuracy against cost, and the candidates that none beats in both.

import { el, show } from "../../lib/dom.js";
import { count, percent } from "../../lib/text.js";
import { compact } from "../../parts/axes.js";
import { frontOf, scatter } from "../../parts/scatter.js";
import { choice, microseconds } from "./parts.js";

const COSTS = new Map([["parameters", "weights"], ["latency", "latency"]]);

// The numbers on the front: what the run itself says where it has several objectives, else those
// of the two shown; pure.
export function numbersOf(run, points) {
  const own = run.progress.front.map((point) => point.number);
  return own.length && run.request.objectives.length > 2 ? own : frontOf(points).map((point) => point.number);
}

// Returns {draw, destroy}.
export function front(place, { run, journal, href, choose, chosen }) {
  let cost = run().request.objectives.includes("latency") && !run().request.objectives.includes("parameters") ? "latency" : "parameters";
  const board = el("div");
  const list = el("div");
  const xText = () => (cost === "latency" ? microseconds : compact);
  place.append(
    el("div", { class: "title-line" }, el("h3", {}, "What accuracy costs"),
      choice({ label: "Cost", options: COSTS, value: cost, change: (value) => { cost = value; drawn = null; draw(); } })),
    board, list);
  let found = { points: [], front: new Set() };
  let drawn = null;
  const drawing = scatter(board, {
    data: () => ({ ...found, chosen: chosen(), xName: COSTS.get(cost), xText: xText() }),
    label: () => `Accuracy and ${COSTS.get(cost)} of ${count(found.points.length, "candidate")}; ${found.front.size} are on the front`,
    choose,
  });

  function learn() {
    const { fitness, state, count: all, [cost]: costs } = journal.columns();
    const points = [];
    for (let at = 0; at < all; at += 1) {
      if (state[at] === 1 && costs[at] > 0) points.push({ number: at + 1, x: costs[at], y: fitness[at] });
    }
    found = { points, front: new Set(numbersOf(run(), points)) };
  }

  function draw() {
    const key = `${cost}/${journal.version()}/${chosen()}`;
    if (key === drawn) return;
    drawn = key;
    learn();
    drawing.redraw();
    const rows = found.points.filter((point) => found.front.has(point.number)).sort((one, other) => other.y - one.y);
    show(list, JSON.stringify([rows, cost, chosen()]), () => (rows.length === 0 ? nobody(cost)
      : el("ul", { class: "front-list" }, rows.map((point) => el("li", {}, el("a", {
        class: "pick", href: href({ of: point.number }), "data-focus": `front-${point.number}`,
        "aria-current": point.number === chosen() && "true",
      }, el("strong", {}, percent(point.y, 2)), el("span", {}, `no. ${point.number}`), el("small", {}, `${xText()(point.x)}${cost === "parameters" ? " weights" : ""}`)))))));
  }
  return { draw, destroy: drawing.destroy };
}

const nobody = (cost) => el("p", { class: "empty" }, cost === "latency"
  ? "No latency was measured: it is where latency is an objective or a limit of the run."
  : "Nobody was judged yet.");
