// From nothing to a served network, step by step, as long as a person wants to see it.

import { classifications, networks } from "../../api/classification.js";
import { EVOLUTION, address, call } from "../../api/http.js";
import * as images from "../../api/images.js";
import { el, show } from "../../lib/dom.js";
import { number } from "../../lib/text.js";
import { poll } from "../../shell/outages.js";
import { choose, may, remember, remembered, state } from "../../shell/state.js";

const KEY = "dicebox.tour";
const SAMPLE = "samples/digits.tar.gz";
const SAMPLE_NAME = "digits";
const SAMPLE_FILES = 1797;

// Returns {node, enter, leave}.
export function tour(context) {
  const node = el("div", { id: "tour" });
  const known = { hasRuns: false, hasChampion: false, hasCorrected: false, taking: null, fault: null };
  // It begins where nothing is, and stays until it is hidden.
  const isSeen = () => remembered(KEY) === "begun";
  const refresh = poll("Steps", 5000, async () => {
    if (!isSeen()) return;
    const [{ runs }, bred, corrected] = await Promise.all([
      may("evolve") ? call("GET", `${EVOLUTION}/runs`) : { runs: [] },
      networks(),
      classifications({ corrected: true, limit: 1 }),
    ]);
    known.hasRuns = runs.length > 0;
    known.hasChampion = bred.some((one) => one.champion);
    known.hasCorrected = corrected.classifications.length > 0;
    draw();
  });

  async function takeSample() {
    known.taking = 0;
    known.fault = null;
    draw();
    try {
      const archive = await (await fetch(address(SAMPLE))).blob();
      let last = null;
      await images.importArchive(SAMPLE_NAME, archive, (line) => {
        last = line;
        if ("outcome" in line) known.taking += 1;
        if (known.taking % 100 === 0) draw();
      });
      if (last?.complete === false) known.fault = last.detail;
      await context.refresh();
      choose(SAMPLE_NAME);
    } catch (problem) {
      known.fault = problem.message;
    }
    known.taking = null;
    draw();
  }

  function end() {
    remember(KEY, "over");
    draw();
  }

  function draw() {
    const { datasets, isLoaded } = state.get();
    const hasImages = datasets.some((one) => one.labeled > 0);
    if (isLoaded && !hasImages && remembered(KEY) === null) {
      remember(KEY, "begun");
      refresh.now();
    }
    node.hidden = !isSeen();
    show(node, JSON.stringify([isSeen(), hasImages, known, may("sensory:write")]), () =>
      isSeen() ? steps({ ...known, hasImages }, takeSample, end) : []);
  }

  state.subscribe(draw);
  draw();
  return { node, enter: () => { if (isSeen()) refresh.now(); }, leave: refresh.pause };
}

function steps({ hasImages, hasRuns, hasChampion, hasCorrected, taking, fault }, takeSample, end) {
  const done = [hasImages, hasRuns, hasChampion, hasCorrected];
  const now = done.indexOf(false);
  const step = (index, title, ...text) => el("li", { class: done[index] ? "done" : index === now ? "now" : false, "aria-current": index === now && "step" },
    el("strong", {}, title), el("p", {}, text));
  return el("section", { class: "panel tour", "aria-labelledby": "tour-title" },
    el("div", { class: "title-line" }, el("h2", { id: "tour-title" }, "From nothing to a network that answers"),
      el("button", { class: "button small", type: "button", "data-focus": "tour-end", onclick: end }, "Hide this")),
    el("ol", { class: "way" },
      step(0, "Images", "Pictures in folders, one folder per category. ",
        may("sensory:write") && (!hasImages || taking !== null) && ["None at hand? ", el("button", {
          class: "button small", type: "button", id: "take-sample", "data-focus": "take-sample", disabled: taking !== null, onclick: takeSample,
        }, taking === null ? `Take ${number(SAMPLE_FILES)} sample digits` : `${number(taking)} of ${number(SAMPLE_FILES)} digits`),
        el("small", {}, "Optical digits of E. Alpaydin and C. Kaynak, UCI repository, CC BY 4.0.")],
        fault && el("span", { class: "fault" }, ` ${fault}`)),
      step(1, "Evolve", "Networks are bred and trained on them; a minute is enough for small pictures. ", el("a", { href: "#evolve" }, "Start a run"), "."),
      step(2, "Serve", "The best one answers. ", el("a", { href: "#serve" }, "Show it a picture"), "."),
      step(3, "Correct", "Where it is wrong, say so: the next run learns from it.")),
    now < 0 && el("p", {}, "That is the whole way round. Correct some more, and breed again: a new network answers only where it is the better one."));
}
