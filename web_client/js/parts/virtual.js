// Long lists of which only what is seen exists.

import { el } from "../lib/dom.js";
import { schedule } from "../lib/frame.js";

// Which of `count` items are seen, `perRow` in rows of one height, and the space that stands for the
// rows before and after: {first, last (not included), before, after} in items and pixels.
export function windowOf({ count, perRow = 1, rowHeight, top, height, overscan = 2 }) {
  const rows = Math.ceil(count / perRow);
  const within = (row, least) => Math.min(rows, Math.max(least, row));
  const from = within(Math.floor(top / rowHeight) - overscan, 0);
  const to = within(Math.ceil((top + height) / rowHeight) + overscan, from);
  return {
    first: Math.min(count, from * perRow),
    last: Math.min(count, to * perRow),
    before: from * rowHeight,
    after: (rows - to) * rowHeight,
  };
}

// A list of lines of one height in a place that scrolls; `render(item, index)` makes a line.
export function list(place, { rowHeight, render }) {
  let items = [];
  const lines = el("ul", { class: "lines" });
  place.replaceChildren(lines);
  const draw = () => {
    const { first, last, before, after } = windowOf({
      count: items.length, rowHeight, top: place.scrollTop, height: place.clientHeight });
    lines.style.setProperty("padding-top", `${before}px`);
    lines.style.setProperty("padding-bottom", `${after}px`);
    lines.replaceChildren(...items.slice(first, last).map((item, index) => render(item, first + index)));
  };
  const later = () => schedule(draw);
  place.addEventListener("scroll", later, { passive: true });
  const watch = new ResizeObserver(later);
  watch.observe(place);
  return {
    set(next) { items = next; later(); },
    destroy() { watch.disconnect(); place.removeEventListener("scroll", later); lines.remove(); },
  };
}
