// Numbers and times as people read them.

import { age } from "./clock.js";

const whole = new Intl.NumberFormat("en");

export const count = (value, noun, plural = `${noun}s`) =>
  `${whole.format(value)} ${value === 1 ? noun : plural}`;

export const number = (value) => (value === null || value === undefined ? "–" : whole.format(value));

export const percent = (value, digits = 1) =>
  value === null || value === undefined ? "–" : `${(100 * value).toFixed(digits)} %`;

export function duration(seconds) {
  const rest = Math.max(0, Math.round(seconds));
  if (rest < 60) return `${rest} s`;
  if (rest < 3600 && rest % 60 === 0) return `${rest / 60} min`;
  if (rest < 3600) return `${Math.floor(rest / 60)} min ${String(rest % 60).padStart(2, "0")} s`;
  return `${Math.floor(rest / 3600)} h ${String(Math.floor((rest % 3600) / 60)).padStart(2, "0")} min`;
}

export const moment = (unixSeconds) =>
  new Date(unixSeconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

export const short = (id) => id.slice(0, 10);

export const size = (shape) => (shape ? shape.join(" × ") : "–");

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const power = Math.min(UNITS.length - 1, value < 1000 ? 0 : Math.floor(Math.log10(value) / 3 + 1e-9));
  const scaled = value / 1000 ** power;
  return `${power && scaled < 100 ? scaled.toFixed(1) : Math.round(scaled)} ${UNITS[power]}`;
}

// How long ago a server's time was.
export function ago(unixSeconds) {
  const seconds = age(unixSeconds);
  if (seconds < 5) return "just now";
  if (seconds < 86_400) return `${duration(seconds < 3600 ? seconds : Math.floor(seconds / 60) * 60)} ago`;
  return `${count(Math.floor(seconds / 86_400), "day")} ago`;
}
