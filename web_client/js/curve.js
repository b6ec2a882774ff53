// The anytime curve: each candidate a dot in the order of birth, the best so far a line.

import { svg } from "./dom.js";
import { percent } from "./text.js";

const NARROWEST = 280;
const WIDEST = 760;
const HEIGHT = 220;
const LEFT = 52;
const RIGHT = 10;
const TOP = 12;
const BOTTOM = 26;
// Beyond this the dots merge anyway, and the page has to stay smooth.
const MOST_DOTS = 600;

// Returns {points: [{x, y, value, isRecord}], line: [[x, y]…], low, high, last} in pixels; pure.
export function layout(individuals, width) {
  const judged = individuals
    .filter((one) => Number.isFinite(one.fitness))
    .sort((one, other) => one.number - other.number);
  if (judged.length === 0) return null;
  const values = judged.map((one) => one.fitness);
  // A few hopeless candidates must not squeeze everybody else into one line.
  const sorted = [...values].sort((one, other) => one - other);
  const low = Math.max(0, sorted[Math.floor(sorted.length / 10)] - 0.05);
  const high = Math.min(1, sorted.at(-1) + 0.02);
  const last = Math.max(2, judged.at(-1).number);
  const x = (birth) => LEFT + ((width - LEFT - RIGHT) * birth) / last;
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (Math.max(low, value) - low) / (high - low));
  const line = [];
  let best = -Infinity;
  const points = judged.map((one) => {
    const isRecord = one.fitness > best;
    if (isRecord) {
      if (line.length) line.push([x(one.number), y(best)]);
      best = one.fitness;
      line.push([x(one.number), y(best)]);
    }
    return { x: x(one.number), y: y(one.fitness), value: one.fitness, isRecord };
  });
  line.push([x(last), y(best)]);
  return { points, line, low, high, last, best };
}

// Drawn at the width it is shown at, so that its text keeps its size on a phone.
export function curve(individuals, room) {
  const width = Math.min(WIDEST, Math.max(NARROWEST, room - 40));
  const found = layout(individuals, width);
  if (!found) return null;
  const { points, line, low, high, last, best } = found;
  const every = Math.ceil(points.length / MOST_DOTS);
  const dots = points.filter((point, index) => point.isRecord || index % every === 0);
  const ticks = [high, (low + high) / 2, low];
  const y = (share) => TOP + (HEIGHT - TOP - BOTTOM) * share;
  return svg("svg", {
    class: "curve", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img",
    "aria-label": `Validation accuracy of ${points.length} candidates; the best has ${percent(best)}`,
  },
  ticks.map((value, index) => [
    svg("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: y(index / 2), y2: y(index / 2) }),
    svg("text", { x: LEFT - 6, y: y(index / 2) + 4, "text-anchor": "end" }, percent(value)),
  ]),
  svg("text", { x: LEFT, y: HEIGHT - 6 }, "first candidate"),
  svg("text", { x: width - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, `no. ${last}`),
  dots.map((dot) => svg("circle", {
    class: dot.isRecord ? "dot record" : "dot", cx: dot.x.toFixed(1), cy: dot.y.toFixed(1), r: dot.isRecord ? 3.5 : 2.5,
  })),
  svg("polyline", { class: "best", points: line.map((point) => point.map((n) => n.toFixed(1)).join(",")).join(" ") }));
}
