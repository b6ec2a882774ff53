// Axes of a chart: where values lie, and which of them are written. Pure.

// Round numbers from `low` to `high`, about `wanted` of them.
export function ticks(low, high, wanted = 4) {
  if (!(high > low)) return [low];
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough * 0.999);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-6; at += 1) found.push(Number((at * step).toPrecision(12)));
  return found;
}

// 1, 2, 5, 10, 20 … between two positive numbers; only the powers of ten where they are many.
export function logTicks(low, high) {
  const found = [];
  const isLong = Math.log10(high / low) > 2.5;
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const factor of isLong ? [1] : [1, 2, 5]) {
      const value = factor * 10 ** power;
      if (value >= low * 0.999 && value <= high * 1.001) found.push(value);
    }
  }
  return found;
}

// Returns a function from values to pixels; `low` goes to `from`.
export function scale({ low, high, from, to, log = false }) {
  const raised = log ? Math.log10 : (value) => value;
  const start = raised(low);
  const span = raised(high) - start || 1;
  return (value) => from + ((to - from) * (raised(value) - start)) / span;
}

export const MARGIN = { left: 56, right: 14, top: 10, bottom: 36 };

const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
export const compact = (value) => COMPACT.format(value);

// Lines, numbers and names; `x` and `y` are {ticks, at(value), text(value), name}.
export function drawAxes(context, width, height, colours, { x, y }) {
  const bottom = height - MARGIN.bottom;
  context.lineWidth = 1;
  context.strokeStyle = colours.line;
  context.fillStyle = colours.soft;
  context.font = "12px system-ui, sans-serif";
  context.beginPath();
  for (const value of y.ticks) {
    const at = Math.round(y.at(value)) + 0.5;
    context.moveTo(MARGIN.left, at);
    context.lineTo(width - MARGIN.right, at);
  }
  context.stroke();
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const value of y.ticks) context.fillText(y.text(value), MARGIN.left - 8, y.at(value));
  context.textBaseline = "top";
  let free = -Infinity;
  for (const value of x.ticks) {
    const text = x.text(value);
    const at = x.at(value);
    const half = context.measureText(text).width / 2;
    // A number that would stand in another one, or outside, is left out.
    if (at - half < free || at + half > width) continue;
    context.textAlign = "center";
    context.fillText(text, at, bottom + 5);
    free = at + half + 8;
  }
  context.textAlign = "right";
  context.fillText(x.name, width - MARGIN.right, bottom + 20);
}
