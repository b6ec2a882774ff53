// The categories as buttons with a key each; a field finds one of many, or adds one.

import { el, show } from "../lib/dom.js";
import { keyMap } from "../lib/keys.js";
import { number } from "../lib/text.js";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0"];

// `choose(name)` for one that is there, `add(name)` for one that is not. Returns {node, map, set};
// categories are {id, name, images?}.
export function categoryKeys({ categories = [], choose, add }) {
  let all = categories;
  const buttons = el("ol", { class: "category-list" });
  const input = el("input", { autocomplete: "off", spellcheck: "false", maxlength: "120", enterkeyhint: "done" });
  const extra = el("button", { class: "button small", type: "button", hidden: true, onclick: () => addTyped() });
  const field = el("div", { class: "category-find" },
    el("label", { class: "field" }, el("span", {}, "Find or add a category"), input), extra);
  const node = el("div", { class: "category-keys", role: "group", "aria-label": "Categories" }, buttons, field);

  const typed = () => input.value.trim();
  const exact = () => all.find(({ name }) => name === typed());
  const matching = () => all.filter(({ name }) => name.toLowerCase().includes(typed().toLowerCase()));

  function draw() {
    const found = typed() ? matching() : all;
    extra.hidden = !typed() || exact() !== undefined;
    extra.textContent = `Add “${typed()}”`;
    show(buttons, JSON.stringify([all.map(({ id }) => id), found.map(({ id, name, images }) => [id, name, images])]), () => found.map(button));
  }

  function button({ id, name, images }) {
    const key = KEYS[all.findIndex((one) => one.id === id)];
    return el("li", {},
      el("button", { class: "category", type: "button", "data-focus": `category-${id}`, onclick: () => choose(name) },
        key ? el("kbd", {}, key) : null, el("span", {}, name), images === undefined ? null : el("small", {}, number(images))));
  }

  function leave() {
    input.value = "";
    input.blur();
    draw();
  }

  function addTyped() {
    const name = typed();
    leave();
    add(name);
  }

  input.addEventListener("input", draw);
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Escape") { event.preventDefault(); leave(); }
    if (event.key !== "Enter" || !typed()) return;
    event.preventDefault();
    const found = exact() ?? matching()[0];
    if (found && !event.ctrlKey) { leave(); choose(found.name); } else addTyped();
  });

  const entries = [
    ...KEYS.map((key, index) => ({
      key,
      get label() { return `Label: ${all[index]?.name}`; },
      run: () => choose(all[index].name),
      when: () => all.length > index,
    })),
    { key: "n", label: "Find or add a category; Enter takes the first that fits", run: () => { input.focus(); input.scrollIntoView({ block: "nearest" }); } },
  ];
  draw();
  return { node, map: keyMap(entries), set(next) { all = next; draw(); } };
}
