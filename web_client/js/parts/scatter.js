// Candidates by two of their figures, and the front: those that none beats in both.

import { MARGIN, compact, drawAxes, logTicks, scale, ticks } from "./axes.js";
import { canvas } from "./canvas.js";
import { nothing, windowOf } from "./curve.js";
import { percent } from "../lib/text.js";

const CELL = 24;

// The points that no other beats: least cost (`x`), most accuracy (`y`), cheapest first.
export function frontOf(points) {
  const sorted = points.filter((point) => Number.isFinite(point.x) && Number.isFinite(point.y))
    .sort((one, other) => one.x - other.x || other.y - one.y || one.number - other.number);
  let best = -Infinity;
  return sorted.filter((point) => {
    const stays = point.y > best;
    if (stays) best = point.y;
    return stays;
  });
}

// Places `points` [{number, x, y}] (x positive, on a log scale) into pixels; null without any.
export function scatterLayout(points, width, height) {
  const shown = points.filter((point) => point.x > 0 && Number.isFinite(point.y));
  if (shown.length === 0) return null;
  let least = Infinity;
  let most = 0;
  for (const { x } of shown) { least = Math.min(least, x); most = Math.max(most, x); }
  const [from, to] = most / least > 1.2 ? [least / 1.1, most * 1.1] : [least / 2, most * 2];
  const { low, high } = windowOf(shown.map((point) => point.y));
  const x = scale({ low: from, high: to, from: MARGIN.left, to: width - MARGIN.right, log: true });
  const y = scale({ low, high, from: height - MARGIN.bottom, to: MARGIN.top });
  const cells = new Map();
  const placed = shown.map((point) => {
    const dot = { ...point, left: x(point.x), top: y(Math.max(low, point.y)) };
    const key = cellOf(dot.left, dot.top);
    if (cells.has(key)) cells.get(key).push(dot);
    else cells.set(key, [dot]);
    return dot;
  });
  return { x, y, dots: placed, cells, xTicks: logTicks(from, to), yTicks: ticks(low, high, 4) };
}

const cellOf = (left, top) => `${Math.floor(left / CELL)},${Math.floor(top / CELL)}`;

// The nearest dot within some pixels, looked for in the cells around; null where none is.
export function hit({ cells }, left, top, reach = 12) {
  let best = reach ** 2;
  let found = null;
  for (const dx of [-CELL, 0, CELL]) {
    for (const dy of [-CELL, 0, CELL]) {
      for (const dot of cells.get(cellOf(left + dx, top + dy)) ?? []) {
        const distance = (dot.left - left) ** 2 + (dot.top - top) ** 2;
        if (distance < best) { best = distance; found = dot; }
      }
    }
  }
  return found;
}

// `data()` → {points, front: Set of numbers, chosen, xName, xText}. Returns {redraw, destroy}.
export function scatter(place, { data, label, choose }) {
  let found = null;
  let shown = null;
  return canvas(place, {
    label,
    draw(context, width, height, colours) {
      shown = data();
      found = scatterLayout(shown.points, width, height);
      if (!found) return nothing(context, width, height, colours);
      drawAxes(context, width, height, colours, {
        x: { ticks: found.xTicks, at: found.x, text: shown.xText ?? compact, name: shown.xName },
        y: { ticks: found.yTicks, at: found.y, text: (value) => percent(value) },
      });
      drawPoints(context, found, shown, colours);
      return undefined;
    },
    at(x, y) {
      const dot = found && hit(found, x, y);
      if (!dot) return null;
      const text = `no. ${dot.number}: ${percent(dot.y, 2)}, ${(shown.xText ?? compact)(dot.x)}`;
      return { text, choose: () => choose(dot.number) };
    },
    table() {
      const { points, front, xName, xText = compact } = data();
      const rows = points.filter((point) => front.has(point.number)).sort((one, other) => one.x - other.x)
        .map((point) => [`no. ${point.number}`, xText(point.x), percent(point.y, 2)]);
      return { columns: ["On the front", xName, "Accuracy"], rows };
    },
  });
}

function drawPoints(context, { dots }, { front, chosen }, colours) {
  context.fillStyle = colours.edge;
  context.globalAlpha = 0.55;
  for (const dot of dots) if (!front.has(dot.number)) context.fillRect(dot.left - 2, dot.top - 2, 4, 4);
  context.globalAlpha = 1;
  const best = dots.filter((dot) => front.has(dot.number)).sort((one, other) => one.left - other.left);
  context.strokeStyle = colours["chart-1"];
  context.lineWidth = 1.5;
  context.setLineDash([4, 4]);
  context.beginPath();
  best.forEach((dot, index) => {
    if (index) context.lineTo(dot.left, best[index - 1].top);
    else context.moveTo(dot.left, dot.top);
    context.lineTo(dot.left, dot.top);
  });
  context.stroke();
  context.setLineDash([]);
  for (const dot of best) disc(context, dot, 5, colours["chart-1"]);
  const one = dots.find((dot) => dot.number === chosen);
  if (!one) return;
  context.strokeStyle = colours["chart-2"];
  context.lineWidth = 3;
  context.beginPath();
  context.arc(one.left, one.top, 9, 0, 2 * Math.PI);
  context.stroke();
}

function disc(context, { left, top }, radius, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.arc(left, top, radius, 0, 2 * Math.PI);
  context.fill();
}
