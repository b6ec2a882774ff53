// View: Browse. Find images, correct their labels, and see the dataset as a whole.

import { desk as theDesk } from "../../labeling/desk.js";
import { el, show } from "../../lib/dom.js";
import { every } from "../../lib/frame.js";
import { bind, keyMap, unbind } from "../../lib/keys.js";
import { number } from "../../lib/text.js";
import { format } from "../../shell/router.js";
import { may, summary } from "../../shell/state.js";
import { conflictList, savedLine } from "../label/said.js";
import { balance } from "./balance.js";
import { categories } from "./categories.js";
import { groups } from "./groups.js";
import { images } from "./images.js";
import { snapshots } from "./snapshots.js";

const RECOUNT = 1000; // milliseconds between two looks at the counts
const TABS = [["", "Images", images], ["balance", "Balance", balance], ["categories", "Categories", categories], ["alike", "Look-alikes", groups], ["snapshots", "Snapshots", snapshots]];

// `#browse/DATASET?…` for images, `#browse/DATASET/TAB` for the others.
export function create(section, { state, go, say, refresh }) {
  const desk = theDesk();
  const tabs = new Map(TABS.map(([name, , make]) => [name, make({ desk, go, say, refresh })]));
  const links = el("div", { class: "tabs", role: "navigation", "aria-label": "Parts of the dataset" });
  const total = el("p", {});
  const empty = el("div", { class: "panel nothing", hidden: true },
    el("div", { class: "empty" }, el("strong", {}, "There is nothing to browse yet."), el("a", { href: "#collect" }, "Collect images first.")));
  const body = el("div", {}, [...tabs.values()].map(({ node }) => node));
  section.append(
    el("div", { class: "heading label-heading" }, el("div", {}, el("h1", {}, "Browse"), total), el("div", { class: "label-tools" }, savedLine(desk))),
    links, conflictList(desk), empty, body);
  let isOpen = false;
  let place = { path: [], query: new Map() };
  let bound = null; // the keys of the tab

  const dataset = () => state.get().dataset;
  const tab = () => (tabs.has(place.path[1]) ? place.path[1] : "");

  function draw() {
    const totals = summary();
    empty.hidden = totals !== null;
    body.hidden = links.hidden = totals === null;
    total.textContent = totals ? `${number(totals.images)} images in ${dataset()}, ${number(totals.labeled)} with a label.` : "";
    const now = tab();
    show(links, `${dataset()}/${now}`, () => TABS.map(([name, text]) => el("a", {
      href: format({ view: "browse", path: [dataset() ?? "", name].filter(Boolean) }),
      "aria-current": name === now ? "page" : null, "data-focus": text,
    }, text)));
  }

  function open() {
    draw();
    const now = tab();
    for (const [name, { node }] of tabs) node.hidden = name !== now;
    rebind(tabs.get(now).keys);
    if (dataset()) tabs.get(now).open(dataset(), place);
  }

  function rebind(entries) {
    if (bound) unbind(bound);
    const allowed = () => may("label", "sensory:write") && dataset() !== null;
    bound = entries && keyMap(entries.map((entry) => ({
      key: entry.key, run: entry.run, get label() { return entry.label; }, when: () => allowed() && (entry.when?.() ?? true),
    })));
    if (bound) bind(bound);
  }

  let shown = null;
  state.subscribe(() => {
    if (!isOpen) return;
    if (dataset() !== shown) {
      shown = dataset();
      // Another dataset was chosen above: the same part of that one.
      if (place.path[0] && place.path[0] !== shown && shown) go({ view: "browse", path: [shown, tab()].filter(Boolean) });
      else open();
      return;
    }
    draw();
    tabs.get(tab()).update();
  });
  const recount = every(RECOUNT, refresh);
  desk.onChange((name, these) => {
    if (name !== dataset()) return;
    tabs.get("").changed(these);
    if (isOpen && desk.state.get().waiting === 0) recount.ask();
  });

  return {
    enter(where) {
      isOpen = true;
      place = where;
      const [named] = place.path;
      if (named && named !== dataset() && state.get().datasets.some(({ name }) => name === named)) {
        shown = named;
        state.set({ dataset: named });
      }
      shown = dataset();
      open();
    },
    leave() {
      isOpen = false;
      rebind(null);
    },
  };
}
