// View: put labeled images in, and see what is there.

import { el, show, track } from "../../lib/dom.js";
import { count, number } from "../../lib/text.js";
import { dropZone, onPaste } from "../../parts/drop_zone.js";
import { choose, state, summary } from "../../shell/state.js";
import { engine } from "../../upload/engine.js";
import { fromDrop, fromFiles } from "../../upload/walker.js";
import { capture } from "./capture.js";
import { form } from "./form.js";
import { progress } from "./progress.js";
import { refusedList } from "./refused.js";
import { tour } from "./tour.js";

export function create(section, context) {
  const uploads = engine();
  const fields = form();
  const camera = capture(fields, context);
  const first = tour(context);
  const counts = el("div");
  section.append(
    el("div", { class: "heading" }, el("h1", {}, "Collect"),
      el("p", {}, "Labeled images in. A picture is safe on disk as soon as it is counted here.")),
    first.node,
    el("div", { class: "columns" },
      el("div", { class: "panel" }, el("h2", {}, "Add images"), fields.node, camera.node,
        progress(uploads), refusedList(uploads)),
      el("div", { class: "panel", id: "dataset-counts" }, counts)));

  // Must be called in the event itself; the walk begins at once.
  async function take(files) {
    if (!fields.check()) return;
    const dataset = fields.dataset();
    for (const old of uploads.state.get().drops) if (old.lost && old.dataset === dataset) uploads.forget(old.id);
    const total = await uploads.add(dataset, files, { category: fields.category() });
    if (total === 0) context.say("There were no files in what you chose.");
  }

  dropZone(fields.zone, (transfer) => take(fromDrop(transfer)));
  onPaste(section, (files) => take(fromFiles([...files])));
  for (const input of fields.pickers) {
    input.addEventListener("change", () => {
      // The list empties with the choice, which is taken back so that it can be made again.
      const files = [...input.files];
      input.value = "";
      take(fromFiles(files));
    });
  }
  followUploads(uploads, context);
  const draw = () => { fields.follow(); showCounts(counts); };
  state.subscribe(draw);
  draw();
  return {
    enter: () => first.enter(),
    leave: () => { camera.leave(); first.leave(); },
    keys: camera.keys,
  };
}

// Counts are asked for while something arrives; what was filled is what the page is about.
function followUploads(uploads, context) {
  const done = new Set();
  uploads.state.subscribe(async ({ drops }) => {
    const news = drops.filter((drop) => drop.state === "done" && !done.has(drop.id));
    for (const drop of news) done.add(drop.id);
    if (news.length === 0) return;
    await context.refresh();
    const filled = [...news].reverse().find((drop) => drop.counts.stored + drop.counts.known + drop.counts.relabeled > 0);
    if (filled) choose(filled.dataset);
  });
}

function showCounts(place) {
  const found = summary();
  show(place, JSON.stringify(found), () => {
    if (!found) return [el("h2", {}, "What is there"), emptyHint()];
    const most = Math.max(1, ...found.categories.map((one) => one.images));
    return [
      el("div", { class: "title-line" }, el("h2", {}, found.name),
        el("span", { class: "badge on" }, count(found.images, "image"))),
      el("ul", { class: "bars" }, found.categories.map((one) => el("li", {},
        el("span", {}, one.name), track(one.images / most),
        el("span", { class: "value" }, number(one.images))))),
      el("p", { class: "hint" }, advice(found)),
    ];
  });
}

function advice(found) {
  const unlabeled = found.images - found.labeled;
  const labeled = found.categories.filter((one) => one.images > 0).length;
  const loose = unlabeled ? `${count(unlabeled, "image")} without a label. ` : "";
  if (labeled < 2) return `${loose}At least two categories with images are needed before a network can be bred.`;
  return [loose, el("a", { href: "#evolve" }, "Evolve a network for these"), "."];
}

function emptyHint() {
  return el("div", { class: "empty" }, el("strong", {}, "No images yet."),
    "Drop a folder that holds one folder per category, or run ", el("code", {}, "dicebox demo"),
    " to see the whole way with 1,797 scanned digits.");
}
