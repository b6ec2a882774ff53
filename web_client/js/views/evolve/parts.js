// Small pieces that several tabs of a run show.

import { el } from "../../lib/dom.js";
import { count, duration, number, percent } from "../../lib/text.js";

export const AXES = new Map([["candidate", "candidates"], ["seconds", "time"], ["epochs", "epochs"]]);

export const axisText = (axis) => (axis === "seconds" ? (value) => duration(value) : undefined);

export const microseconds = (value) => (value >= 1000 ? `${(value / 1000).toFixed(1)} ms` : `${Math.round(value)} µs`);

export function badge(run) {
  const kind = { running: " on", complete: " on", failed: " bad" }[run.state] ?? "";
  return el("span", { class: `badge${kind}` }, run.state);
}

// A choice among few; `options`: Map of value → text.
export function choice({ label, options, value, change }) {
  return el("label", { class: "choice" }, el("span", {}, label),
    el("select", { onchange: (event) => change(event.target.value) },
      [...options].map(([name, text]) => el("option", { value: name, selected: name === value }, text))));
}

export const tile = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));

export function facts(one) {
  return [
    count(one.parameters, "weight"), one.latency_us ? `${microseconds(one.latency_us)} an image on ${one.cpu ?? "a thread"}` : null,
    one.multiply_adds ? `${number(one.multiply_adds)} multiply-adds` : null,
    one.epochs ? count(one.epochs, "epoch") : null, one.seconds ? `${duration(one.seconds)} of training` : null,
    one.worker ? `by ${one.worker}` : null,
  ].filter(Boolean).join(" · ");
}

export const fate = (one) => {
  if (one.state !== "finished") return "in training";
  return one.outcome === "ok" ? percent(one.fitness, 2) : one.outcome ?? "–";
};
