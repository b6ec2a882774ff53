// Many images at a time: select, and one key labels them all. What is labeled stays where it is,
// with its tick, until the next ones are taken.

import { el } from "../../lib/dom.js";
import { count } from "../../lib/text.js";
import { grid } from "../../parts/grid.js";
import { imageCell } from "../../parts/image_cell.js";

const AT_ONCE = 200;

// Returns what `one` returns.
export function many({ context, desk }) {
  const { session } = context;
  const said = el("p", { class: "hint", role: "status" });
  const place = el("div", { class: "grid-place" });
  const node = el("div", { class: "many" }, said, place);
  let shown = [];
  let of = null; // the session that `shown` is of
  let open = new Set();

  const cells = grid(place, {
    label: "Images to label",
    render(cell, item) {
      const dataset = context.dataset();
      const state = desk.said(dataset, item.image)?.state;
      imageCell(cell, item, { label: desk.label(dataset, item), state, isDone: !open.has(item.image), badge: item.alike > 1 ? `×${item.alike}` : null });
    },
    onSelect: tell,
    canSelect: (item) => open.has(item.image),
    onEnd: () => { if (shown.length) context.more(AT_ONCE); },
  });

  function tell() {
    const selected = cells.selected().length;
    const left = open.size;
    said.textContent = shown.length === 0 ? "" : selected
      ? `${count(selected, "image")} selected of ${count(left, "open one")}. A category key labels them.`
      : `${count(left, "image")} to label here. Click, draw a box, or use the arrows and space to select.`;
  }

  function draw() {
    const { items } = session().state.get();
    if (of !== session()) { of = session(); shown = []; }
    const before = open;
    open = new Set(items.map((one) => one.image));
    // A page that is all done makes room for the next.
    if (!shown.some((one) => open.has(one.image))) {
      shown = items.slice();
      cells.set(shown);
      cells.top();
    } else {
      const here = new Set(shown.map((one) => one.image));
      const fresh = items.filter((one) => !here.has(one.image));
      if (fresh.length) cells.set((shown = [...shown, ...fresh]));
      for (const image of before) if (!open.has(image)) cells.update(image);
      for (const image of open) if (!before.has(image)) cells.update(image);
    }
    tell();
    if (items.length === 0) context.more(AT_ONCE);
  }

  return {
    node,
    draw,
    // Those selected; else the one where the keyboard is. What is labeled stays labeled until it is
    // selected by hand.
    meant: () => cells.meant(),
    // The next ones that are open come under the keyboard.
    after() {
      cells.select([]);
      const next = shown.findIndex((one) => open.has(one.image));
      if (next >= 0) cells.go(next);
    },
    update: (images) => images.forEach(cells.update),
    shown: cells.draw,
    focus: cells.focus,
    keys: cells.keys,
    end: cells.destroy,
  };
}
