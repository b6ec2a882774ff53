// How far every drop is.

import { el, show, track } from "../../lib/dom.js";
import { schedule } from "../../lib/frame.js";
import { bytes, count, duration, number } from "../../lib/text.js";

const settledOf = ({ stored, known, relabeled, refused }) => stored + known + relabeled + refused;

// Returns a node that follows the uploads.
export function progress(uploads) {
  const lines = el("ul", { class: "drops" });
  const spoken = el("p", { class: "unseen", role: "status" });
  const node = el("div", { id: "upload-state" }, lines, spoken);
  const draw = () => {
    const { drops } = uploads.state.get();
    const shown = [...drops].reverse();
    while (lines.children.length > shown.length) lines.lastElementChild.remove();
    while (lines.children.length < shown.length) lines.append(el("li", { class: "drop-line" }));
    shown.forEach((drop, index) => {
      show(lines.children[index], JSON.stringify(drop), () => line(drop, uploads));
    });
    // Spoken at the end and at a fault alone; a count that runs is not to be listened to.
    const latest = shown[0];
    show(spoken, JSON.stringify([latest?.id, latest?.state, latest?.trouble]), () =>
      latest ? [latest.state === "done" ? result(latest) : latest.trouble ?? ""].map((text) => el("span", {}, text)) : []);
  };
  uploads.state.subscribe(() => schedule(draw));
  draw();
  return node;
}

function line(drop, uploads) {
  const { counts, state } = drop;
  if (state === "done") {
    return [
      el("div", { class: "title-line" }, el("span", {}, result(drop)), close(drop, uploads)),
      drop.lost > 0 && el("p", { class: "notice warn" }, lost(drop)),
    ];
  }
  const settled = settledOf(counts);
  return [
    el("div", { class: "title-line" },
      el("span", {}, `${number(settled)} of ${count(counts.found, "file")}${state === "walking" ? " so far" : ""} into ${drop.dataset}`),
      el("span", { class: "buttons" },
        state === "paused"
          ? el("button", { class: "button small", type: "button", "data-focus": `${drop.id}-pause`, onclick: uploads.go }, "Go on")
          : el("button", { class: "button small", type: "button", "data-focus": `${drop.id}-pause`, onclick: uploads.pause }, "Pause"),
        el("button", { class: "button small", type: "button", "data-focus": `${drop.id}-stop`, onclick: () => uploads.forget(drop.id) }, "Stop"))),
    track(settled / Math.max(1, counts.found), true),
    el("p", { class: "hint" }, facts(drop)),
    drop.trouble && el("p", { class: "notice warn" }, drop.trouble),
    drop.lost > 0 && el("p", { class: "notice warn" }, lost(drop)),
  ];
}

function facts({ counts, state, rate, left, before, mayResume }) {
  const parts = [
    `${number(counts.stored)} stored`,
    counts.known ? `${number(counts.known)} known already` : "",
    counts.refused ? `${number(counts.refused)} refused` : "",
    counts.bytes ? bytes(counts.bytes) : "",
    rate ? `${number(Math.round(rate))} a second` : "",
    left ? `${duration(left)} left` : "",
    state === "paused" ? "paused" : "",
    before ? `${count(before, "file")} left from before` : "",
    mayResume ? "" : "after a reload, drop the folder again",
  ];
  return parts.filter(Boolean).join(" · ");
}

function result({ counts, dataset }) {
  const kept = counts.stored + counts.known + counts.relabeled;
  const parts = [
    `${count(kept, "image")} stored in ${dataset}`,
    counts.known ? `${number(counts.known)} known already` : "",
    counts.relabeled ? `${number(counts.relabeled)} with a new label` : "",
    counts.refused ? `${number(counts.refused)} refused` : "",
  ];
  return `${parts.filter(Boolean).join(", ")}.`;
}

const lost = ({ lost: files, counts }) =>
  `The page was closed before ${files > 1 ? count(files, "file") : "all files"} of ${number(counts.found)} could be taken in. Drop the folder again to go on: what is stored is not sent twice.`;

const close = (drop, uploads) =>
  el("button", { class: "button small", type: "button", "data-focus": `${drop.id}-close`, onclick: () => uploads.forget(drop.id) }, "Done");
