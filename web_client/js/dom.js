// Builds elements. Text goes in as text, never as HTML: whatever a server or a file name says
// cannot become markup.

const SVG = "http://www.w3.org/2000/svg";

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
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined));
  return element;
}

// A horizontal bar; the share (0..1) goes through the CSSOM, which the CSP allows, and not
// through a style attribute, which it does not.
export function track(share, thick = false) {
  const bar = el("span", { hidden: !(share > 0) });
  bar.style.setProperty("--share", Math.min(1, Math.max(0, share || 0)));
  return el("div", { class: thick ? "track thick" : "track", "aria-hidden": "true" }, bar);
}

// Draws `build(value)` into a container, unless the value is what it already shows: a poll that
// brings no news selects no text away. What has the focus or is unfolded stays so; elements say
// who they are by `data-focus`.
const shown = new WeakMap();

export function show(container, value, build) {
  const key = JSON.stringify(value);
  if (shown.get(container) === key) return;
  const focused = container.contains(document.activeElement) && document.activeElement.dataset.focus;
  const unfolded = [...container.querySelectorAll("details[open]")].map((one) => one.dataset.focus);
  container.replaceChildren(...[build(value)].flat(3).filter(Boolean));
  shown.set(container, key);
  for (const details of container.querySelectorAll("details")) {
    details.open = unfolded.includes(details.dataset.focus);
  }
  if (focused) container.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
}
