// View: Label. One image at a time or a grid, the same keys in both.

import * as api from "../../api/labels.js";
import { desk as theDesk } from "../../labeling/desk.js";
import { supply } from "../../labeling/supply.js";
import { el, show } from "../../lib/dom.js";
import { every, schedule } from "../../lib/frame.js";
import { keyMap } from "../../lib/keys.js";
import { count, number } from "../../lib/text.js";
import { categoryKeys } from "../../parts/category_keys.js";
import { guess } from "../../parts/image_cell.js";
import { format } from "../../shell/router.js";
import { may, summary } from "../../shell/state.js";
import { many } from "./many.js";
import { one } from "./one.js";
import { conflictList, savedLine } from "./said.js";
import { session } from "./session.js";

const AT_ONCE = 40;
const GROUP = 1000; // images that look alike and are labeled at once
const RECOUNT = 1000; // milliseconds between two looks at the counts

const mayLabel = () => may("label", "sensory:write");

// `#label`, `#label/DATASET`, `?grid=1`.
export function create(section, { state, go, say, refresh }) {
  const desk = theDesk();
  let work = null; // the session of a dataset
  let dataset = null;
  let isGrid = false;
  let isOpen = false;

  const context = {
    session: () => work,
    dataset: () => dataset,
    more(limit = AT_ONCE) {
      const { items, isAsking, isEmpty, problem } = work.state.get();
      // The queue has nothing else to give before it knows of those.
      const isEarly = items.length === 0 && desk.state.get().waiting > 0;
      if (!isAsking && !isEmpty && !problem && !isEarly) work.more(limit);
    },
  };
  const single = one({ context, desk });
  const several = many({ context, desk });
  const shown = () => (isGrid ? several : single);

  const left = el("p", { id: "label-left" });
  const modes = el("div", { class: "modes", role: "group", "aria-label": "How many at a time" },
    el("button", { class: "button small", type: "button", onclick: () => turn(false) }, "One by one"),
    el("button", { class: "button small", type: "button", onclick: () => turn(true) }, "Grid"));
  const nothing = el("div", { class: "empty" });
  const empty = el("div", { class: "panel nothing", hidden: true, role: "status" }, nothing);
  const categories = categoryKeys({ choose, add });
  const actions = el("div", { class: "actions" },
    action("Take suggestion", "Enter", accept), action("Skip", "s", skip), action("Undo", "u", undo), action("Redo", "Ctrl+Shift+z", redo));
  const bench = el("div", { class: "bench" },
    el("div", { class: "panel" }, single.node, several.node),
    el("div", { class: "side" }, el("div", { class: "panel" }, categories.node, actions), conflictList(desk)));
  section.append(
    el("div", { class: "heading label-heading" }, el("div", {}, el("h1", {}, "Label"), left), el("div", { class: "label-tools" }, savedLine(desk), modes)),
    empty, bench);

  function action(text, key, run) {
    return el("button", { class: "button small", type: "button", "data-focus": text, onclick: () => { run(); } }, text, " ", el("kbd", {}, key === "Ctrl+Shift+z" ? "⇧Ctrl Z" : key));
  }

  function choose(name) {
    const items = shown().meant();
    if (!items.length) return;
    const suggested = !isGrid && guess(items[0])?.name === name;
    settle(() => work.decide(items, name, suggested ? "suggestion" : "person"));
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

  // Each its own; those that nothing was said about stay.
  function accept() {
    const items = shown().meant().filter((item) => guess(item));
    if (items.length) settle(() => work.decide(items, (item) => guess(item).name, "suggestion"));
  }

  function skip() {
    const items = shown().meant();
    if (items.length) settle(() => work.skip(items));
  }

  function settle(act) {
    act();
    draw();
    shown().after?.();
  }

  async function undo() {
    if (await work.undo().catch(told) === null) say("Nothing to take back.");
  }
  async function redo() {
    if (await work.redo().catch(told) === null) say("Nothing was taken back.");
  }
  function showGroup() {
    go({ view: "browse", path: [dataset], query: { group: shown().meant()[0].group } });
  }
  const told = (problem) => { say(problem.message, { kind: "bad" }); };

  function turn(grid) {
    go({ view: "label", path: [dataset], query: { grid: grid ? 1 : null } }, { replace: true });
  }

  function draw() {
    if (!isOpen) return;
    bench.hidden = !work || !mayLabel();
    if (bench.hidden) {
      left.textContent = "";
      empty.hidden = false;
      show(nothing, `none/${mayLabel()}`, () => (mayLabel()
        ? [el("strong", {}, "There is nothing to label yet."), el("a", { href: "#collect" }, "Collect images first.")]
        : [el("strong", {}, "This key may not label."), el("span", {}, "Ask for one with the scope ", el("code", {}, "label"), ".")]));
      return;
    }
    const { items, isAsking, isEmpty, problem } = work.state.get();
    const totals = summary();
    single.node.hidden = isGrid;
    several.node.hidden = !isGrid;
    [...modes.children].forEach((button, index) => button.setAttribute("aria-pressed", String(isGrid === (index === 1))));
    left.textContent = totals ? `${number(totals.images - totals.labeled)} of ${number(totals.images)} images of ${dataset} have no label.` : "";
    shown().draw();
    categories.set(totals?.categories ?? []);
    const isDone = items.length === 0 && !isAsking && (isEmpty || problem !== null);
    empty.hidden = !isDone;
    bench.classList.toggle("idle", isDone);
    show(nothing, `${isDone}/${problem}/${work.skipped()}/${totals?.images}/${totals?.labeled}/${desk.state.get().waiting}/${isCounted()}`, () => isDone ? why(problem) : []);
    actions.children[0].hidden = !shown().meant().some(guess);
  }

  function why(problem) {
    if (problem) return [el("strong", {}, "The images cannot be had now."), el("span", {}, problem, " Trying again.")];
    const skipped = work.skipped();
    if (skipped) {
      return [el("strong", {}, "Only what was skipped is left."),
        el("button", { class: "button small", type: "button", onclick: () => { work.again(); draw(); } }, `Show the skipped ones again (${skipped})`)];
    }
    const totals = summary();
    const unlabeled = totals ? totals.images - totals.labeled : 0;
    if (unlabeled > 0 && desk.state.get().waiting === 0 && isCounted()) {
      return [el("strong", {}, `${count(unlabeled, "image")} without a label ${unlabeled === 1 ? "is" : "are"} left.`),
        el("span", {}, "Somebody else has them at the moment, or they were skipped. "),
        el("div", { class: "row" },
          el("button", { class: "button small", type: "button", onclick: () => { work.state.set({ isEmpty: false }); context.more(); } }, "Look again"),
          el("a", { href: format({ view: "browse", path: [dataset], query: { labeled: 0 } }) }, "See them all."))];
    }
    return [el("strong", {}, "Every image here has a label."),
      el("span", {}, "More come in by ", el("a", { href: "#collect" }, "Collect"), "; ", el("a", { href: "#evolve" }, "Evolve"), " learns from these.")];
  }

  function open(name) {
    if (name === dataset && work) return;
    work?.end();
    dataset = name;
    work = name ? session({
      dataset: name, desk, supply: supply({ queue: api.queue, dataset: name, me: desk.me }),
      alike: async ({ group }) => (await api.browse(name, { group, labeled: false }, null, GROUP)).images,
      // Without it they come again after a reload: nothing to tell of.
      onSkip: async (images) => api.skip(name, await desk.me, images).catch(() => {}),
    }) : null;
    work?.state.subscribe(() => schedule(draw));
    if (work && mayLabel()) context.more();
  }

  // New images came, or labels went: what was empty may not be any more.
  function look() {
    if (!isOpen) return;
    const { dataset: chosen } = state.get();
    if (chosen !== dataset) {
      open(chosen);
    } else if (work && !work.skipped()) {
      const totals = summary();
      if (work.state.get().items.length === 0 && totals && totals.images > totals.labeled) work.state.set({ isEmpty: false });
    }
    draw();
  }
  state.subscribe(look);
  // The counts are older than what was saved last until they were asked for again.
  let isOld = false;
  const isCounted = () => !isOld;
  const recount = every(RECOUNT, async () => {
    await refresh();
    isOld = false;
    schedule(draw);
  });
  desk.onChange((name, images) => {
    if (name !== dataset) return;
    isOld = true;
    if (desk.state.get().waiting === 0) recount.ask();
    for (const image of images) {
      const said = desk.said(name, image);
      if (said?.state === "refused") say(`Not saved: ${said.detail}`, { kind: "bad" });
    }
    several.update(images);
    schedule(draw);
  });

  desk.state.subscribe(() => schedule(draw), ({ waiting }) => waiting === 0);

    const keys = keyMap([
    ...categories.map.entries,
    { key: "Enter", label: "Take what the champion says", run: accept, when: () => shown().meant().some(guess) },
    { key: " ", label: "Take what the champion says", run: accept, when: () => !isGrid && shown().meant().some(guess) },
    { key: "s", label: "Skip", run: skip },
    { key: "u", label: "Take back what was done last", run: undo },
    { key: "Ctrl+z", label: "Take back what was done last", run: undo },
    { key: "Ctrl+Shift+z", label: "Do it again", run: redo },
    { key: "o", label: "Show those that look like it", run: showGroup, when: () => (shown().meant()[0]?.alike ?? 1) > 1 },
    { key: "g", label: "One by one or grid", run: () => turn(!isGrid) },
    ...single.keys.map((entry) => ({ ...entry, when: () => !isGrid })),
    ...several.keys.map((entry) => ({ ...entry, when: () => isGrid && (entry.when?.() ?? true) })),
  ]);
  // Without a dataset, or a key that may label, there is nothing to do.
  for (const entry of keys.entries) {
    const { when } = entry;
    entry.when = () => work !== null && mayLabel() && (when?.() ?? true);
  }

  return {
    keys,
    enter({ path, query }) {
      isOpen = true;
      isGrid = query.has("grid");
      if (path[0] && path[0] !== state.get().dataset && state.get().datasets.some(({ name }) => name === path[0])) state.set({ dataset: path[0] });
      open(state.get().dataset);
      work?.state.set({ isEmpty: false });
      draw();
      if (isGrid) { several.shown(); several.focus(); }
    },
    leave() { isOpen = false; },
  };
}
