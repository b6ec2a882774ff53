// Keeps a journal up to date while somebody looks: the listing first, then what happens.

import * as evolution from "../../api/evolution.js";
import { Problem } from "../../api/http.js";
import { yieldToPage } from "../../lib/frame.js";
import { report } from "../../shell/outages.js";
import { isLive } from "./requests.js";
import { parser } from "./stream.js";

const PAGE = 100; // one answer must not hold up a frame
const POLL = 2000;
const LISTING = 1000; // births come in no event; they are asked for at most this often
const TRY_AGAIN = 30_000; // all places to listen were taken
const UNSEEN = 30_000;
const OVERLAP = 5; // seconds; an end may be written a little after a later one
const SILENCE = 30_000; // a beat comes every five seconds

// Follows a run until `stop()`. `onRun(run)` comes with every state of it, `onChange()` when the
// journal has news, `onMode("live" | "polling" | "ended" | "away")` with how it is followed.
export function follow(id, journal, { onRun, onChange, onMode }) {
  const over = new AbortController();
  let listening = null;
  let unseen = null;
  let lastListing = -Infinity;
  let soon = null;

  function look() {
    clearTimeout(unseen);
    if (document.hidden) unseen = setTimeout(() => listening?.abort(), UNSEEN);
  }
  document.addEventListener("visibilitychange", look);
  over.signal.addEventListener("abort", () => {
    document.removeEventListener("visibilitychange", look);
    clearTimeout(unseen);
    clearTimeout(soon);
    listening?.abort();
  });

  async function list(after = journal.after()) {
    lastListing = performance.now();
    for (let from = after; ;) {
      const found = await evolution.individuals(id, { after: from, limit: PAGE, signal: over.signal });
      if (found.length === 0) return;
      journal.learn(found);
      onChange();
      from = found.at(-1).number;
      if (found.length < PAGE) return;
      await yieldToPage();
    }
  }

  // Asks for those who are new, soon, but not for each of them on its own.
  function listSoon() {
    if (soon !== null) return;
    soon = setTimeout(async () => {
      soon = null;
      await list(journal.last()).catch(() => {});
    }, Math.max(0, lastListing + LISTING - performance.now()));
  }

  function learnRun(run) {
    if (run.progress.births > journal.last()) listSoon();
    onRun(run);
  }

  function take({ event, data }) {
    if (event === "run" && data) {
      const run = JSON.parse(data);
      learnRun(run);
      return run;
    }
    if (event === "training" && data) {
      if (journal.ended(JSON.parse(data))) onChange();
      else listSoon();
    }
    return null;
  }

  // Returns "ended", "full" (as many listen as can) or "broken".
  async function listen() {
    listening = new AbortController();
    let silent = null;
    const hear = () => {
      clearTimeout(silent);
      silent = setTimeout(() => listening?.abort(), SILENCE);
    };
    try {
      hear();
      const place = Math.max(0, journal.place() - OVERLAP);
      const response = await fetch(evolution.eventsAddress(id), {
        signal: listening.signal, headers: { Accept: "text/event-stream", "Last-Event-ID": String(place) },
      });
      if (response.status === 204) return "full";
      if (!response.ok) throw new Problem(response.status, "error", `The service answered ${response.status}.`);
      onMode("live");
      report("Runs", null);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const parse = parser();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return "broken";
        hear();
        for (const event of parse(value)) {
          const run = take(event);
          if (run && !isLive(run)) return "ended";
        }
      }
    } finally {
      clearTimeout(silent);
      listening?.abort();
      listening = null;
    }
  }

  async function poll() {
    const until = performance.now() + TRY_AGAIN;
    while (!over.signal.aborted && performance.now() < until) {
      await seen();
      const run = await evolution.run(id, { signal: over.signal });
      report("Runs", null);
      await list();
      onRun(run);
      if (!isLive(run)) return "ended";
      await wait(POLL);
    }
    return "again";
  }

  const wait = (milliseconds) => new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    over.signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
  const seen = () => new Promise((resolve) => {
    if (!document.hidden || over.signal.aborted) return resolve();
    const turn = () => { document.removeEventListener("visibilitychange", turn); resolve(); };
    document.addEventListener("visibilitychange", turn);
    over.signal.addEventListener("abort", turn, { once: true });
    return undefined;
  });

  async function go() {
    let failures = 0;
    while (!over.signal.aborted) {
      try {
        // Who is not let in is asked for a key here, and what was missed is caught up with.
        const run = await evolution.run(id, { signal: over.signal });
        await list();
        learnRun(run);
        failures = 0;
        let end = isLive(run) ? await listen() : "ended";
        if (end === "full") {
          onMode("polling");
          end = await poll();
        }
        if (end === "ended") {
          await list(0);
          onRun(await evolution.run(id, { signal: over.signal }));
          report("Runs", null);
          onMode("ended");
          return;
        }
      } catch (problem) {
        if (over.signal.aborted) return;
        if (problem instanceof Problem && !problem.isPassing) {
          report("Runs", problem);
          onMode("ended");
          return;
        }
        if (problem instanceof Problem) report("Runs", problem);
        if (!document.hidden) onMode("away");
      }
      await seen();
      failures += 1;
      await wait(Math.min(20_000, 500 * 2 ** Math.min(failures, 6)));
    }
  }

  go();
  return { stop: () => { over.abort(); report("Runs", null); } };
}
