// Pictures from the webcam: one, a burst, or only those that the champion gets wrong.

import * as images from "../../api/images.js";
import { CLASSIFICATION, call } from "../../api/http.js";
import { el } from "../../lib/dom.js";
import { keyMap } from "../../lib/keys.js";
import { count, percent } from "../../lib/text.js";
import { noWebcam, webcam } from "../../parts/webcam.js";
import { outbox } from "../../upload/outbox.js";

const BURST_EVERY = 200;
const ASK_EVERY = 500;

// Returns {node, keys, leave}; `fields` say where the pictures go.
export function capture(fields, context) {
  const video = el("video", { muted: true, playsinline: true, "aria-label": "What the webcam sees" });
  const said = el("p", { class: "hint", id: "capture-said", role: "status" });
  const answer = el("p", { class: "live-answer", id: "capture-answer" });
  const button = (label, run) => el("button", { class: "button", type: "button", onclick: run }, label);
  const one = button("Take one", () => shoot());
  const burst = button("Burst", () => toggle("burst"));
  const supervised = button("Only what is answered wrong", () => toggle("supervised"));
  const off = button("Switch off", stop);
  const on = button("Use the webcam", start);
  const panel = el("div", { class: "capture", hidden: true }, video, answer,
    el("div", { class: "buttons" }, one, burst, supervised, off));
  const node = el("div", { class: "webcam" }, on, panel, said);
  const camera = webcam(video);
  const box = outbox({
    async send({ blob, dataset, category }) {
      await images.upload(dataset, [{ name: "webcam.png", data: blob }], { category, source: "capture" });
      filled = dataset;
    },
    wait: (seconds) => new Promise((resolve) => { setTimeout(resolve, 1000 * seconds); }),
    onState(now) {
      if (now.refused > refused) setMode(null);
      ({ refused } = now);
      said.textContent = told(now);
      if (now.waiting === 0) context.refresh();
    },
  });
  let mode = null;
  let turn = 0;
  let filled = null; // the dataset of what was stored last
  let refused = 0;

  // They are nowhere but here.
  addEventListener("beforeunload", (event) => { if (box.waiting() > 0) event.preventDefault(); });

  function told({ waiting, stored, refused: lost, problem }) {
    const full = box.isFull() ? " No more are taken until some are." : "";
    return [
      stored && `${count(stored, "picture")} of the webcam stored in ${filled}.`,
      lost && `${count(lost, "picture")} refused.`,
      problem?.message,
      waiting && (problem || full) && `${count(waiting, "picture")} ${waiting === 1 ? "waits" : "wait"} in this page to be stored.${full}`,
    ].filter(Boolean).join(" ");
  }

  if (noWebcam()) {
    on.disabled = true;
    said.textContent = noWebcam();
  }

  async function start() {
    if (!fields.check()) return;
    const runs = await camera.start();
    said.textContent = runs ? "" : camera.problem();
    panel.hidden = !runs;
    on.hidden = runs;
  }

  function stop() {
    setMode(null);
    camera.stop();
    panel.hidden = true;
    on.hidden = false;
  }

  function setMode(wanted) {
    mode = wanted;
    turn += 1;
    burst.setAttribute("aria-pressed", mode === "burst");
    supervised.setAttribute("aria-pressed", mode === "supervised");
    answer.textContent = "";
    if (mode === "burst") every(BURST_EVERY, shoot);
    if (mode === "supervised") every(ASK_EVERY, compare);
  }

  function toggle(wanted) {
    if (wanted === "supervised" && fields.category() === null) {
      said.textContent = "Say in the field Category what you show to the camera.";
      return;
    }
    setMode(mode === wanted ? null : wanted);
  }

  // One after the other, however long each takes.
  async function every(milliseconds, work) {
    const mine = turn;
    while (mine === turn) {
      const begun = performance.now();
      await work().catch((problem) => { said.textContent = problem.message; });
      await new Promise((resolve) => { setTimeout(resolve, Math.max(0, begun + milliseconds - performance.now())); });
    }
  }

  async function shoot(blob = null) {
    if (!box.isFull()) box.put({ blob: blob instanceof Blob ? blob : await camera.frame(), dataset: fields.dataset(), category: fields.category() });
  }

  // Shows the live answer; a picture is kept only while it is wrong.
  async function compare() {
    const wanted = fields.category();
    const blob = await camera.frame();
    const mine = turn;
    const reply = await call("POST", `${CLASSIFICATION}/classify`, {
      query: { dataset: fields.dataset(), top: 1, record: false }, body: blob,
    });
    if (mine !== turn) return;
    const [best] = reply.answers;
    const isRight = best.category.name === wanted;
    answer.textContent = `${best.category.name}, ${percent(best.probability)}: ${isRight ? "right, not stored" : `wrong, stored as ${wanted}`}`;
    answer.classList.toggle("wrong", !isRight);
    if (!isRight) await shoot(blob);
  }

  return {
    node, leave: stop,
    keys: keyMap([
      { key: " ", label: "Take a picture with the webcam", when: () => !panel.hidden, run: () => shoot() },
      { key: "b", label: "Begin or end a burst", when: () => !panel.hidden, run: () => toggle("burst") },
    ]),
  };
}
