// The frame around the views: which is shown, each made when it is first opened.

import { address } from "../api/http.js";
import { clear, el, svg } from "../lib/dom.js";
import { bind, unbind } from "../lib/keys.js";
import { go, parse } from "./router.js";
import { VIEWS } from "./views.js";

const PIPS = { left: 9, middle: 16, right: 23 };
const FACES = [
  [], ["middle middle"], ["left left", "right right"], ["left left", "middle middle", "right right"],
  ["left left", "left right", "right left", "right right"],
  ["left left", "left right", "middle middle", "right left", "right right"],
  ["left left", "left middle", "left right", "right left", "right middle", "right right"],
];

// Fills the navigation and follows the address. `context` goes to every view.
export function frame(nav, main, context) {
  const made = new Map(); // name → Promise<{section, view}>
  let shown = null; // {name, section, view}
  let turn = 0;

  nav.append(...VIEWS.map(({ name, title, pips }) =>
    el("a", { href: `#${name}` }, face(pips), el("span", {}, title))));

  async function navigate() {
    const place = parse(location.hash);
    const entry = VIEWS.find(({ name }) => name === place.view);
    if (!entry) {
      // An anchor, or a view of another version: whatever is shown stays.
      if (shown === null) go({ view: VIEWS[0].name }, { replace: true });
      return;
    }
    const mine = ++turn;
    mark(entry);
    const before = shown;
    // One that could not be loaded is made anew.
    if (before && (before.name !== entry.name || !made.has(entry.name))) leave(before);
    if (!made.has(entry.name)) made.set(entry.name, make(entry));
    const { section, view } = await made.get(entry.name);
    if (mine !== turn) return;
    const isOther = shown?.name !== entry.name;
    shown = { name: entry.name, section, view };
    section.hidden = false;
    if (isOther) {
      if (view.keys) bind(view.keys);
      // Not where the page begins: whoever opens it starts at its top.
      if (mine > 1) focus(section);
    }
    view.enter?.(place);
  }

  function leave({ section, view }) {
    shown = null;
    section.hidden = true;
    if (view.keys) unbind(view.keys);
    view.leave?.();
  }

  function mark({ name, title }) {
    for (const link of nav.querySelectorAll("a")) {
      if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = `${title} · Dicebox`;
  }

  async function make(entry) {
    const section = el("section", { id: `view-${entry.name}`, "aria-label": entry.title, hidden: true });
    main.append(section);
    try {
      const [module] = await Promise.all([entry.load(), ...entry.styles.map(style)]);
      return { section, view: module.create(section, context) };
    } catch (error) {
      console.error(error);
      made.delete(entry.name);
      clear(section);
      section.append(...unavailable(entry, error, () => { section.remove(); navigate(); }));
      return { section, view: { leave: () => section.remove() } };
    }
  }

  // The way past the navigation is no place of its own.
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  addEventListener("hashchange", navigate);
  navigate();
}

// Whoever uses a screen reader or the keyboard is taken to the heading of the view.
function focus(section) {
  const heading = section.querySelector("h1");
  if (!heading) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  scrollTo(0, 0);
}

function unavailable({ title }, error, again) {
  return [
    el("div", { class: "heading" }, el("h1", {}, title)),
    el("div", { class: "panel stack" },
      el("p", { class: "fault" }, "This view could not be loaded."), el("p", { class: "hint" }, String(error?.message ?? error)),
      el("button", { class: "button", type: "button", onclick: again }, "Try again")),
  ];
}

// Loads a file of css/ once.
function style(name) {
  const href = address(`css/${name}.css`);
  if (document.querySelector(`link[href="${href}"]`)) return null;
  return new Promise((resolve, reject) => {
    const link = el("link", { rel: "stylesheet", href });
    link.addEventListener("load", resolve);
    link.addEventListener("error", () => { link.remove(); reject(new Error(`css/${name}.css could not be loaded.`)); });
    document.head.append(link);
  });
}

function face(pips) {
  return svg("svg", { class: "face", viewBox: "0 0 32 32", "aria-hidden": "true" }, FACES[pips].map((one) => {
    const [x, y] = one.split(" ");
    return svg("circle", { cx: PIPS[x], cy: PIPS[y], r: pips < 4 ? 4 : 3.2 });
  }));
}
