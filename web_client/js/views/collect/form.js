// Which dataset, which category, and the place to drop things.

import { el, show } from "../../lib/dom.js";
import { state, summary } from "../../shell/state.js";

const PICTURES = "image/png,image/jpeg,image/webp,image/gif,image/bmp";

// Returns {node, zone, pickers, dataset(), category(), check(), follow()}.
export function form() {
  const name = el("input", {
    name: "dataset", required: true, maxlength: 63, autocomplete: "off", spellcheck: "false",
    pattern: "[a-z0-9][a-z0-9_\\-]*", list: "dataset-names", "aria-describedby": "dataset-hint",
  });
  const category = el("input", {
    name: "category", maxlength: 120, autocomplete: "off", list: "category-names", "aria-describedby": "category-hint",
  });
  const names = el("datalist", { id: "dataset-names" });
  const categories = el("datalist", { id: "category-names" });
  const pickFiles = el("input", { type: "file", id: "pick-files", class: "unseen", multiple: true, accept: PICTURES });
  const pickFolder = el("input", { type: "file", id: "pick-folder", class: "unseen", multiple: true, webkitdirectory: true });
  const zone = el("div", { class: "drop", id: "upload-drop" },
    el("p", {}, el("strong", {}, "Drop images or whole folders here"), el("br"),
      "PNG, JPEG, WebP, GIF or BMP; pasting works too"),
    el("div", { class: "buttons" },
      el("label", { class: "button" }, pickFiles, "Choose files"),
      el("label", { class: "button" }, pickFolder, "Choose a folder")));
  const node = el("form", { id: "upload-form" },
    el("div", { class: "fields" },
      el("label", { class: "field" }, el("span", {}, "Dataset"), name,
        el("small", { id: "dataset-hint" }, "Lower-case letters, digits, ", el("code", {}, "-"), " and ",
          el("code", {}, "_"), ". A new name makes a new dataset.")),
      el("label", { class: "field" }, el("span", {}, "Category ", el("em", {}, "for loose files")), category,
        el("small", { id: "category-hint" }, "Files in folders take the name of their folder. Empty: stored without a label."))),
    names, categories, zone);
  node.addEventListener("submit", (event) => event.preventDefault());
  let filled = "";

  return {
    node, zone, pickers: [pickFiles, pickFolder],
    dataset: () => name.value,
    category: () => category.value.trim() || null,
    // Whether what is typed will do; says at the field why not.
    check: () => node.reportValidity(),
    // The field follows the chosen dataset until somebody types another name into it.
    follow() {
      const { datasets, dataset } = state.get();
      if (name.value === "" || name.value === filled) {
        name.value = dataset ?? "my-images";
        filled = name.value;
      }
      const options = (values) => values.map((value) => el("option", { value }));
      const all = datasets.map((one) => one.name);
      show(names, all.join("/"), () => options(all));
      const mine = summary()?.categories.map((one) => one.name) ?? [];
      show(categories, mine.join("/"), () => options(mine));
    },
  };
}
