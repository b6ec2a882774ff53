// A grid of thousands of cells of which only those in sight exist. Mouse, touch and keys select.

import { el } from "../lib/dom.js";
import { schedule } from "../lib/frame.js";
import { boxed } from "./grid_box.js";
import { selection } from "./selection.js";
import { windowOf } from "./virtual.js";

const GAP = 8;
const NARROW = 400; // pixels; a phone shows three beside each other
let grids = 0;

// `cell`: least width in pixels; `foot`: height below the square of a cell; `render(node, item)`
// fills a cell, which may have shown another item before; `onSelect(items)`, `onOpen(item)`,
// `onEnd()` when the end comes near; `canSelect(item)` says what is meant by all. Returns what moves
// it; `keys` are for the view's key map.
export function grid(place, { cell = 104, foot = 28, render, label, idOf = (item) => item.image, onSelect = () => {}, onOpen = () => {}, onEnd = () => {}, canSelect = () => true }) {
  const name = `grid-${++grids}`;
  const canvas = el("div", { class: "grid-canvas", role: "none" });
  const scroller = el("div", { class: "grid", role: "listbox", "aria-multiselectable": "true", "aria-label": label, tabindex: "0" }, canvas);
  place.append(scroller);

  const chosen = selection();
  let items = [];
  let total = null;
  let places = new Map(); // id → index
  let shown = new Map(); // index → node
  let free = [];
  let asked = -1;
  let size = { perRow: 1, width: cell, row: cell + foot + GAP };

  function measure() {
    const width = canvas.clientWidth;
    const least = width < NARROW ? Math.min(cell, width / 3 - GAP) : cell;
    const perRow = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
    const wide = (width - GAP * (perRow - 1)) / perRow;
    size = { perRow, width: wide, row: wide + foot + GAP };
  }

  function layout() {
    if (scroller.clientWidth === 0) return;
    measure();
    const { perRow, row } = size;
    const { first, last } = windowOf({ count: items.length, perRow, rowHeight: row, top: scroller.scrollTop, height: scroller.clientHeight });
    canvas.style.setProperty("height", `${Math.ceil(items.length / perRow) * row}px`);
    for (const [index, node] of shown) {
      if (index >= first && index < last) continue;
      shown.delete(index);
      free.push(node);
    }
    for (let index = first; index < last; index += 1) draw(index);
    for (const node of free.splice(0)) node.remove();
    point();
    if (last > items.length - 4 * perRow && asked !== items.length) {
      asked = items.length;
      onEnd();
    }
  }

  function draw(index) {
    let node = shown.get(index);
    if (!node) {
      node = free.pop() ?? el("div", { class: "cell", role: "option" });
      shown.set(index, node);
      if (!node.isConnected) canvas.append(node);
    }
    const { perRow, width, row } = size;
    node.id = `${name}-${index}`;
    node.style.setProperty("width", `${width}px`);
    node.style.setProperty("height", `${row - GAP}px`);
    node.style.setProperty("transform", `translate(${(index % perRow) * (width + GAP)}px, ${Math.floor(index / perRow) * row}px)`);
    node.setAttribute("aria-posinset", index + 1);
    node.setAttribute("aria-setsize", total ?? items.length);
    node.dataset.index = index;
    mark(node, index);
    render(node, items[index]);
  }

  function mark(node, index) {
    node.setAttribute("aria-selected", chosen.has(idOf(items[index])));
    node.classList.toggle("active", index === chosen.active);
  }

  function point() {
    const node = shown.get(chosen.active);
    if (node) scroller.setAttribute("aria-activedescendant", node.id);
    else scroller.removeAttribute("aria-activedescendant");
  }

  function changed() {
    for (const [index, node] of shown) mark(node, index);
    point();
    onSelect(selected());
  }

  const selected = () => chosen.selected().map((id) => items[places.get(id)]);

  function see(index) {
    if (index < 0) return;
    const top = Math.floor(index / size.perRow) * size.row;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + size.row > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = top + size.row - scroller.clientHeight;
    layout();
  }

  const move = (by, extend = false) => { chosen.move(by, { extend }); see(chosen.active); changed(); };
  const rows = () => Math.max(1, Math.floor(scroller.clientHeight / size.row) - 1);

  scroller.addEventListener("click", (event) => {
    const node = event.target.closest(".cell");
    if (!node || box.hasJustDrawn()) return;
    const isTouch = event.pointerType === "touch";
    chosen.choose(Number(node.dataset.index), { toggle: event.ctrlKey || event.metaKey || isTouch, extend: event.shiftKey });
    changed();
  });
  scroller.addEventListener("dblclick", (event) => {
    const node = event.target.closest(".cell");
    if (node) onOpen(items[Number(node.dataset.index)]);
  });
  const box = boxed(scroller, canvas, (area, adds) => {
    const before = adds ? chosen.selected() : [];
    const under = [...within(area)].map((index) => items[index]).filter(canSelect).map(idOf);
    chosen.select([...before, ...under]);
    changed();
  });

  // The indices of the cells that an area of the canvas touches.
  function* within({ left, top, right, bottom }) {
    const { perRow, width, row } = size;
    for (let line = Math.max(0, Math.floor(top / row)); line <= Math.floor(bottom / row); line += 1) {
      for (let column = 0; column < perRow; column += 1) {
        const x = column * (width + GAP);
        const index = line * perRow + column;
        if (index < items.length && x < right && x + width > left) yield index;
      }
    }
  }

  const later = () => schedule(layout);
  scroller.addEventListener("scroll", later, { passive: true });
  const watch = new ResizeObserver(later);
  watch.observe(scroller);

  const all = () => items.filter(canSelect).map(idOf);
  const isHere = () => scroller.contains(document.activeElement);
  const key = (name, text, run) => ({ key: name, label: text, run, when: isHere });
  return {
    node: scroller,
    set(next, whole = null) {
      items = next;
      total = whole;
      asked = -1;
      places = new Map(items.map((item, index) => [idOf(item), index]));
      chosen.set(items.map(idOf));
      for (const [index, node] of shown) if (index >= items.length) { shown.delete(index); node.remove(); }
      layout();
      onSelect(selected());
    },
    // Draws one again, where it is in sight.
    update(id) {
      const index = places.get(id);
      if (index !== undefined && shown.has(index)) draw(index);
    },
    selected,
    // Those selected, or the one where the keyboard is.
    meant: () => (chosen.size ? selected() : chosen.active >= 0 ? [items[chosen.active]] : []),
    select(ids) { chosen.select(ids); changed(); },
    go(index) { chosen.go(index); see(chosen.active); changed(); },
    top() { scroller.scrollTop = 0; chosen.go(0); layout(); },
    focus: () => scroller.focus({ preventScroll: true }),
    draw: layout,
    keys: [
      key("ArrowRight", "Next image", () => move(1)),
      key("ArrowLeft", "Image before", () => move(-1)),
      key("ArrowDown", "A row down", () => move(size.perRow)),
      key("ArrowUp", "A row up", () => move(-size.perRow)),
      key("PageDown", "A screen down", () => move(rows() * size.perRow)),
      key("PageUp", "A screen up", () => move(-rows() * size.perRow)),
      key("Home", "First image", () => move(-items.length)),
      key("End", "Last image", () => move(items.length)),
      key("Shift+ArrowRight", "Select on to the right", () => move(1, true)),
      key("Shift+ArrowLeft", "Select on to the left", () => move(-1, true)),
      key("Shift+ArrowDown", "Select on downwards", () => move(size.perRow, true)),
      key("Shift+ArrowUp", "Select on upwards", () => move(-size.perRow, true)),
      key(" ", "Select this image or not", () => { chosen.choose(chosen.active, { toggle: true }); changed(); }),
      { key: "Ctrl+a", label: "Select all that are shown", run: () => { chosen.select(all()); changed(); } },
      { key: "i", label: "Select the others instead", run: () => { chosen.select(all().filter((id) => !chosen.has(id))); changed(); } },
      { key: "Escape", label: "Select nothing", run: () => { chosen.clear(); changed(); } },
    ],
    destroy() { watch.disconnect(); scroller.remove(); },
  };
}
