// All about one image: its label and where it came from, what the champion says, its history.

import * as labels from "../../api/labels.js";
import { imageAddress, thumbnailAddress, upload } from "../../api/images.js";
import { ask } from "../../lib/dialog.js";
import { el, show, track } from "../../lib/dom.js";
import { moment, percent, short, size } from "../../lib/text.js";
import { isTiny } from "../../parts/image_cell.js";
import { format } from "../../shell/router.js";
import { may } from "../../shell/state.js";
import { SOURCES } from "./filters.js";

const LARGE = 512;
const WORDS = { added: "came", labeled: "labeled", merged: "came with its whole category", removed: "removed", restored: "brought back" };

// Returns {node, show(dataset, item), hide(), changed(images)}.
export function sheet({ desk, say, onRemoved }) {
  const node = el("section", { class: "panel sheet", "aria-label": "The selected image", hidden: true });
  let dataset = null;
  let item = null;
  let events = null;

  async function learn() {
    const mine = item;
    const history = await labels.history(dataset, item.image).catch((problem) => ({ events: [], problem }));
    if (mine !== item) return;
    events = history.problem ? [] : history.events;
    draw();
  }

  function draw() {
    if (!item) return;
    const label = desk.label(dataset, item);
    const picture = Math.max(item.height, item.width) <= LARGE ? imageAddress(item.image) : thumbnailAddress(item.image, LARGE);
    show(node, JSON.stringify([item, label, events]), () => [
      el("div", { class: "title-line" }, el("h2", {}, label ?? "No label"), el("code", {}, short(item.image))),
      el("a", { href: imageAddress(item.image), target: "_blank", rel: "noopener" },
        el("img", { src: picture, alt: `Image ${short(item.image)}, as it was sent`, class: isTiny(item) ? "tiny" : null })),
      el("dl", { class: "facts" },
        fact("Size", size([item.height, item.width, item.channels])), fact("Split", item.split ?? "none yet"),
        fact("Label", item.source ? SOURCES.get(item.source) : "unknown"), fact("Who", item.who ?? "nobody with a key"),
        fact("Came", moment(item.added))),
      item.opinion && opinion(item.opinion),
      item.group && el("p", {}, el("a", { href: format({ view: "browse", path: [dataset], query: { group: item.group } }) }, "Images that look like it")),
      el("h3", {}, "History"),
      events === null ? el("p", { class: "hint" }, "Looking …") : el("ol", { class: "history" }, events.map(event)),
      may("sensory:write") && el("button", { class: "button small danger", type: "button", onclick: remove }, "Remove from the dataset"),
    ]);
  }

  async function remove() {
    const [from, gone, label] = [dataset, item, desk.label(dataset, item)];
    const answer = await ask({
      title: "Remove this image?", body: `It leaves ${from}. Frozen snapshots that hold it stay as they are.`,
      actions: [{ name: "keep", label: "Keep it" }, { name: "remove", label: "Remove", kind: "danger" }],
    });
    if (answer !== "remove") return;
    try {
      await labels.remove(from, gone.image);
    } catch (problem) {
      say(problem.message, { kind: "bad" });
      return;
    }
    hide();
    onRemoved(gone);
    say("Removed.", { action: { label: "Bring it back", run: () => restore(from, gone, label) } });
  }

  // The bytes are still there: to send them again brings the image back.
  async function restore(to, gone, label) {
    try {
      const data = await (await fetch(imageAddress(gone.image))).blob();
      const { refused } = await upload(to, [{ name: short(gone.image), data }], { category: label ?? undefined, split: gone.split ?? undefined, source: "undo" });
      if (refused.length) throw new Error(refused[0].detail);
      say("It is back.", { kind: "good" });
    } catch (problem) {
      say(`It could not be brought back: ${problem.message}`, { kind: "bad" });
    }
  }

  function hide() {
    item = null;
    node.hidden = true;
  }

  return {
    node,
    hide,
    show(name, one) {
      if (item === one && dataset === name) return;
      [dataset, item, events] = [name, one, null];
      node.hidden = false;
      draw();
      learn();
    },
    changed(images) {
      if (!item || !images.includes(item.image)) return;
      draw();
      if (desk.said(dataset, item.image)?.state === "saved") learn();
    },
  };
}

const fact = (name, text) => el("div", {}, el("dt", {}, name), el("dd", {}, text));

function opinion({ top }) {
  return [
    el("h3", {}, "The champion says"),
    el("ul", { class: "bars" }, top.map(({ category, probability }, index) => el("li", { class: index ? "other" : "first" },
      el("span", {}, category.name), track(probability), el("span", { class: "value" }, percent(probability))))),
  ];
}

function event({ kind, category, who, at, source }) {
  const name = category ? [" ", el("strong", {}, category.name)] : kind === "labeled" ? ": no label" : null;
  const how = source && kind !== "removed" ? `, ${SOURCES.get(source) ?? source}` : "";
  return el("li", {}, WORDS[kind] ?? kind, name, el("small", {}, `${moment(at)}${who ? `, ${who}` : ""}${how}`));
}
