// Light or dark: as the system has it, or as a person chose.

import { remember, remembered } from "./state.js";

const KEY = "dicebox.theme";
const NAMES = ["auto", "light", "dark"];

export function theme(button) {
  let chosen = NAMES.includes(remembered(KEY)) ? remembered(KEY) : "auto";
  const apply = () => {
    if (chosen === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    button.setAttribute("aria-label", `Colours: ${chosen}`);
    button.title = `Colours: ${chosen}`;
    button.dataset.theme = chosen;
  };
  button.addEventListener("click", () => {
    chosen = NAMES[(NAMES.indexOf(chosen) + 1) % NAMES.length];
    remember(KEY, chosen);
    apply();
  });
  apply();
}
