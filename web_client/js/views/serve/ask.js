// Ask the champion, or another network: pictures that are dropped, pasted or chosen, or the webcam.

import * as classification from "../../api/classification.js";
import { el, show } from "../../lib/dom.js";
import { percent, short } from "../../lib/text.js";
import { dropZone, onPaste } from "../../parts/drop_zone.js";
import { filePicture } from "../../parts/picture.js";
import { bars, by, correction } from "./answers.js";
import { liveAnswers } from "./live.js";

const MOST_ANSWERS = 60;
const AT_ONCE = 4;
const TOPS = [1, 3, 4, 5, 10];
const ACCEPT = "image/png,image/jpeg,image/webp,image/gif,image/bmp";

// Returns {node, learn(networks), leave}; `section` is the view, whose pasted pictures are taken.
export function askPanel(section, { state }) {
  const champion = el("div", { id: "champion" });
  const answers = el("div", { id: "answers", "aria-live": "polite" });
  const network = el("select", {});
  const top = el("select", {}, TOPS.map((count) => el("option", { value: count, selected: count === 4 }, String(count))));
  const input = el("input", { type: "file", id: "pick-pictures", class: "unseen", multiple: true, accept: ACCEPT });
  const drop = el("div", { class: "drop", id: "classify-drop" },
    el("p", {}, el("strong", {}, "Drop or paste pictures here"), el("br"),
      "They are classified, and may be kept for a while so that answers can be corrected"),
    el("div", { class: "buttons" }, el("label", { class: "button" }, input, "Choose pictures")));
  const options = () => ({ dataset: network.value ? undefined : state.get().dataset, network: network.value || undefined, top: Number(top.value) });
  const live = liveAnswers(options);
  const waiting = [];
  let busy = 0;

  function take(files) {
    for (const file of files) {
      const body = el("div", {}, el("p", { class: "about" }, file.name));
      answers.prepend(el("article", { class: "answer" }, filePicture(file, { alt: `The picture ${file.name}` }), body));
      waiting.push({ file, body, asked: options() });
    }
    while (answers.children.length > MOST_ANSWERS) answers.lastElementChild.remove();
    while (busy < AT_ONCE && waiting.length) lane();
  }

  async function lane() {
    busy += 1;
    while (waiting.length) await askOne(waiting.shift());
    busy -= 1;
  }

  dropZone(drop, (transfer) => take([...transfer.files]));
  onPaste(section, take);
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = ""; // so that the same choice again is a change again
    take(files);
  });

  return {
    node: el("div", { class: "panel" }, el("h2", {}, "Ask"), champion,
      el("div", { class: "choices" },
        el("label", { class: "choice" }, el("span", {}, "Who answers"), network),
        el("label", { class: "choice" }, el("span", {}, "Categories"), top)),
      drop, live.node, answers),
    learn(networks) {
      const told = networks.map((one) => [one.network, one.name, one.champion]);
      const before = network.value;
      show(network, JSON.stringify(told), () => [
        el("option", { value: "" }, "the champion"),
        networks.map((one) => el("option", { value: one.network }, one.name ?? short(one.network))),
      ]);
      network.value = networks.some((one) => one.network === before) ? before : "";
      showChampion(champion, networks);
    },
    leave: live.stop,
  };
}

async function askOne({ file, body, asked }) {
  try {
    const start = performance.now();
    const reply = await classification.classify(file, asked);
    const milliseconds = performance.now() - start;
    body.replaceChildren(
      el("p", { class: "about" }, `${file.name} · ${milliseconds.toFixed(0)} ms, ${(1000 * reply.seconds).toFixed(1)} ms of them in ${by(reply.network)}`),
      bars(reply.answers), reply.id ? correction(reply.id) : "");
  } catch (problem) {
    body.append(el("p", { class: "fault" }, problem.message));
  }
}

function showChampion(place, networks) {
  const champion = networks.find((one) => one.champion) ?? null;
  show(place, JSON.stringify(champion && [champion.network, champion.name]), () => {
    if (!champion) {
      return el("div", { class: "empty" }, el("strong", {}, "Nobody answers yet."),
        "Breed a network on the page ", el("a", { href: "#evolve" }, "Evolve"), ", or promote one of the gallery.");
    }
    const { metrics, categories } = champion.card;
    return el("p", { class: "champion hint" },
      `${champion.name ?? `Network ${short(champion.network)}`} answers: ${percent(metrics.validation_accuracy)} right on `,
      `${metrics.validation_images} validation images, ${categories.length} categories.`);
  });
}
