// Tab: what was answered, the most uncertain first, so that what is wrong is corrected where it is seen.

import * as classification from "../../api/classification.js";
import { clear, el } from "../../lib/dom.js";
import { ago, percent } from "../../lib/text.js";
import { picture } from "../../parts/picture.js";
import { format, go } from "../../shell/router.js";
import { bars, by, correction } from "./answers.js";

const PAGE = 24;
const ORDERS = [["newest", "newest first"], ["uncertain", "most uncertain first"]];
const CORRECTED = [["", "all"], ["false", "not corrected"], ["true", "corrected"]];

// Returns {node, turn(query), refresh()}; `query` is that of the address: {order, corrected}.
export function historyTab({ state }) {
  const list = el("div", { class: "history" });
  const more = el("button", { class: "button", type: "button", hidden: true }, "More");
  const said = el("p", { class: "hint", role: "status" });
  const order = el("select", {}, ORDERS.map(([value, text]) => el("option", { value }, text)));
  const corrected = el("select", {}, CORRECTED.map(([value, text]) => el("option", { value }, text)));
  let mine = 0;
  let cursor = null;
  let loading = 0; // the turn that is being loaded

  const change = () => go(format({ view: "serve", path: ["answers"], query: { order: order.value, corrected: corrected.value } }), { replace: true });
  order.addEventListener("change", change);
  corrected.addEventListener("change", change);
  more.addEventListener("click", () => load(mine));

  async function load(turn) {
    if (loading === turn) return;
    loading = turn;
    more.disabled = true;
    try {
      const page = await classification.classifications({
        dataset: state.get().dataset, order: order.value, corrected: corrected.value, cursor, limit: PAGE,
      });
      if (turn !== mine) return;
      said.textContent = "";
      list.append(...page.classifications.map(entry));
      cursor = page.cursor;
      more.hidden = cursor === null;
      if (list.children.length === 0) said.textContent = "Nothing was recorded. What is asked above is, unless the service was told to record nothing.";
    } catch (problem) {
      if (turn === mine) said.textContent = problem.message;
    }
    more.disabled = false;
    if (loading === turn) loading = 0;
  }

  return {
    node: el("div", { class: "panel stack" },
      el("div", { class: "title-line" }, el("h2", {}, "What was answered"),
        el("div", { class: "choices" },
          el("label", { class: "choice" }, el("span", {}, "Order"), order),
          el("label", { class: "choice" }, el("span", {}, "Show"), corrected))),
      list, said, more),
    turn(query) {
      order.value = query.get("order") ?? "newest";
      corrected.value = query.get("corrected") ?? "";
      mine += 1;
      cursor = null;
      clear(list);
      return load(mine);
    },
    // An answer is recorded a moment after it was given.
    refresh: () => (list.children.length === 0 ? load(mine) : undefined),
  };
}

function entry(one) {
  const [first] = one.answers;
  return el("article", { class: "answer", "aria-label": `Taken for ${first?.category.name}` },
    picture(classification.classificationThumbnail(one.id, 128), { alt: `A picture taken for ${first?.category.name}` }),
    el("div", {},
      el("p", { class: "about" }, `${ago(one.at)} by ${by(one.network)}, ${percent(one.margin)} ahead of the next`),
      bars(one.answers.slice(0, 3)), correction(one.id, { known: one.correction })));
}
