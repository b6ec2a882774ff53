// View: Serve.

import { classifyView } from "../../classify.js";
import { el } from "../../lib/dom.js";

export function create(section) {
  section.append(...markup());
  return classifyView(section);
}

function markup() {
  return [
    el("div", { class: "heading" },
      el("h1", {}, "Serve"),
      el("p", {}, "The champion answers. Promote another network, and it answers the next request.")),
    el("div", { class: "columns" },
      el("div", { class: "panel" },
        el("h2", {}, "Ask"),
        el("div", { id: "champion" }),
        el("div", { class: "drop", id: "classify-drop" },
          el("p", {},
            el("strong", {}, "Drop or paste pictures here"),
            el("br"),
            "They are classified, and may be kept for a while so that answers can be corrected"),
          el("div", { class: "buttons" },
            el("label", { class: "button" },
              el("input", { type: "file", id: "pick-pictures", class: "unseen", multiple: true, accept: "image/png,image/jpeg,image/webp,image/gif,image/bmp" }),
              "Choose pictures"))),
        el("div", { id: "answers", "aria-live": "polite" })),
      el("div", { class: "panel" },
        el("h2", {}, "Gallery"),
        el("div", { id: "gallery" }),
        el("p", { id: "gallery-said", class: "hint", role: "status" }))),
  ];
}
