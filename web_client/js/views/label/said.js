// Whether what was decided is saved, and what somebody else said meanwhile.

import { imageAddress } from "../../api/images.js";
import { el, show } from "../../lib/dom.js";
import { ago, count } from "../../lib/text.js";

// One line: all is saved, is on its way, or waits and why.
export function savedLine(desk) {
  const node = el("p", { class: "saved-line", role: "status" });
  const draw = () => {
    const { waiting, saved, problem } = desk.state.get();
    node.classList.toggle("fault", problem !== null);
    node.textContent = problem ? `${count(waiting, "decision")} ${waiting === 1 ? "waits" : "wait"} to be saved. ${problem} Trying again.`
      : waiting ? `Saving ${waiting} …`
        : saved ? `${count(saved, "label")} saved` : "";
  };
  desk.state.subscribe(draw);
  draw();
  return node;
}

// Labels that another person gave first, to choose between theirs and one's own.
export function conflictList(desk) {
  const node = el("section", { class: "conflicts", "aria-label": "Other labels", hidden: true });
  const draw = () => {
    const { list } = desk.conflicts.get();
    node.hidden = list.length === 0;
    show(node, JSON.stringify(list), () => list.length === 0 ? [] : [
      el("h2", {}, `${count(list.length, "image")} got another label meanwhile`),
      el("ul", {}, list.map((one) => conflict(desk, one))),
    ]);
  };
  desk.conflicts.subscribe(draw);
  draw();
  return node;
}

function conflict(desk, one) {
  const { theirs, mine } = one;
  const label = (name) => el("strong", {}, name ?? "no label");
  return el("li", {},
    el("img", { src: imageAddress(theirs.image), alt: "" }),
    el("p", {}, theirs.who ?? "Somebody", " said ", label(theirs.category?.name), `, ${ago(theirs.changed)}. You said `, label(mine.category), "."),
    el("div", { class: "choices" },
      el("button", { class: "button small", type: "button", onclick: () => desk.keepTheirs(one) }, "Keep theirs"),
      el("button", { class: "button small", type: "button", onclick: () => desk.takeMine(one) }, "Take mine")));
}
