// Asks again and again while the page is looked at, and says which service is away.

import { el, show } from "../lib/dom.js";

const outages = new Map();
const LONGEST = 60_000;

// `ask()` every so often; returns {now, pause}. A service that is away is asked a little later each
// time, at once when the network is back.
export function poll(service, milliseconds, ask) {
  let timer = null;
  let isAsking = false;
  let wantsMore = false;
  let isPaused = true;
  let failures = 0;

  async function turn() {
    clearTimeout(timer);
    if (isAsking) {
      wantsMore = true;
      return;
    }
    isAsking = true;
    try {
      await ask();
      failures = 0;
      report(service, null);
    } catch (problem) {
      failures += 1;
      report(service, problem);
    }
    isAsking = false;
    if (wantsMore) {
      wantsMore = false;
      await turn();
    } else if (!isPaused) {
      const wait = failures < 5 ? milliseconds : Math.min(LONGEST, milliseconds * 2 ** (failures - 4));
      timer = setTimeout(() => !document.hidden && !isPaused && turn(), wait);
    }
  }

  const again = () => { if (!document.hidden && !isPaused) turn(); };
  document.addEventListener("visibilitychange", again);
  addEventListener("online", again);
  return {
    now: () => { isPaused = false; return turn(); },
    pause: () => { isPaused = true; clearTimeout(timer); },
  };
}

// Shows or takes back the line of a service; `problem` null: it answers.
export function report(service, problem) {
  if (problem && !problem.isPassing) console.error(problem);
  const text = problem ? `${service}: ${problem.message} Trying again.` : null;
  if ((outages.get(service) ?? null) === text) return;
  if (text) outages.set(service, text);
  else outages.delete(service);
  const lines = [...outages.values()];
  show(document.getElementById("outages"), lines.join("\n"), () =>
    lines.map((line) => el("p", { class: "notice bad" }, line)));
}
