// View: ask the champion, and choose who it is.

import { classification } from "./api.js";
import { dataset, onDataset } from "./dataset.js";
import { el, track } from "./dom.js";
import { dropZone, onPaste } from "./drop_zone.js";
import { fromDrop, fromPicker } from "./folders.js";
import { showChampion, showGallery } from "./gallery.js";
import { poll } from "./poll.js";
import { percent, short } from "./text.js";

const MOST_ANSWERS = 60;
const TOP = 4;
const TINY = 64;

export function classifyView(section) {
  const said = section.querySelector("#gallery-said");
  const answers = section.querySelector("#answers");
  const refresh = poll("Networks", 3000, async () => {
    const networks = dataset() ? await classification.networks(dataset()) : [];
    showChampion(section.querySelector("#champion"), networks);
    showGallery(section.querySelector("#gallery"), networks, promote);
  });

  async function promote(entry) {
    try {
      await classification.promote(entry.card.dataset, entry.network);
      said.textContent = `Network ${short(entry.network)} answers from now on.`;
    } catch (problem) {
      said.textContent = problem.message;
    }
    await refresh.now();
  }

  async function ask(found) {
    for (const { file } of await found) await askOne(answers, file);
  }

  dropZone(section.querySelector("#classify-drop"), (transfer) => ask(fromDrop(transfer)));
  onPaste(section, (files) => ask(fromPicker(files)));
  const input = section.querySelector("#pick-pictures");
  input.addEventListener("change", () => {
    const found = fromPicker(input.files);
    input.value = "";
    ask(found);
  });
  onDataset(() => { if (!section.hidden) refresh.now(); });
  return { enter: refresh.now, leave: refresh.pause };
}

async function askOne(place, file) {
  const body = el("div");
  place.prepend(el("article", { class: "answer" }, picture(file), body));
  while (place.children.length > MOST_ANSWERS) place.lastElementChild.remove();
  try {
    const start = performance.now();
    const reply = await classification.classify(file, { dataset: dataset(), top: TOP });
    const milliseconds = performance.now() - start;
    body.append(about(file, reply, milliseconds), bars(reply.answers));
  } catch (problem) {
    body.append(el("p", { class: "about" }, file.name), el("p", { class: "fault" }, problem.message));
  }
}

function picture(file) {
  const address = URL.createObjectURL(file);
  const image = el("img", { src: address, alt: `The picture ${file.name}` });
  image.addEventListener("load", () => {
    if (image.naturalWidth < TINY) image.classList.add("tiny");
    URL.revokeObjectURL(address);
  });
  image.addEventListener("error", () => image.replaceWith(el("span")));
  return image;
}

function about(file, reply, milliseconds) {
  const inside = `${(1000 * reply.seconds).toFixed(1)} ms in the network`;
  return el("p", { class: "about" },
    `${file.name} · ${milliseconds.toFixed(0)} ms, ${inside} ${short(reply.network)}`);
}

function bars(answers) {
  return el("ol", { class: "bars" }, answers.map(({ category, probability }, index) =>
    el("li", { class: index ? "other" : "first" },
      el("span", {}, category.name), track(probability),
      el("span", { class: "value" }, percent(probability)))));
}
