// How an image of a dataset looks in a grid, and where its picture comes from.

import { imageAddress, thumbnailAddress } from "../api/images.js";
import { el } from "../lib/dom.js";
import { percent } from "../lib/text.js";

const SMALL = 128; // pixels; up to here the bytes themselves are no more than a thumbnail
const TINY = 64;
const MARKS = { saving: "…", saved: "✓", conflict: "!", refused: "×" };
const WORDS = { saving: "being saved", saved: "saved", conflict: "somebody else gave another label", refused: "not saved" };

const longest = ({ height, width }) => Math.max(height, width);

export const isTiny = (item) => longest(item) <= TINY;

export const pictureAddress = (item, size = 128) =>
  longest(item) <= SMALL ? imageAddress(item.image) : thumbnailAddress(item.image, size);

// Fills a cell. `label`: its label by name or null; `state`: of a decision made here, or undefined;
// `badge`: a short text over the picture.
export function imageCell(node, item, { label, state, badge = null, isDone = false }) {
  if (!node.firstChild) {
    // A browser has few connections to one host: a decision must not wait behind a grid of pictures.
    const picture = el("img", { alt: "", draggable: "false", decoding: "async", fetchpriority: "low" });
    picture.addEventListener("error", () => node.classList.add("broken"));
    picture.addEventListener("load", () => node.classList.remove("broken"));
    node.append(el("span", { class: "cell-picture" }, picture, el("span", { class: "cell-badge" })),
      el("span", { class: "cell-foot" }, el("span", { class: "cell-mark" }), el("span", { class: "cell-name" })));
  }
  const picture = node.querySelector("img");
  const address = pictureAddress(item);
  if (picture.src !== address) {
    node.classList.remove("broken");
    picture.src = address;
  }
  picture.classList.toggle("tiny", isTiny(item));
  const said = guess(item);
  node.querySelector(".cell-name").textContent = label ?? (said ? `${said.name}?` : "no label");
  node.querySelector(".cell-mark").textContent = state ? MARKS[state] : "";
  node.querySelector(".cell-badge").textContent = badge ?? "";
  node.classList.toggle("unlabeled", label === null);
  node.classList.toggle("done", isDone);
  for (const one of Object.keys(MARKS)) node.classList.toggle(one, state === one);
  node.setAttribute("aria-label", [label ?? "no label", state && WORDS[state], badge, said && `the champion says ${said.name}, ${percent(said.share, 0)}`].filter(Boolean).join(", "));
}

// What the champion takes an image for: {name, share}, or null where it was not asked.
export function guess(item) {
  const first = item.opinion?.top[0];
  return first ? { name: first.category.name, share: first.probability } : null;
}
