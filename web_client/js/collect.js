// View: put labeled images in, and see what is there.

import { sensory } from "./api.js";
import { choose, dataset, datasets, onDataset, summary } from "./dataset.js";
import { el, show, track } from "./dom.js";
import { dropZone, onPaste } from "./drop_zone.js";
import { fromDrop, fromPicker } from "./folders.js";
import { count, number } from "./text.js";
import { uploadAll } from "./upload.js";

const REFUSED_SHOWN = 200;

export function collectView(section, refresh) {
  const form = section.querySelector("#upload-form");
  let abort = null;

  async function take(found) {
    if (abort) return say(section, "Wait for the files on their way, or stop them first.");
    if (!form.reportValidity()) return undefined;
    const items = await found;
    const category = form.elements.category.value.trim() || null;
    const named = items.map((item) => ({ ...item, category: item.category ?? category }));
    if (named.length === 0) return say(section, "There were no files in what you chose.");
    return send(named, form.elements.dataset.value);
  }

  async function send(items, name) {
    abort = new AbortController();
    const report = (state) => showProgress(section, state, abort);
    report({ total: items.length, stored: 0, refused: [] });
    const one = (batch, signal) => sensory.upload(
      name, batch.map(({ file }) => file),
      { category: batch[0].category, split: batch[0].split, signal },
    );
    const state = await uploadAll(items, one, report, abort.signal);
    abort = null;
    showResult(section, state);
    await refresh.now();
    if (state.stored) choose(name);
  }

  dropZone(section.querySelector("#upload-drop"), (transfer) => take(fromDrop(transfer)));
  onPaste(section, (files) => take(fromPicker(files)));
  for (const id of ["#pick-files", "#pick-folder"]) {
    const input = section.querySelector(id);
    input.addEventListener("change", () => {
      const found = fromPicker(input.files);
      input.value = "";  // so that the same choice again is a change again
      take(found);
    });
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  onDataset(() => { fillForm(section, form); showCounts(section); });
  fillForm(section, form);
  showCounts(section);
  return {};
}

// The field follows the chosen dataset until somebody types another name into it.
function fillForm(section, form) {
  const field = form.elements.dataset;
  if (field.value === "" || field.value === field.dataset.filled) {
    field.value = dataset() ?? "my-images";
    field.dataset.filled = field.value;
  }
  const options = (names) => names.map((name) => el("option", { value: name }));
  show(section.querySelector("#dataset-names"), datasets().map((one) => one.name), options);
  const categories = summary()?.categories.map((one) => one.name) ?? [];
  show(section.querySelector("#category-names"), categories, options);
}

function showCounts(section) {
  show(section.querySelector("#dataset-counts"), summary(), (found) => {
    if (!found) return [el("h2", {}, "What is there"), emptyHint()];
    const most = Math.max(1, ...found.categories.map((one) => one.images));
    const unlabeled = found.images - found.labeled;
    return [
      el("div", { class: "title-line" }, el("h2", {}, found.name),
        el("span", { class: "badge on" }, count(found.images, "image"))),
      el("ul", { class: "bars" }, found.categories.map((one) => el("li", {},
        el("span", {}, one.name), track(one.images / most),
        el("span", { class: "value" }, number(one.images))))),
      el("p", { class: "hint" }, advice(found, unlabeled)),
    ];
  });
}

function advice(found, unlabeled) {
  const labeled = found.categories.filter((one) => one.images > 0).length;
  if (labeled < 2) return "At least two categories with images are needed before a network can be bred.";
  const loose = unlabeled ? `${count(unlabeled, "image")} without a label. ` : "";
  return [loose, el("a", { href: "#evolve" }, "Evolve a network for these"), "."];
}

function emptyHint() {
  return el("div", { class: "empty" }, el("strong", {}, "No images yet."),
    "Drop a folder that holds one folder per category, or run ", el("code", {}, "dicebox demo"),
    " to see the whole way with 1,797 scanned digits.");
}

function say(section, text) {
  section.querySelector("#upload-state").replaceChildren(el("p", { class: "uploading hint" }, text));
}

function showProgress(section, state, abort) {
  const done = state.stored + state.refused.length;
  section.querySelector("#upload-state").replaceChildren(el("div", { class: "uploading" },
    el("div", { class: "title-line" },
      el("span", {}, `${number(done)} of ${count(state.total, "file")}`),
      el("button", { class: "button small", type: "button", onclick: () => abort.abort() }, "Stop")),
    track(done / state.total, true)));
  showRefused(section, state.refused);
}

function showResult(section, state) {
  const facts = [
    `${count(state.stored, "image")} stored`,
    state.duplicates ? `${number(state.duplicates)} of them known already` : "",
    state.relabeled ? `${number(state.relabeled)} with a new label` : "",
    state.stopped ? "stopped before the end; sending the rest again is safe" : "",
  ].filter(Boolean);
  say(section, `${facts.join(", ")}.`);
  showRefused(section, state.refused);
}

function showRefused(section, refused) {
  show(section.querySelector("#upload-refused"), refused.slice(0, REFUSED_SHOWN), (some) =>
    some.length === 0 ? [] : el("div", { class: "refused" },
      el("h3", {}, `${count(refused.length, "file")} refused`),
      el("ul", {}, some.map((one) => el("li", {}, el("strong", {}, one.file), ` – ${one.detail}`)))));
}
