// The images that a filter finds, in a grid where labels are corrected where they are seen.

import * as api from "../../api/labels.js";
import { el, show } from "../../lib/dom.js";
import { number } from "../../lib/text.js";
import { categoryKeys } from "../../parts/category_keys.js";
import { grid } from "../../parts/grid.js";
import { guess, imageCell } from "../../parts/image_cell.js";
import { may, summary } from "../../shell/state.js";
import { asked, read, sentence, write } from "./filters.js";
import { form } from "./form.js";
import { sheet } from "./sheet.js";

const PAGE = 200;
const QUICK = [
  ["All", {}], ["No label", { labeled: false }], ["Likely errors", { disagrees: true, order: "disagreement" }],
  ["Surest suggestions", { order: "confident" }],
];

// A tab of the view: {node, open(dataset, place), update(), keys}.
export function images({ desk, go, say, refresh }) {
  let dataset = null;
  let filter = {};
  let found = [];
  let cursor = null;
  let turn = 0; // of the filter: answers to an older one are not for this list
  let isAsking = false;
  let controller = null;

  const quick = el("div", { class: "quick", role: "group", "aria-label": "Often asked for" });
  const said = el("p", { class: "hint", role: "status" });
  const place = el("div", { class: "grid-place" });
  const narrow = form((wanted) => go({ view: "browse", path: [dataset], query: write(wanted) }));
  const about = sheet({ desk, say, onRemoved: removed });
  const categories = categoryKeys({ choose, add });
  const cells = grid(place, { label: "Images", render, onSelect: selected, onOpen: (item) => about.show(dataset, item), onEnd: () => { if (cursor !== null) more(); } });
  const actions = el("div", { class: "actions" },
    action("Take suggestion", "Enter", accept), action("No label", "Del", () => label(null)), action("Undo", "u", undo), action("Redo", "⇧Ctrl Z", redo));
  const tools = el("div", { class: "panel" }, categories.node, actions);
  const side = el("div", { class: "side" }, tools, about.node);
  const node = el("div", { class: "stack" }, quick, narrow.node, el("div", { class: "bench" }, el("div", { class: "panel" }, said, place), side));

  function action(text, key, run) {
    return el("button", { class: "button small", type: "button", onclick: () => { run(); } }, text, " ", el("kbd", {}, key));
  }

  function render(cell, item) {
    const name = desk.label(dataset, item);
    const opinion = guess(item);
    imageCell(cell, item, { label: name, state: desk.said(dataset, item.image)?.state, badge: opinion && name !== null && opinion.name !== name ? `${opinion.name}?` : null });
  }

  function selected(items) {
    tell();
    actions.children[0].hidden = !items.some(guess);
    if (items.length === 1) about.show(dataset, items[0]);
    else about.hide();
  }

  function tell() {
    const chosen = cells.selected().length;
    const more = cursor === null ? "" : " so far";
    said.textContent = isAsking && found.length === 0 ? "Looking …"
      : `${number(found.length)} found${more}: ${sentence(filter)}.${chosen ? ` ${number(chosen)} selected.` : ""}`;
  }

  async function more() {
    if (isAsking) return;
    const mine = turn;
    isAsking = true;
    controller = new AbortController();
    tell();
    try {
      const page = await api.browse(dataset, asked(filter), cursor, PAGE, { signal: controller.signal });
      if (mine !== turn) return;
      found = [...found, ...page.images];
      cursor = page.cursor;
      isAsking = false;
      cells.set(found);
      tell();
    } catch (problem) {
      if (mine !== turn || problem.name === "AbortError") return;
      isAsking = false;
      said.textContent = problem.message;
      if (problem.isPassing) setTimeout(() => { if (mine === turn) more(); }, 3000);
    }
  }

  function look() {
    turn += 1;
    controller?.abort();
    isAsking = false;
    found = [];
    cursor = null;
    about.hide();
    cells.set([]);
    cells.top();
    more();
  }

  function label(name, source = "person", items = cells.meant()) {
    if (items.length) desk.decide(dataset, items, name, source);
  }
  function choose(name) {
    label(name);
  }
  function accept() {
    label((item) => guess(item).name, "suggestion", cells.meant().filter(guess));
  }
  async function add(name) {
    try {
      const made = await api.addCategory(dataset, name);
      await refresh();
      choose(made.name);
    } catch (problem) {
      say(`${name} cannot be a category: ${problem.message}`, { kind: "bad" });
    }
  }
  async function undo() {
    if (await desk.undo(dataset) === null) say("Nothing to take back.");
  }
  function redo() {
    if (desk.redo(dataset) === null) say("Nothing was taken back.");
  }

  function removed(item) {
    found = found.filter((one) => one.image !== item.image);
    cells.set(found);
    refresh();
  }

  function drawQuick() {
    const now = JSON.stringify(write(filter));
    show(quick, `${dataset}/${now}`, () => QUICK.map(([text, wanted]) => el("button", {
      class: "chip", type: "button", "data-focus": text, "aria-pressed": String(JSON.stringify(write(wanted)) === now),
      onclick: () => go({ view: "browse", path: [dataset], query: write(wanted) }),
    }, text)));
  }

  return {
    node,
    keys: [
      ...categories.map.entries,
      { key: "Enter", label: "Take what the champion says", run: accept, when: () => cells.meant().some(guess) },
      { key: "Delete", label: "Take the label away", run: () => label(null) },
      { key: "u", label: "Take back what was done last", run: undo },
      { key: "Ctrl+z", label: "Take back what was done last", run: undo },
      { key: "Ctrl+Shift+z", label: "Do it again", run: redo },
      ...cells.keys,
    ],
    open(name, { query }) {
      const wanted = read(query);
      const isSame = name === dataset && JSON.stringify(wanted) === JSON.stringify(filter) && turn > 0;
      dataset = name;
      filter = wanted;
      tools.hidden = !may("label", "sensory:write");
      narrow.set(filter, summary());
      drawQuick();
      categories.set(summary()?.categories ?? []);
      if (!isSame) look();
      else cells.draw();
    },
    // Counts and categories are new.
    update() {
      categories.set(summary()?.categories ?? []);
      narrow.offer(summary());
    },
    changed(these) {
      these.forEach(cells.update);
      about.changed(these);
    },
  };
}
