// Selecting by drawing a box with the mouse. A finger scrolls instead.

import { el } from "../lib/dom.js";

const LEAST = 6; // pixels; less is a click

// `take(area, adds)` gets the area in pixels of the canvas while the box is drawn.
export function boxed(scroller, canvas, take) {
  let from = null;
  let drawn = null;
  let justDrawn = false;

  const at = (event) => {
    const frame = canvas.getBoundingClientRect();
    return { x: event.clientX - frame.left, y: event.clientY - frame.top };
  };

  scroller.addEventListener("pointerdown", (event) => {
    justDrawn = false;
    if (event.button !== 0 || event.pointerType === "touch" || event.target === scroller && event.offsetX > scroller.clientWidth) return;
    from = at(event);
  });
  scroller.addEventListener("pointermove", (event) => {
    if (!from) return;
    const to = at(event);
    if (!drawn && Math.hypot(to.x - from.x, to.y - from.y) < LEAST) return;
    if (!drawn) {
      drawn = el("div", { class: "box", "aria-hidden": "true" });
      canvas.append(drawn);
      scroller.setPointerCapture(event.pointerId);
    }
    const area = { left: Math.min(from.x, to.x), top: Math.min(from.y, to.y), right: Math.max(from.x, to.x), bottom: Math.max(from.y, to.y) };
    drawn.style.setProperty("width", `${area.right - area.left}px`);
    drawn.style.setProperty("height", `${area.bottom - area.top}px`);
    drawn.style.setProperty("transform", `translate(${area.left}px, ${area.top}px)`);
    take(area, event.ctrlKey || event.metaKey || event.shiftKey);
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    scroller.addEventListener(kind, () => {
      justDrawn = drawn !== null;
      drawn?.remove();
      from = drawn = null;
    });
  }
  scroller.addEventListener("dragstart", (event) => event.preventDefault());
  // The click that ends a box is none.
  return { hasJustDrawn: () => justDrawn };
}
