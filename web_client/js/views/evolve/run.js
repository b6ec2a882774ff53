// One run: its head, its tabs, and the journal that is kept up to date while it is looked at.

import { el, show, clear } from "../../lib/dom.js";
import { every } from "../../lib/frame.js";
import { count, moment, size } from "../../lib/text.js";
import { format, go } from "../../shell/router.js";
import { may } from "../../shell/state.js";
import { follow } from "./events.js";
import { front } from "./front.js";
import { individualPanel } from "./individual.js";
import { journal as newJournal } from "./journal.js";
import { lineage } from "./lineage.js";
import { overview } from "./overview.js";
import { badge } from "./parts.js";
import { population } from "./population.js";
import { report } from "./report.js";
import { budgetOf, isLive } from "./requests.js";

const DRAWS = 200; // milliseconds; five times a second is as often as anybody reads
const TABS = [
  { name: "", title: "Overview", make: overview }, { name: "population", title: "Population", make: population },
  { name: "front", title: "Front", make: front }, { name: "lineage", title: "Lineage", make: lineage },
  { name: "report", title: "Report", make: report },
];
const MODES = new Map([["live", "live"], ["polling", "every 2 s"], ["away", "waits for the service"]]);

// `actions`: {stop(run), resume(run)}; `onRun(run)` is told what is heard of it.
// Returns {turn(tab, query), learn(run), close}.
export function runPanel(place, first, { actions, onRun, say }) {
  let run = first;
  let mode = null;
  let tab = null; // {name, view, body}
  let query = new Map();
  let focus = false;
  const journal = newJournal();
  const head = el("div", { class: "stack" });
  const tabs = el("nav", { class: "tabs no-print", "aria-label": "About this run" });
  const body = el("div", { class: "stack" });
  const detail = el("div");
  clear(place);
  place.append(head, tabs, body, detail);

  const chosen = () => Number(query.get("of")) || null;
  const href = (changes, name = tab?.name ?? "") =>
    format({ view: "evolve", path: name ? [run.id, name] : [run.id], query: { ...Object.fromEntries(query), ...changes } });
  const context = {
    run: () => run, journal, href, chosen,
    choose: (number) => go(href({ of: number }, tab.name || "population")),
  };
  const draw = every(DRAWS, drawNow);
  const follower = () => follow(run.id, journal, {
    onRun(next) { run = next; onRun(next); draw.ask(); },
    onChange: draw.ask,
    onMode(next) { mode = next; draw.ask(); },
  });
  let following = follower();

  function drawNow() {
    show(head, JSON.stringify([run.id, run.state, mode, run.request.dataset]), () => title(run, mode, actions));
    tab?.view.draw();
    drawDetail();
  }

  function drawDetail() {
    const one = chosen() === null ? null : journal.get(chosen());
    const key = one ? JSON.stringify([one.number, one.fitness, one.state, one.evaluations.length]) : null;
    show(detail, key, () => (one ? individualPanel(run, one, {
      get: journal.get, href, say, open: (started) => go(format({ view: "evolve", path: [started.id] })),
    }) : []));
    if (one && focus) {
      focus = false;
      detail.querySelector("h3").focus({ preventScroll: true });
      detail.scrollIntoView({ block: "nearest" });
    }
  }

  return {
    turn(name, next) {
      const entry = TABS.find((one) => one.name === name) ?? TABS[0];
      focus = next.get("of") !== undefined && next.get("of") !== query.get("of");
      query = next;
      if (tab?.name !== entry.name) {
        tab?.view.destroy();
        clear(body);
        tab = { name: entry.name, view: entry.make(body, context) };
      }
      show(tabs, `${entry.name}/${chosen()}`, () => TABS.map((one) => el("a", {
        href: href({}, one.name), "aria-current": one.name === entry.name && "page", "data-focus": `tab-${one.name}`,
      }, one.title)));
      drawNow();
    },
    // What a list says of it; who listens hears it earlier.
    learn(next) {
      if (mode === "live") return;
      run = next;
      draw.ask();
      // It had ended, and somebody has it go on.
      if (mode === "ended" && isLive(next)) {
        following.stop();
        mode = null;
        following = follower();
      }
    },
    close() {
      following.stop();
      draw.stop();
      tab?.view.destroy();
    },
  };
}

function title(run, mode, actions) {
  const stop = el("button", {
    class: "button small", type: "button", "data-focus": "stop", onclick: () => actions.stop(run),
  }, "Stop with the best so far");
  const resume = el("button", {
    class: "button small", type: "button", "data-focus": "resume", onclick: () => actions.resume(run),
  }, "Go on where it was");
  const isLeft = run.state === "interrupted" || run.state === "failed";
  const said = isLive(run) ? MODES.get(mode) : null;
  return [
    el("div", { class: "title-line" },
      el("h2", {}, run.request.dataset, " ", badge(run), said ? el("span", { class: `mode ${mode}` }, said) : null),
      !may("evolve") ? null : isLive(run) ? stop : isLeft ? resume : null),
    facts(run),
  ];
}

function facts(run) {
  const { request, shape } = run;
  const text = [
    `started ${moment(run.created)}`, `${budgetOf(request)} of ${request.strategy}`,
    shape ? `input ${size(shape)}` : "", `seed ${request.seed}`,
    request.start ? count(request.start.length, "given genome") : "",
  ];
  return el("p", { class: "hint" }, text.filter(Boolean).join(" · "));
}
