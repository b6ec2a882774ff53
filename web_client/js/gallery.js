// The champion and the networks that could take its place.

import { classification } from "./api.js";
import { el, show } from "./dom.js";
import { count, moment, percent, short, size } from "./text.js";

export function showChampion(place, networks) {
  const champion = networks.find((one) => one.champion) ?? null;
  show(place, champion, () => {
    if (!champion) return noChampion();
    const { card } = champion;
    return el("p", { class: "champion hint" },
      `Network ${short(champion.network)} answers: ${percent(card.metrics.validation_accuracy)} right on `,
      `${count(card.metrics.validation_images, "validation image")}, ${count(card.categories.length, "category", "categories")}.`);
  });
}

function noChampion() {
  return el("div", { class: "empty" }, el("strong", {}, "Nobody answers yet."),
    "Breed a network on the page ", el("a", { href: "#evolve" }, "Evolve"),
    ", or promote one of the gallery.");
}

// `promote(entry)` is called by the buttons.
export function showGallery(place, networks, promote) {
  show(place, networks, () => {
    if (networks.length === 0) return el("p", { class: "empty" }, "Empty. Every run adds its winner here.");
    return el("ul", { class: "list" }, networks.map((entry) => network(entry, promote)));
  });
}

function network(entry, promote) {
  const { card } = entry;
  const button = el("button", {
    class: "button small", type: "button", "data-focus": entry.network, onclick: () => promote(entry),
    "aria-label": `Promote network ${short(entry.network)}`,
  }, "Promote");
  return el("li", { class: "network" },
    el("strong", { class: "mono" }, short(entry.network)),
    entry.champion ? el("span", { class: "badge on" }, "champion") : button,
    el("p", { class: "facts" },
      el("span", {}, `${percent(card.metrics.validation_accuracy, 2)} on validation`),
      el("span", {}, count(card.metrics.parameters, "weight")),
      el("span", {}, `input ${size(card.preprocessing.shape)}`),
      el("span", {}, moment(card.created)),
      el("span", {}, "files: ", ["keras", "onnx", "weights"].map((kind, index) => [
        index ? " · " : "", el("a", { href: classification.fileAddress(entry.network, kind), download: true }, kind)]))));
}
