// Builds elements. Text goes in as text, never as HTML: whatever a server or a file name says
// cannot become markup.

const SVG = "http://www.w3.org/2000/svg";

// Attributes that are null, undefined or false are left out; `onclick` and its like are listeners.
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// A horizontal bar; the share (0..1) goes through the CSSOM, which the CSP allows, and not
// through a style attribute, which it does not.
export function track(share, thick = false) {
  const bar = el("span", { hidden: !(share > 0) });
  bar.style.setProperty("--share", Math.min(1, Math.max(0, share || 0)));
  return el("div", { class: thick ? "track thick" : "track", "aria-hidden": "true" }, bar);
}

// Draws what `build()` returns into a place, unless the key says that it is shown already: a poll
// that brings no news selects no text away. What has the focus or is unfolded stays so; elements
// say who they are by `data-focus`.
const shown = new WeakMap();

export function show(place, key, build) {
  if (shown.get(place) === key && shown.has(place)) return;
  const focused = place.contains(document.activeElement) && document.activeElement.dataset.focus;
  const unfolded = [...place.querySelectorAll("details[open]")].map((one) => one.dataset.focus);
  place.replaceChildren(...[build()].flat(3).filter(Boolean));
  shown.set(place, key);
  for (const details of place.querySelectorAll("details")) {
    if (unfolded.includes(details.dataset.focus)) details.open = true;
  }
  if (focused) place.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
}

// Empties a place; what `show` remembers of it too.
export function clear(place) {
  shown.delete(place);
  place.replaceChildren();
}
