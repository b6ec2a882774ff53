// Freeze what is labeled now, and see what changed from one frozen list to another.

import { thumbnailAddress } from "../../api/images.js";
import * as api from "../../api/labels.js";
import { el, show } from "../../lib/dom.js";
import { count, moment, number, short } from "../../lib/text.js";
import { may } from "../../shell/state.js";

const MOST = 120; // changes that are shown of each kind
const KINDS = new Map([["relabeled", "Other labels"], ["added", "New"], ["removed", "Gone"]]);

export function snapshots({ say }) {
  const validation = el("input", { name: "validation", type: "number", min: "1", max: "49", value: "15", required: true });
  const test = el("input", { name: "test", type: "number", min: "0", max: "49", value: "15", required: true });
  const button = el("button", { class: "button primary", type: "submit" }, "Freeze");
  const form = el("form", { class: "freeze" },
    el("label", { class: "field" }, el("span", {}, "For validation, in %"), validation),
    el("label", { class: "field" }, el("span", {}, "For the test, in %"), test), button);
  const list = el("div", {});
  const before = el("select", { name: "before" });
  const after = el("select", { name: "after" });
  const compare = el("form", { class: "row", hidden: true },
    el("label", { class: "field" }, el("span", {}, "Compare"), before), el("label", { class: "field" }, el("span", {}, "with"), after),
    el("button", { class: "button", type: "submit" }, "Compare"));
  const found = el("div", { class: "differences", role: "status" });
  const node = el("div", { class: "columns" },
    el("div", { class: "panel" }, el("h2", {}, "Freeze"),
      el("p", { class: "hint" }, "A snapshot is a list of images with their labels that never changes; networks are trained on one. Evolve freezes by itself where it is not told which."), form),
    el("div", { class: "panel" }, el("h2", {}, "Snapshots"), list, compare), el("div", { class: "panel all", hidden: true }, found));
  let dataset = null;

  async function look() {
    const mine = dataset;
    try {
      const all = await api.snapshots(mine);
      if (mine !== dataset) return;
      show(list, JSON.stringify([mine, all]), () => (all.length ? el("ol", { class: "list" }, all.map(line)) : el("p", { class: "empty" }, "Nothing was frozen yet.")));
      for (const [select, chosen] of [[before, all[1]], [after, all[0]]]) {
        show(select, JSON.stringify([mine, all]), () => all.map((one) =>
          el("option", { value: one.id, selected: one === chosen }, `${moment(one.created)}, ${short(one.id)}, ${count(one.images, "image")}`)));
      }
      compare.hidden = all.length < 2;
    } catch (problem) {
      if (mine === dataset) show(list, problem.message, () => el("p", { class: "fault" }, problem.message));
    }
  }

  const line = ({ id, created, images, counts, categories }) => el("li", { class: "snapshot" },
    el("span", {}, el("strong", {}, moment(created)), " ", el("code", {}, short(id))),
    el("span", { class: "soft" }, `${count(images, "image")} in ${count(categories, "category", "categories")}: ${Object.entries(counts).map(([split, many]) => `${number(many)} ${split}`).join(", ")}`),
    el("a", { href: api.exportAddress(id), download: true, "aria-label": `Download ${short(id)}` }, "Download"));

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      const frozen = await api.freeze(dataset, { validation_share: Number(validation.value) / 100, test_share: Number(test.value) / 100 });
      say(`Frozen as ${short(frozen.id)}.`, { kind: "good" });
      await look();
    } catch (problem) {
      say(problem.message, { kind: "bad" });
    }
    button.disabled = false;
  });

  compare.addEventListener("submit", async (event) => {
    event.preventDefault();
    const pair = [before.value, after.value];
    found.parentElement.hidden = false;
    try {
      const [diff, ...ends] = await Promise.all([api.diff(...pair, MOST), api.snapshot(pair[0]), api.snapshot(pair[1])]);
      const names = new Map(ends.flatMap(({ categories }) => categories.map(({ id, name }) => [id, name])));
      show(found, pair.join(), () => differences(diff, names, ends));
    } catch (problem) {
      show(found, problem.message, () => el("p", { class: "fault" }, problem.message));
    }
  });

  return {
    node,
    keys: [],
    open(name) {
      if (name !== dataset) found.parentElement.hidden = true;
      dataset = name;
      form.hidden = !may("train", "evolve", "sensory:write");
      look();
    },
    update() {},
    changed() {},
  };
}

function differences(diff, names, [older, newer]) {
  const list = (categories) => categories.map(({ name }) => name).join(", ");
  const kinds = [...KINDS].filter(([kind]) => diff[kind] > 0);
  const isSame = kinds.length + diff.categories_added.length + diff.categories_removed.length === 0;
  return [
    el("h2", {}, `From ${short(older.id)} (${moment(older.created)}) to ${short(newer.id)} (${moment(newer.created)})`),
    isSame && el("p", {}, "Nothing changed."),
    diff.categories_added.length > 0 && el("p", {}, `New categories: ${list(diff.categories_added)}.`),
    diff.categories_removed.length > 0 && el("p", {}, `Categories that are gone: ${list(diff.categories_removed)}.`),
    kinds.map(([kind, title]) => {
      const changes = diff.changes.filter((one) => one.kind === kind);
      return [el("h3", {}, `${title}: ${count(diff[kind], "image")}${changes.length < diff[kind] ? `, the first ${number(changes.length)} of them` : ""}`),
        el("ul", { class: "changes" }, changes.map((one) => change(one, names)))];
    }),
  ];
}

function change({ image, before, after }, names) {
  const label = (id) => names.get(id) ?? "no label";
  const text = before !== null && after !== null ? `${label(before)} → ${label(after)}` : label(after ?? before);
  return el("li", {}, el("img", { src: thumbnailAddress(image, 64), alt: `Image ${short(image)}`, loading: "lazy", width: "64", height: "64" }), el("span", {}, text));
}
