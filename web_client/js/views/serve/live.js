// What a network says of the webcam, twice a second at most; nothing of it is kept.

import * as classification from "../../api/classification.js";
import { el } from "../../lib/dom.js";
import { webcam } from "../../parts/webcam.js";
import { bars } from "./answers.js";

const EVERY = 500;

// `options()` says whom to ask. Returns {node, stop}.
export function liveAnswers(options) {
  const video = el("video", { muted: true, playsinline: true, hidden: true, "aria-label": "The webcam" });
  const said = el("div", { class: "live-said" });
  const button = el("button", { class: "button small", type: "button" }, "Use the webcam");
  const camera = webcam(video);
  let turn = 0;

  function stop() {
    turn += 1;
    camera.stop();
    video.hidden = true;
    said.replaceChildren();
    button.textContent = "Use the webcam";
    button.removeAttribute("aria-pressed");
  }

  async function start() {
    const mine = ++turn;
    button.textContent = "Stop the webcam";
    button.setAttribute("aria-pressed", "true");
    if (!(await camera.start()) || mine !== turn) {
      if (mine === turn) {
        const problem = camera.problem();
        stop();
        said.replaceChildren(el("p", { class: "fault" }, problem));
      } else {
        camera.stop();
      }
      return;
    }
    video.hidden = false;
    while (mine === turn) {
      const begun = performance.now();
      await look(mine);
      await new Promise((resolve) => { setTimeout(resolve, Math.max(0, EVERY - (performance.now() - begun))); });
    }
  }

  async function look(mine) {
    if (document.hidden) return;
    try {
      const reply = await classification.classify(await camera.frame(), { ...options(), record: false });
      if (mine === turn) said.replaceChildren(bars(reply.answers));
    } catch (problem) {
      if (mine === turn) said.replaceChildren(el("p", { class: "fault" }, problem.message));
    }
  }

  button.addEventListener("click", () => (button.hasAttribute("aria-pressed") ? stop() : start()));
  return { node: el("div", { class: "live" }, button, video, said), stop };
}
