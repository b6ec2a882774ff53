// View: Collect.

import { collectView } from "../../collect.js";
import { el } from "../../lib/dom.js";

export function create(section, context) {
  section.append(...markup());
  return collectView(section, { now: context.refresh });
}

function markup() {
  return [
    el("div", { class: "heading" },
      el("h1", {}, "Collect"),
      el("p", {}, "Labeled images in. A picture is safe on disk as soon as it is counted here.")),
    el("div", { class: "columns" },
      el("div", { class: "panel" },
        el("h2", {}, "Add images"),
        el("form", { id: "upload-form" },
          el("div", { class: "fields" },
            el("label", { class: "field" },
              el("span", {}, "Dataset"),
              el("input", { name: "dataset", required: true, maxlength: "63", autocomplete: "off", spellcheck: "false", pattern: "[a-z0-9][a-z0-9_\\-]*", list: "dataset-names", "aria-describedby": "dataset-hint" }),
              el("small", { id: "dataset-hint" },
                "Lower-case letters, digits, ",
                el("code", {}, "-"),
                " and ",
                el("code", {}, "_"),
                ". A new name makes a new dataset.")),
            el("label", { class: "field" },
              el("span", {}, "Category ", el("em", {}, "for loose files")),
              el("input", { name: "category", maxlength: "120", autocomplete: "off", list: "category-names", "aria-describedby": "category-hint" }),
              el("small", { id: "category-hint" },
                "Files in folders take the name of their folder. Empty: stored without a label."))),
          el("datalist", { id: "dataset-names" }),
          el("datalist", { id: "category-names" }),
          el("div", { class: "drop", id: "upload-drop" },
            el("p", {},
              el("strong", {}, "Drop images or whole folders here"),
              el("br"),
              "PNG, JPEG, WebP, GIF or BMP; pasting works too"),
            el("div", { class: "buttons" },
              el("label", { class: "button" },
                el("input", { type: "file", id: "pick-files", class: "unseen", multiple: true, accept: "image/png,image/jpeg,image/webp,image/gif,image/bmp" }),
                "Choose files"),
              el("label", { class: "button" },
                el("input", { type: "file", id: "pick-folder", class: "unseen", multiple: true, webkitdirectory: true }),
                "Choose a folder")))),
        el("div", { id: "upload-state", "aria-live": "polite" }),
        el("div", { id: "upload-refused" })),
      el("div", { class: "panel" }, el("div", { id: "dataset-counts" }))),
  ];
}
