// Rename, merge and add categories.

import * as api from "../../api/labels.js";
import { ask } from "../../lib/dialog.js";
import { el, show } from "../../lib/dom.js";
import { count, number } from "../../lib/text.js";
import { may, summary } from "../../shell/state.js";

export function categories({ say, refresh }) {
  const list = el("ul", { class: "list" });
  const input = el("input", { name: "category", maxlength: "120", required: true, autocomplete: "off", spellcheck: "false" });
  const form = el("form", { class: "row" },
    el("label", { class: "field" }, el("span", {}, "New category"), input), el("button", { class: "button", type: "submit" }, "Add"));
  const node = el("div", { class: "panel" }, el("h2", {}, "Categories"), list, form);
  let dataset = null;
  let renaming = null; // the id of the category whose name is a field now

  async function act(work, done) {
    try {
      await work();
      await refresh();
      say(done, { kind: "good" });
      return true;
    } catch (problem) {
      say(problem.message, { kind: "bad" });
      return false;
    } finally {
      draw();
    }
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = input.value.trim();
    if (name && await act(() => api.addCategory(dataset, name), `${name} is there.`)) form.reset();
  });

  function draw() {
    const all = summary()?.categories ?? [];
    const isAllowed = may("label", "sensory:write");
    form.hidden = !isAllowed;
    show(list, JSON.stringify([dataset, all, renaming, isAllowed]), () => all.map((one) => el("li", { class: "category-row" },
      one.id === renaming ? renameForm(one) : [
        el("span", { class: "name" }, one.name), el("span", { class: "soft" }, count(one.images, "image")),
        isAllowed && el("button", { class: "button small", type: "button", "data-focus": `rename-${one.id}`, "aria-label": `Rename ${one.name}`, onclick: () => begin(one) }, "Rename"),
        isAllowed && all.length > 1 && el("select", { "aria-label": `Merge ${one.name} into`, onchange: (event) => merge(one, event.target, all) },
          el("option", { value: "" }, "Merge into …"), all.filter(({ id }) => id !== one.id).map(({ id, name }) => el("option", { value: id }, name))),
      ])));
  }

  function begin(one) {
    renaming = one.id;
    draw();
    const field = list.querySelector("input");
    field.focus();
    field.select();
  }

  function renameForm(one) {
    const field = el("input", { value: one.name, maxlength: "120", required: true, autocomplete: "off", "aria-label": `New name of ${one.name}` });
    const end = () => { renaming = null; draw(); };
    const save = async (event) => {
      event.preventDefault();
      const name = field.value.trim();
      if (name === one.name) { end(); return; }
      const isDone = await act(() => api.rename(dataset, one.id, name), `${one.name} is called ${name} now.`);
      if (isDone) end();
    };
    field.addEventListener("keydown", (event) => { if (event.key === "Escape") end(); });
    return el("form", { class: "row", onsubmit: save }, field,
      el("button", { class: "button small primary", type: "submit" }, "Save"), el("button", { class: "button small", type: "button", onclick: end }, "Cancel"));
  }

  async function merge(one, select, all) {
    const into = all.find(({ id }) => id === select.value);
    select.value = "";
    if (!into) return;
    const answer = await ask({
      title: `Merge ${one.name} into ${into.name}?`,
      body: `${number(one.images)} and ${number(into.images)} images become ${number(one.images + into.images)} of ${into.name}. ${one.name} is gone then: what is taken back afterwards is image by image. The history of every image keeps what it was.`,
      actions: [{ name: "no", label: "Leave them" }, { name: "merge", label: "Merge", kind: "danger" }],
    });
    if (answer === "merge") await act(() => api.merge(dataset, one.id, into.id), `${one.name} is part of ${into.name} now.`);
  }

  return {
    node,
    keys: [],
    open(name) { dataset = name; renaming = null; draw(); },
    // What somebody types into is not drawn away.
    update() { if (renaming === null) draw(); },
    changed() {},
  };
}
