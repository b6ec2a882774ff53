// View: ask the champion, choose who it is, see what it answered and correct it.
//
// `#serve`, `#serve/NETWORK` (its card), `#serve/trials`, `#serve/answers?order=uncertain`.

import * as classification from "../../api/classification.js";
import { el, show } from "../../lib/dom.js";
import { poll } from "../../shell/outages.js";
import { askPanel } from "./ask.js";
import { cardPanel } from "./card.js";
import { gallery } from "./gallery.js";
import { historyTab } from "./history.js";
import { labelOf, trialsTab } from "./trials.js";

const EVERY = 3000;
const LOOK_AGAIN = 30_000; // at a network that was not examined yet
const MOST_EXAMINED = 20;
const TABS = [["", "Ask and choose"], ["trials", "Trials"], ["answers", "Answers"]];

export function create(section, { state, say }) {
  let networks = [];
  let place = { path: [], query: new Map() };
  let isShown = false;
  const examinations = new Map(); // network → {found, at}
  const examined = (id) => examinations.get(id)?.found ?? null;
  const refresh = poll("Networks", EVERY, learn);

  const asking = askPanel(section, { state });
  const list = gallery({ changed: () => refresh.now(), examined });
  const card = cardPanel({ changed: () => refresh.now(), say });
  const trials = trialsTab({ state, label: labelOf(() => networks), say });
  const history = historyTab({ state });
  const tabs = el("nav", { class: "tabs", "aria-label": "About answers" });
  const first = el("div", { class: "columns" }, asking.node, el("div", { class: "stack" }, card.node, list.node));
  const places = new Map([["", first], ["trials", trials.node], ["answers", history.node]]);
  section.append(
    el("div", { class: "heading" }, el("h1", {}, "Serve"),
      el("p", {}, "The champion answers. Promote another network, and it answers the next request.")),
    tabs, ...places.values());

  const tab = () => (places.has(place.path[0]) ? place.path[0] : "");
  const chosen = () => (tab() === "" ? place.path[0] ?? null : null);

  async function learn() {
    const { dataset } = state.get();
    networks = dataset ? await classification.networks(dataset) : [];
    asking.learn(networks);
    draw();
    if (tab() === "trials") await trials.refresh();
    if (tab() === "answers") await history.refresh();
    if (tab() === "") await examine();
  }

  // One after another; what was found stays true for ever.
  async function examine() {
    const wanted = networks.slice(0, MOST_EXAMINED).map((one) => one.network);
    if (chosen() && networks.some((one) => one.network === chosen())) wanted.unshift(chosen());
    for (const id of wanted) {
      const known = examinations.get(id);
      if (known?.found || (known && performance.now() - known.at < LOOK_AGAIN)) continue;
      examinations.set(id, { found: await classification.examination(id), at: performance.now() });
      draw();
    }
  }

  function draw() {
    if (!isShown) return;
    list.draw(networks, chosen());
    const entry = networks.find((one) => one.network === chosen() || (one.name && one.name === chosen())) ?? null;
    card.draw(entry, entry && examined(entry.network));
  }

  function turn() {
    show(tabs, tab(), () => TABS.map(([name, title]) => el("a", {
      href: name ? `#serve/${name}` : "#serve", "aria-current": name === tab() && "page", "data-focus": `tab-${name}`,
    }, title)));
    for (const [name, node] of places) node.hidden = name !== tab();
    if (tab() !== "") asking.leave();
    if (tab() === "answers") history.turn(place.query);
    draw();
  }

  state.subscribe(() => {
    if (!isShown) return;
    refresh.now();
    if (tab() === "answers") history.turn(place.query);
  }, (value) => value.dataset);

  return {
    enter(next) {
      place = next;
      isShown = true;
      turn();
      refresh.now();
    },
    leave() {
      isShown = false;
      asking.leave();
      refresh.pause();
    },
  };
}
