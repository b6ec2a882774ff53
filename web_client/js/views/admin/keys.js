// Keys: make one, see what each may do, revoke.

import * as admin from "../../api/admin.js";
import { ask } from "../../lib/dialog.js";
import { el, show } from "../../lib/dom.js";
import { now } from "../../lib/clock.js";
import { ago, moment } from "../../lib/text.js";

const SCOPES = new Map([
  ["sensory:read", "see images"], ["sensory:write", "add images"], ["label", "label images"], ["train", "train"],
  ["evolve", "start and stop runs"], ["publish", "publish networks"], ["classify", "ask networks"], ["admin", "everything"],
]);

// Returns {node, refresh}.
export function keysPanel(context) {
  const said = el("p", { class: "hint", role: "status", id: "key-said" });
  const list = el("div", { id: "key-list" });
  const name = el("input", { name: "key-name", required: true, maxlength: 120, autocomplete: "off" });
  const days = el("input", { name: "key-days", type: "number", min: 1, max: 36_500, step: 1, placeholder: "until it is revoked" });
  const boxes = [...SCOPES].map(([scope, text]) => el("label", { class: "check" },
    el("input", { type: "checkbox", name: "scope", value: scope }), el("span", {}, el("code", {}, scope), ` ${text}`)));
  const form = el("form", { id: "key-form" },
    el("div", { class: "fields" },
      el("label", { class: "field" }, el("span", {}, "Name"), name, el("small", {}, "Whoever holds it: what they label bears this name.")),
      el("label", { class: "field" }, el("span", {}, "Days it holds"), days)),
    el("fieldset", { class: "scopes" }, el("legend", {}, "What it may do"), boxes),
    el("button", { class: "button primary", type: "submit" }, "Make a key"), said);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const scopes = [...form.querySelectorAll("[name=scope]:checked")].map((box) => box.value);
    if (scopes.length === 0) { said.textContent = "Choose what the key may do."; return; }
    said.textContent = "";
    const request = { name: name.value, scopes };
    if (days.value) request.expires_in_s = Number(days.value) * 86_400;
    try {
      const made = await admin.createKey(request);
      form.reset();
      await refresh();
      await showOnce(made, context);
    } catch (problem) {
      said.textContent = problem.message;
    }
  });

  async function refresh() {
    const keys = await admin.keys();
    const stamp = Math.floor(now() / 60);
    show(list, JSON.stringify([keys, stamp]), () => table(keys, revoke));
  }

  async function revoke(key) {
    const chosen = await ask({
      title: `Revoke the key of ${key.name}?`,
      body: el("p", {}, "Whoever uses it is turned away at once, and logins made with it end. This cannot be taken back."),
      actions: [{ name: "keep", label: "Keep it" }, { name: "revoke", label: "Revoke", kind: "danger" }],
    });
    if (chosen !== "revoke") return;
    try {
      await admin.revokeKey(key.id);
      await refresh();
    } catch (problem) {
      said.textContent = problem.message;
    }
  }

  return { node: el("div", { class: "panel" }, el("h2", {}, "Keys"), form, list), refresh };
}

async function showOnce(made, context) {
  const text = el("input", { readonly: true, value: made.key, class: "mono", "aria-label": "The key", id: "key-text" });
  const copy = el("button", { class: "button", type: "button", onclick: async () => {
    try {
      await navigator.clipboard.writeText(made.key);
      context.say("The key is copied.", { kind: "good" });
    } catch {
      text.select();
      context.say("Copy it by hand: this browser does not let a page do it.");
    }
  } }, "Copy");
  await ask({
    title: `The key of ${made.name}`,
    body: [el("p", {}, "It is shown this once, and kept nowhere."), text, copy],
    actions: [{ name: "done", label: "I have it", kind: "primary" }],
  });
  text.value = "";
}

function table(keys, revoke) {
  if (keys.length === 0) return el("p", { class: "empty" }, "None yet. As long as there is none, nobody is asked for one.");
  return el("ul", { class: "list", "aria-label": "All keys" }, keys.map((key) => row(key, revoke)));
}

function row(key, revoke) {
  const isRevoked = key.revoked !== null && key.revoked !== undefined;
  const isOld = !isRevoked && key.expires && key.expires <= now();
  const holds = isRevoked ? `revoked ${ago(key.revoked)}` : isOld ? "expired" : key.expires ? `holds until ${moment(key.expires)}` : "holds until it is revoked";
  const used = key.last_used ? `used ${ago(key.last_used)}` : "never used";
  return el("li", { class: isRevoked || isOld ? "key over" : "key" },
    el("div", {}, el("strong", {}, key.name), " ", el("span", { class: "mono soft" }, key.id)),
    isRevoked || isOld ? null : el("button", {
      class: "button small danger", type: "button", "data-focus": key.id, "aria-label": `Revoke the key of ${key.name}`, onclick: () => revoke(key),
    }, "Revoke"),
    el("p", {}, key.scopes.map((scope) => [el("span", { class: "badge" }, scope), " "])),
    el("p", { class: "hint" }, `${used} · ${holds}`));
}
