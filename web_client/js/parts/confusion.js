// What a network takes for what: a table whose cells are the darker the more images they have.

import { el } from "../lib/dom.js";
import { number, percent } from "../lib/text.js";

const MOST_CATEGORIES = 30;

// [{shown, taken, images, share}]: the most frequent mistakes, `share` of those that show it; pure.
export function mistakes({ categories, confusion }, most = 8) {
  const found = [];
  confusion.forEach((row, shown) => {
    const total = row.reduce((sum, images) => sum + images, 0);
    row.forEach((images, taken) => {
      if (taken !== shown && images > 0) found.push({ shown: categories[shown].name, taken: categories[taken].name, images, share: images / total });
    });
  });
  return found.sort((one, other) => other.images - one.images || other.share - one.share).slice(0, most);
}

// Each cell as a share of its row: how much of what shows a category is taken for another; pure.
export const shares = (confusion) => confusion.map((row) => {
  const total = row.reduce((sum, images) => sum + images, 0);
  return row.map((images) => (total ? images / total : 0));
});

// Returns nodes: the table, where it fits a page, and the worst mistakes in words.
export function confusion(examination) {
  const worst = mistakes(examination);
  return [
    examination.categories.length <= MOST_CATEGORIES ? table(examination) : null,
    worst.length === 0 ? el("p", { class: "hint" }, "It made no mistake.") : el("ul", { class: "mistakes" }, worst.map((one) =>
      el("li", {}, el("strong", {}, one.shown), " taken for ", el("strong", {}, one.taken), `: ${number(one.images)} (${percent(one.share, 0)})`))),
  ];
}

function table({ categories, confusion: matrix }) {
  const part = shares(matrix);
  return el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "What it takes for what" },
    el("p", { class: "hint" }, "Rows: what the image shows. Columns: what it was taken for."),
    el("table", { class: "confusion" },
      el("thead", {}, el("tr", {}, el("td", {}), categories.map(({ name }) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, matrix.map((row, shown) => el("tr", {},
        el("th", { scope: "row" }, categories[shown].name),
        row.map((images, taken) => cell(images, part[shown][taken], shown === taken)))))));
}

function cell(images, share, isRight) {
  const node = el("td", { class: isRight ? "right" : share > 0 ? "wrong" : false }, images ? number(images) : "");
  node.style.setProperty("--share", share);
  return node;
}
