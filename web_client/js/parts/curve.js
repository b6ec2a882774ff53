// Curves that only rise (the best so far), with a dot for each candidate where there is one line.

import { MARGIN, compact, drawAxes, scale, ticks } from "./axes.js";
import { canvas } from "./canvas.js";
import { percent } from "../lib/text.js";

const MOST_DOTS = 4000;

// The window that shows what matters: a few hopeless candidates must not squeeze everybody else
// into one line. `values` in any order; returns {low, high}.
export function windowOf(values) {
  if (values.length === 0) return { low: 0, high: 1 };
  const sorted = Float64Array.from(values).sort();
  const low = Math.max(0, sorted[Math.floor(sorted.length / 10)] - 0.05);
  const high = Math.min(1, sorted.at(-1) + 0.02);
  return high - low > 0.01 ? { low, high } : { low: Math.max(0, high - 0.05), high };
}

// Turns records into the corners of a staircase that ends at `last`; all in pixels.
export function staircase({ xs, ys }, last, x, y) {
  const points = [];
  for (let index = 0; index < xs.length; index += 1) {
    if (index) points.push([x(xs[index]), y(ys[index - 1])]);
    points.push([x(xs[index]), y(ys[index])]);
  }
  if (xs.length) points.push([x(Math.max(last, xs.at(-1))), y(ys.at(-1))]);
  return points;
}

// Returns what to draw: scales and ticks for `lines` [{name, xs, ys, last}] and `dots` {xs, ys};
// null where there is nothing.
export function curveLayout({ lines, dots = { xs: [], ys: [] } }, width, height) {
  const shown = lines.filter((line) => line.xs.length);
  if (shown.length === 0) return null;
  const values = dots.ys.length ? dots.ys : shown.flatMap((line) => [...line.ys]);
  const { low, high } = windowOf(values);
  const last = Math.max(1e-9, ...shown.map((line) => line.last));
  const x = scale({ low: 0, high: last, from: MARGIN.left, to: width - MARGIN.right });
  const y = scale({ low, high, from: height - MARGIN.bottom, to: MARGIN.top });
  const clamped = (value) => y(Math.max(low, value));
  return {
    x, y: clamped, low, high, last,
    xTicks: ticks(0, last, width < 480 ? 3 : 6), yTicks: ticks(low, high, 4),
    lines: shown.map((line) => ({ name: line.name, points: staircase(line, line.last, x, clamped) })),
  };
}

// `data()` → {lines, dots, xName}; `label()` in a sentence. Returns {redraw, destroy}.
export function curve(place, { data, label, choose = null }) {
  let found = null;
  let shown = null;
  return canvas(place, {
    label,
    draw(context, width, height, colours) {
      shown = data();
      found = curveLayout(shown, width, height);
      if (!found) return nothing(context, width, height, colours);
      drawAxes(context, width, height, colours, {
        x: { ticks: found.xTicks, at: found.x, text: shown.xText ?? compact, name: shown.xName },
        y: { ticks: found.yTicks, at: found.y, text: (value) => percent(value) },
      });
      drawDots(context, shown.dots, found, colours);
      found.lines.forEach((line, index) => drawLine(context, line, colours[`chart-${(index % 6) + 1}`]));
      return undefined;
    },
    at: (x, y) => (found && shown.dots ? nearest(shown.dots, found, x, y, choose) : null),
    table: () => rowsOf(data()),
  });
}

export function nothing(context, width, height, colours) {
  context.fillStyle = colours.soft;
  context.font = "14px system-ui, sans-serif";
  context.textAlign = "center";
  context.fillText("Nothing was judged yet", width / 2, height / 2);
}

function drawDots(context, dots, { x, y }, colours) {
  if (!dots || dots.xs.length === 0) return;
  const every = Math.ceil(dots.xs.length / MOST_DOTS);
  context.fillStyle = colours.edge;
  context.globalAlpha = 0.6;
  for (let index = 0; index < dots.xs.length; index += every) {
    context.fillRect(x(dots.xs[index]) - 2, y(dots.ys[index]) - 2, 4, 4);
  }
  context.globalAlpha = 1;
}

function drawLine(context, { points }, colour) {
  context.strokeStyle = colour;
  context.lineWidth = 2.5;
  context.lineJoin = "round";
  context.beginPath();
  points.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
}

function nearest(dots, { x, y }, left, top, choose) {
  let best = 12 ** 2;
  let at = -1;
  for (let index = 0; index < dots.xs.length; index += 1) {
    const distance = (x(dots.xs[index]) - left) ** 2 + (y(dots.ys[index]) - top) ** 2;
    if (distance < best) { best = distance; at = index; }
  }
  if (at < 0) return null;
  const number = dots.numbers?.[at];
  return { text: `no. ${number}: ${percent(dots.ys[at], 2)}`, choose: choose && number ? () => choose(number) : null };
}

function rowsOf({ lines, xName, xText = compact }) {
  const rows = lines.flatMap((line) => [...line.xs].map((x, index) => [line.name, xText(x), percent(line.ys[index], 2)]));
  return { columns: ["Best of", xName, "Accuracy"], rows };
}
