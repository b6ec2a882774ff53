// Numbers and times as people read them.

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
