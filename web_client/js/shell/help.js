// What the keys do, made of the key maps that are in force.

import { ask } from "../lib/dialog.js";
import { el } from "../lib/dom.js";
import { active, bind, isEnabled, keyMap, setEnabled } from "../lib/keys.js";
import { remember, remembered } from "./state.js";

const KEY = "dicebox.keys";

export function help(button) {
  setEnabled(remembered(KEY) !== "off");
  bind(keyMap([{ key: "?", label: "Show this help", run: openHelp }]));
  button.addEventListener("click", openHelp);
}

async function openHelp() {
  if (document.querySelector("dialog[open]")) return;
  const single = el("input", { type: "checkbox", checked: isEnabled() });
  single.addEventListener("change", () => {
    setEnabled(single.checked);
    remember(KEY, single.checked ? "on" : "off");
  });
  const rows = active().map(({ key, label }) =>
    el("div", { class: "key-row" }, el("dt", {}, ...spelled(key)), el("dd", {}, label)));
  await ask({
    title: "Keys",
    body: [
      el("dl", { class: "key-list" }, rows),
      el("label", { class: "check" }, single, el("span", {}, "Keys of a single letter or digit work")),
      el("p", { class: "hint" }, "Tab goes through everything; Enter and space press what has the focus."),
    ],
    actions: [{ name: "close", label: "Close", kind: "primary" }],
  });
}

const NAMES = new Map([[" ", "Space"], ["ArrowUp", "↑"], ["ArrowDown", "↓"], ["ArrowLeft", "←"], ["ArrowRight", "→"]]);

function spelled(key) {
  const parts = key === "+" ? ["+"] : key.split("+");
  return parts.map((part, index) => [index ? " + " : null, el("kbd", {}, NAMES.get(part) ?? part)]);
}
