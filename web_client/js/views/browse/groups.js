// Images that look alike: copies that were saved again, frames of one film.

import { thumbnailAddress } from "../../api/images.js";
import * as api from "../../api/labels.js";
import { el } from "../../lib/dom.js";
import { count, short } from "../../lib/text.js";
import { format } from "../../shell/router.js";

const PAGE = 50;

export function groups({ go }) {
  const mixed = el("input", { type: "checkbox" });
  const said = el("p", { class: "hint", role: "status" });
  const list = el("ul", { class: "groups" });
  const more = el("button", { class: "button", type: "button", hidden: true, onclick: () => look() }, "Show more");
  const node = el("div", { class: "panel" }, el("h2", {}, "Images that look alike"),
    el("p", { class: "hint" }, "Every image is looked at once, some time after it came. Copies in different splits make a network look better than it is; copies with different labels are errors."),
    el("label", { class: "check" }, mixed, el("span", {}, "Only groups with different labels")), said, list, more);
  let dataset = null;
  let cursor = null;
  let turn = 0;

  mixed.addEventListener("change", () => go({ view: "browse", path: [dataset, "alike"], query: { mixed: mixed.checked ? 1 : null } }));

  async function look() {
    const mine = turn;
    try {
      const page = await api.groups(dataset, { mixed: mixed.checked, cursor, limit: PAGE });
      if (mine !== turn) return;
      cursor = page.cursor;
      more.hidden = cursor === null;
      list.append(...page.groups.map(group));
      const found = list.children.length;
      said.textContent = `${count(found, "group")}${cursor === null ? "" : " so far"}.`;
      // A page may be short, and empty, though there are more.
      if (page.groups.length === 0 && cursor !== null) await look();
    } catch (problem) {
      if (mine === turn) said.textContent = problem.message;
    }
  }

  const group = ({ group: name, images, categories, examples }) => el("li", {},
    el("a", { href: format({ view: "browse", path: [dataset], query: { group: name } }), "aria-label": `${images} images that look like ${short(name)}` },
      el("span", { class: "examples" }, examples.map((image) => el("img", { src: thumbnailAddress(image, 64), alt: "", loading: "lazy", width: "64", height: "64" }))),
      el("span", {}, count(images, "image"), categories > 1 && el("span", { class: "badge bad" }, `${categories} labels`))));

  return {
    node,
    keys: [],
    open(name, { query }) {
      turn += 1;
      dataset = name;
      cursor = null;
      mixed.checked = query.has("mixed");
      list.replaceChildren();
      said.textContent = "Looking …";
      look();
    },
    update() {},
    changed() {},
  };
}
