// A sentence that comes and goes at the foot of the page.

import { el } from "./dom.js";

const SECONDS = { plain: 5, good: 5, bad: 12 };
const MOST = 4;

// `kind`: plain, good or bad; `action`: {label, run} of a button beside the text.
export function say(text, { kind = "plain", action = null } = {}) {
  const place = document.getElementById("toasts");
  const close = () => toast.remove();
  const toast = el("div", { class: `toast ${kind}` }, el("span", {}, text),
    action && el("button", { class: "button small", type: "button", onclick: () => { close(); action.run(); } }, action.label),
    el("button", { class: "close", type: "button", "aria-label": "Close", onclick: close }, "×"));
  place.append(toast);
  while (place.children.length > MOST) place.firstElementChild.remove();
  const seconds = action ? 2 * SECONDS[kind] : SECONDS[kind];
  setTimeout(close, 1000 * seconds);
}
