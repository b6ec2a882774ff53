// One image at a time, as large as there is room; what was just labeled stays in sight.

import { imageAddress, thumbnailAddress } from "../../api/images.js";
import { el, show } from "../../lib/dom.js";
import { percent, size } from "../../lib/text.js";
import { guess, isTiny, pictureAddress } from "../../parts/image_cell.js";

const AHEAD = 10;
const LOW = 15;
const STEPS = [0.5, 1, 1.5, 2, 3];
const SHARE = 0.5; // of the window's height
const LARGE = 512; // what a thumbnail can be at most
const MARKS = { saving: "being saved", saved: "saved", conflict: "another label was given meanwhile", refused: "not saved" };

const addressOf = (item) => (Math.max(item.height, item.width) <= LARGE ? imageAddress(item.image) : thumbnailAddress(item.image, LARGE));

// Returns {node, draw, meant, keys}; `meant()` are the images that a key is about.
export function one({ context, desk }) {
  const { session } = context;
  let zoom = 1;
  const loaded = new Set(); // what was loaded ahead
  const picture = el("img", { class: "large", alt: "" });
  const said = el("p", { class: "one-said", role: "status" });
  const about = el("p", { class: "hint" });
  const recent = el("ol", { class: "recent", "aria-label": "Just labeled", tabindex: "0" });
  const stage = el("div", { class: "stage" }, picture);
  const node = el("div", { class: "one" }, stage, said, about, recent);
  picture.addEventListener("error", () => { if (picture.src) about.textContent = "This picture cannot be shown."; });
  const watch = new ResizeObserver(() => fit(current()));
  watch.observe(stage);

  const current = () => session()?.state.get().items[0] ?? null;

  function fit(item) {
    if (!item) return;
    const room = Math.max(64, Math.min(stage.clientWidth - 2, innerHeight * SHARE)) * zoom;
    const scale = room / Math.max(item.height, item.width);
    // Pixels of a small picture stay squares of one size.
    const factor = scale >= 2 ? Math.floor(scale) : scale;
    picture.style.setProperty("width", `${Math.max(1, item.width * factor)}px`);
    picture.style.setProperty("height", `${Math.max(1, item.height * factor)}px`);
  }

  function draw() {
    const item = current();
    const { items, recent: done } = session().state.get();
    picture.hidden = item === null;
    if (item && picture.dataset.image !== item.image) {
      picture.dataset.image = item.image;
      picture.classList.toggle("tiny", isTiny(item));
      picture.alt = `Image ${item.image.slice(0, 10)}`;
      picture.src = addressOf(item);
      const opinion = guess(item);
      said.replaceChildren(...(opinion
        ? [el("kbd", {}, "Enter"), ` takes what the champion says: `, el("strong", {}, opinion.name), ` (${percent(opinion.share, 0)})`]
        : []));
      said.hidden = opinion === null;
      about.textContent = size([item.height, item.width, item.channels])
        + (item.alike > 1 ? `. ${item.alike} images look like this one: all get its label. Press o to see them.` : "");
      fit(item);
      for (const next of items.slice(1, AHEAD)) {
        const ahead = addressOf(next);
        if (!loaded.has(ahead)) new Image().src = ahead;
        loaded.add(ahead);
      }
    }
    if (!item) { said.replaceChildren(); about.textContent = ""; delete picture.dataset.image; }
    const dataset = context.dataset();
    const lines = done.map((one) => ({ item: one, label: desk.label(dataset, one), state: desk.said(dataset, one.image)?.state ?? "saved" }));
    recent.hidden = lines.length === 0;
    show(recent, JSON.stringify(lines.map(({ item: { image }, label, state }) => [image, label, state])), () => lines.map(line));
    if (items.length < LOW) context.more();
  }

  function line({ item, label, state }) {
    return el("li", { class: state },
      el("img", { src: pictureAddress(item), alt: "", class: isTiny(item) ? "tiny" : null }),
      el("span", {}, label ?? "no label", el("small", {}, MARKS[state])));
  }

  const enlarge = (by) => {
    zoom = STEPS[Math.min(STEPS.length - 1, Math.max(0, STEPS.indexOf(zoom) + by))];
    fit(current());
  };
  return {
    node,
    draw,
    meant: () => (current() ? [current()] : []),
    keys: [
      { key: "+", label: "Larger", run: () => enlarge(1) },
      { key: "-", label: "Smaller", run: () => enlarge(-1) },
    ],
  };
}
