// A drawing that keeps up with its size, its pixels and its colours, and says the same in a table.

import { el } from "../lib/dom.js";
import { schedule } from "../lib/frame.js";

const COLOURS = ["ink", "soft", "line", "edge", "card", "accent", "good", "bad", "chart-1", "chart-2", "chart-3", "chart-4", "chart-5", "chart-6"];
const MOST_ROWS = 200;

// Returns {redraw, destroy}.
//
// `draw(context, width, height, colours)` gets CSS pixels; `height(width)` says how high it is.
// `label()` says the drawing in a sentence, `table()` → {columns, rows} in figures. `at(x, y)` may
// return {text, choose?} of what is there: shown beside the pointer, chosen by a click.
export function canvas(place, { label, draw, table, height = (width) => (width < 480 ? 200 : 260), at = null }) {
  const board = el("canvas", { class: "chart", role: "img" });
  const probe = el("span", { hidden: true });
  const tip = el("p", { class: "chart-tip", hidden: true, "aria-hidden": "true" });
  const figures = el("div", { class: "wide chart-table", tabindex: "0", role: "region", "aria-label": "The figures" });
  const details = el("details", {}, el("summary", {}, "As a table"), figures);
  const frame = el("div", { class: "chart-frame" }, board, tip, probe);
  place.append(frame, details);
  const context = board.getContext("2d");
  let colours = null;
  let isGone = false;

  function paint() {
    if (isGone) return;
    const width = Math.floor(frame.clientWidth);
    // Nothing is drawn where nobody sees it.
    if (width === 0) return;
    const high = height(width);
    const ratio = globalThis.devicePixelRatio || 1;
    if (board.width !== Math.round(width * ratio) || board.height !== Math.round(high * ratio)) {
      board.width = Math.round(width * ratio);
      board.height = Math.round(high * ratio);
      board.style.setProperty("height", `${high}px`);
    }
    colours ??= read(probe);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, high);
    draw(context, width, high, colours);
    const text = label();
    if (board.getAttribute("aria-label") !== text) board.setAttribute("aria-label", text);
    if (details.open) tell();
  }

  function tell() {
    const { columns, rows } = table();
    const cells = (tag, row) => row.map((cell, index) => el(index ? tag : "th", { scope: index ? false : "row" }, String(cell)));
    figures.replaceChildren(el("table", {},
      el("thead", {}, el("tr", {}, columns.map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, rows.slice(0, MOST_ROWS).map((row) => el("tr", {}, cells("td", row))))));
    if (rows.length > MOST_ROWS) figures.append(el("p", { class: "hint" }, `The first ${MOST_ROWS} of ${rows.length} rows.`));
  }

  function found(event) {
    const box = board.getBoundingClientRect();
    return at(event.clientX - box.left, event.clientY - box.top);
  }

  function point(event) {
    const here = found(event);
    tip.hidden = !here;
    board.classList.toggle("pressable", Boolean(here?.choose));
    if (!here) return;
    const box = board.getBoundingClientRect();
    tip.textContent = here.text;
    const left = event.clientX - box.left;
    tip.style.setProperty("left", `${Math.max(0, Math.min(left + 12, box.width - tip.offsetWidth))}px`);
    tip.style.setProperty("top", `${event.clientY - box.top + 14}px`);
  }

  const redraw = () => schedule(paint);
  const recolour = () => { colours = null; redraw(); };
  details.addEventListener("toggle", redraw);
  if (at) {
    board.addEventListener("pointermove", point);
    board.addEventListener("pointerleave", () => { tip.hidden = true; });
    board.addEventListener("click", (event) => found(event)?.choose?.());
  }
  const sized = new ResizeObserver(redraw);
  sized.observe(frame);
  const themed = new MutationObserver(recolour);
  themed.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", recolour);
  redraw();
  return {
    redraw,
    destroy() {
      isGone = true;
      sized.disconnect();
      themed.disconnect();
      scheme.removeEventListener("change", recolour);
      frame.remove();
      details.remove();
    },
  };
}

// A property's own text is `light-dark(…)`; only a used colour says which of the two.
function read(probe) {
  const found = {};
  for (const name of COLOURS) {
    probe.style.setProperty("color", `var(--${name})`);
    found[name] = getComputedStyle(probe).color;
  }
  return found;
}
