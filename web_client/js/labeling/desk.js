// One desk for the whole page: whichever view labels, a decision goes the same way.

import { whoami } from "../api/admin.js";
import * as api from "../api/labels.js";
import { store } from "../lib/store.js";
import { delay } from "../upload/retry.js";
import { client } from "./client.js";
import { decisions } from "./decisions.js";
import { decisionLog, stepLog } from "./logs.js";
import { undoLog } from "./undo.js";

let made = null;

// {me, resumed, state, conflicts, said, label, decide, also, undo, redo, keepTheirs, takeMine, onChange}.
export const desk = () => (made ??= create());

function create() {
  const me = client();
  // `waiting` decisions are not saved yet; `problem` says why they wait.
  const state = store({ waiting: 0, saved: 0, problem: null });
  const conflicts = store({ list: [] }); // {dataset, theirs, mine}
  const said = new Map(); // "dataset/image" → {category, state: saving | saved | conflict | refused, changed, detail}
  const listeners = new Set();
  const steps = new Map(); // dataset → its undo log

  const nameOf = (dataset, image) => `${dataset}/${image}`;
  const tell = (dataset, images) => { for (const one of [...listeners]) one(dataset, images); };
  const undoOf = (dataset) => {
    if (!steps.has(dataset)) steps.set(dataset, undoLog(dataset, stepLog));
    return steps.get(dataset);
  };
  const note = (dataset, image, patch) =>
    said.set(nameOf(dataset, image), { ...said.get(nameOf(dataset, image)), ...patch });

  const sender = decisions({
    send: api.label,
    log: decisionLog(me),
    who: signer(),
    onResumed: (left) => { for (const one of left) saving(one.dataset, [one]); },
    onState: ({ waiting, problem }) => state.set({ waiting, problem: problem?.message ?? null }),
    onSaved(dataset, labeled) {
      for (const { image, category, changed, isLatest } of labeled) {
        // By another name, where the category was renamed or merged meanwhile.
        note(dataset, image, isLatest ? { category: category?.name ?? null, state: "saved", changed } : { changed });
      }
      undoOf(dataset).learn(labeled);
      state.set({ saved: state.get().saved + labeled.filter((one) => one.relabeled).length });
      tell(dataset, labeled.map((one) => one.image));
    },
    onConflict(dataset, found) {
      const images = found.map(({ theirs }) => theirs.image);
      const rest = conflicts.get().list.filter((one) => one.dataset !== dataset || !images.includes(one.theirs.image));
      for (const { theirs } of found) {
        note(dataset, theirs.image, { category: theirs.category?.name ?? null, state: "conflict", changed: theirs.changed });
      }
      conflicts.set({ list: [...rest, ...found.map((one) => ({ dataset, ...one }))] });
      undoOf(dataset).lose(images);
      tell(dataset, images);
    },
    onRefused(dataset, refused, problem) {
      const detail = problem?.message ?? "It is not in the dataset any more.";
      const images = refused.map((one) => one.image);
      for (const image of images) note(dataset, image, { category: undefined, state: "refused", detail });
      undoOf(dataset).lose(images);
      tell(dataset, images);
    },
  });

  function saving(dataset, made) {
    for (const { image, category } of made) note(dataset, image, { category, state: "saving", detail: null });
    tell(dataset, made.map((one) => one.image));
  }

  function send(dataset, made, source) {
    saving(dataset, made);
    return sender.decide(made.map((one) => ({ dataset, source, ...one })));
  }

  const changedOf = (dataset, image, changed) => Math.max(changed ?? 0, said.get(nameOf(dataset, image))?.changed ?? 0) || null;

  function plan(dataset, items, category) {
    const wanted = typeof category === "function" ? category : () => category;
    return items.map((item) => ({ image: item.image, before: desk.label(dataset, item), after: wanted(item), changed: changedOf(dataset, item.image, item.changed) }));
  }

  const decision = ({ image, after, changed }) => ({ image, category: after, seen: changed });

  function settle(conflict, images = [conflict.theirs.image]) {
    conflicts.set({ list: conflicts.get().list.filter((one) => one !== conflict) });
    tell(conflict.dataset, images);
  }

  const desk = {
    me,
    // Resolves when it is known what an earlier page decided and could not send.
    resumed: sender.resume(),
    state,
    conflicts,
    // What was decided here about an image, or undefined.
    said: (dataset, image) => said.get(nameOf(dataset, image)),
    // The label of an image (of a page of the API) as it stands, by name or null.
    label(dataset, item) {
      const here = said.get(nameOf(dataset, item.image));
      const isNewer = here && here.category !== undefined && (here.state === "saving" || (here.changed ?? 0) >= item.changed);
      return isNewer ? here.category : item.category?.name ?? null;
    },
    // `items`: images of a page of the API; `category` a name, null, or what gives it for an item.
    // Returns the step that takes it back.
    decide(dataset, items, category, source = "person") {
      const made = plan(dataset, items, category);
      const step = undoOf(dataset).did(made);
      send(dataset, made.map(decision), source);
      return step;
    },
    // More images of the same step, unless it was taken back meanwhile.
    also(step, dataset, items, category, source = "person") {
      const made = plan(dataset, items, category);
      if (undoOf(dataset).also(step, made)) send(dataset, made.map(decision), source);
    },
    // Return the images whose labels went back (or forth), or null where there is nothing.
    async undo(dataset) {
      const back = await undoOf(dataset).undo();
      if (back) send(dataset, back, "undo");
      return back;
    },
    redo(dataset) {
      const forth = undoOf(dataset).redo();
      if (forth) send(dataset, forth, "undo");
      return forth;
    },
    keepTheirs: (conflict) => { note(conflict.dataset, conflict.theirs.image, { state: "saved" }); settle(conflict); },
    takeMine(conflict) {
      const { dataset, theirs, mine } = conflict;
      const made = { image: theirs.image, before: theirs.category?.name ?? null, after: mine.category, changed: theirs.changed };
      settle(conflict);
      undoOf(dataset).did([made]);
      return send(dataset, [decision(made)], "person");
    },
    // `fn(dataset, images)` whenever something about them is new; returns what ends it.
    onChange(fn) {
      listeners.add(fn);
      return () => listeners.delete(fn);
    },
  };

  addEventListener("online", sender.again);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) sender.again(); });
  // A reload loses nothing where the log could be written; where it could not, this asks first.
  addEventListener("beforeunload", (event) => { if (state.get().waiting > 0 && state.get().problem) event.preventDefault(); });
  addEventListener("pagehide", sender.leave);
  return desk;
}

// Resolves to the name of the key that this page shows, null without keys, as soon as it can be known.
async function signer() {
  for (let tries = 1; ; tries += 1) {
    try {
      return (await whoami()).name;
    } catch (problem) {
      if (!problem.isPassing) return null;
      await new Promise((resolve) => { setTimeout(resolve, 1000 * delay(problem, tries)); });
    }
  }
}
