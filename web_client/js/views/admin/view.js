// View: keys, how the services are, how much room there is.

import { el } from "../../lib/dom.js";
import { poll } from "../../shell/outages.js";
import { may, state } from "../../shell/state.js";
import { healthPanel } from "./health.js";
import { keysPanel } from "./keys.js";
import { storagePanel } from "./storage.js";

export function create(section, context) {
  const keys = keysPanel(context);
  const storage = storagePanel();
  const denied = el("p", { class: "notice warn", id: "admin-denied" },
    "The key of this login has not the scope ", el("code", {}, "admin"), ". Whoever has one can make another with ",
    el("code", {}, "dicebox keys create NAME --scope admin"), ".");
  const panels = el("div", { class: "columns" }, keys.node, el("div", { class: "stack" }, healthPanel(), storage.node));
  const refresh = poll("Keys", 10_000, () => Promise.all([keys.refresh(), storage.refresh()]));
  section.append(
    el("div", { class: "heading" }, el("h1", {}, "Admin"), el("p", {}, "Who may do what, and whether everything runs.")),
    denied, panels);
  let isShown = false;

  function draw() {
    const allowed = may("admin");
    denied.hidden = allowed;
    panels.hidden = !allowed;
    if (isShown && allowed) refresh.now();
    else refresh.pause();
  }
  state.subscribe(draw, (value) => value.me);
  return {
    enter: () => { isShown = true; draw(); },
    leave: () => { isShown = false; refresh.pause(); },
  };
}
