// A question in a window of its own.

import { el } from "./dom.js";

// Returns the name of the chosen action, or null where none was (Escape). `body`: nodes or text;
// `actions`: [{name, label, kind?: "primary" | "danger"}].
export function ask({ title, body = [], actions }) {
  return new Promise((resolve) => {
    const heading = el("h2", { id: "asked-title" }, title);
    const dialog = el("dialog", { "aria-labelledby": "asked-title", class: "asked" },
      heading, el("div", { class: "stack" }, body),
      el("div", { class: "buttons end" }, actions.map(({ name, label, kind }) =>
        el("button", { class: `button ${kind ?? ""}`, type: "button", onclick: () => dialog.close(name) }, label))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue || null);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
