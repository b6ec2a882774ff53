// What a run did, as the page keeps it: fed by listings and events, read by what draws. Pure.

export const WAITING = 0;
export const JUDGED = 1;
export const FAILED = 2;

const FIRST_ROOM = 256;
const SHOWN = ["outcome", "reason", "accuracy", "loss", "epochs", "seconds", "worker"];

// Numbers of individuals count from 1 on; columns have number n in place n - 1.
export function journal() {
  const known = new Map();
  let columns = room(FIRST_ROOM);
  let count = 0;
  let version = 0;
  let ends = null; // trainings that ended, in the order of their ends; null: to be made anew

  function put(one) {
    known.set(one.number, one);
    if (one.number > columns.state.length) columns = room(2 * one.number, columns);
    count = Math.max(count, one.number);
    const at = one.number - 1;
    columns.fitness[at] = one.fitness ?? NaN;
    columns.parameters[at] = one.parameters ?? NaN;
    columns.latency[at] = one.latency_us ?? NaN;
    columns.state[at] = stateOf(one);
  }

  return {
    // Takes individuals as the service lists them.
    learn(individuals) {
      for (const one of individuals) put(one);
      if (individuals.length) { version += 1; ends = null; }
    },
    // Takes the end of a training; false: of somebody who is not known yet.
    ended({ number, evaluation }) {
      const one = known.get(number);
      if (!one) return false;
      put(withEvaluation(one, evaluation));
      version += 1;
      ends = null;
      return true;
    },
    get: (number) => known.get(number) ?? null,
    all: () => [...known.values()].sort((one, other) => one.number - other.number),
    size: () => known.size,
    last: () => count,
    // Changes whenever anything does.
    version: () => version,
    columns: () => ({ ...columns, count }),
    // {xs, ys, last}: the records by "candidate", "seconds" or "epochs".
    best(axis) {
      if (axis === "candidate") return bestByNumber(columns, count);
      ends ??= endsOf(known.values());
      return bestByEnd(ends, axis);
    },
    // {xs, ys, numbers} of all who were judged, by number.
    dots: () => dotsOf(columns, count),
    failures: () => failuresOf(known.values()),
    // When the latest training ended that is known; 0 without any.
    place() {
      ends ??= endsOf(known.values());
      return ends.at(-1)?.ended ?? 0;
    },
    // After whom listings may bring news: before the first who is not judged yet.
    after() {
      for (let at = 0; at < count; at += 1) if (columns.state[at] === WAITING) return at;
      return count;
    },
  };
}

function room(size, before = null) {
  const made = {
    fitness: new Float64Array(size).fill(NaN), parameters: new Float64Array(size).fill(NaN),
    latency: new Float64Array(size).fill(NaN), state: new Uint8Array(size),
  };
  if (before) for (const name of Object.keys(made)) made[name].set(before[name]);
  return made;
}

function stateOf(one) {
  if (one.state !== "finished") return WAITING;
  return Number.isFinite(one.fitness) && one.fitness !== null ? JUDGED : FAILED;
}

const isJudged = (evaluation) => evaluation.outcome === "ok" && evaluation.accuracy !== null;
const orderOf = (evaluation) => (evaluation.rung === "final" ? Infinity : Number(evaluation.rung));

// The individual with one rung replaced or added; its own figures follow, as at the service.
export function withEvaluation(one, evaluation) {
  const evaluations = [...one.evaluations.filter((other) => other.rung !== evaluation.rung), evaluation]
    .sort((a, b) => orderOf(a) - orderOf(b));
  const first = evaluations.find((other) => other.rung === "1");
  if (!first) return { ...one, evaluations };
  const best = evaluations.filter(isJudged)
    .reduce((found, other) => (found === null || rank(other) > rank(found) ? other : found), null) ?? first;
  const seen = evaluations.filter((other) => other.rung !== "final" && other.accuracy);
  const shown = Object.fromEntries(SHOWN.map((name) => [name, best[name]]));
  return { ...one, ...shown, evaluations, state: first.state, fitness: (seen.at(-1) ?? first).accuracy };
}

const rank = (evaluation) => evaluation.accuracy - 1e-9 * (evaluation.loss ?? 0);

function bestByNumber({ fitness, state }, count) {
  const found = { xs: [], ys: [], last: count };
  let best = -Infinity;
  for (let at = 0; at < count; at += 1) {
    if (state[at] === JUDGED && fitness[at] > best) {
      best = fitness[at];
      found.xs.push(at + 1);
      found.ys.push(best);
    }
  }
  return found;
}

function dotsOf({ fitness, state }, count) {
  const found = { xs: [], ys: [], numbers: [] };
  for (let at = 0; at < count; at += 1) {
    if (state[at] !== JUDGED) continue;
    found.xs.push(at + 1);
    found.ys.push(fitness[at]);
    found.numbers.push(at + 1);
  }
  return found;
}

// Trainings of the search that ended, the earliest first, each with what all cost until then.
export function endsOf(individuals) {
  const found = [];
  for (const one of individuals) {
    let below = 0;
    for (const evaluation of one.evaluations) {
      const epochs = evaluation.epochs ?? 0;
      if (evaluation.ended !== null && evaluation.ended !== undefined) {
        const own = evaluation.cached ? 0 : Math.max(0, epochs - (evaluation.resumed ? below : 0));
        found.push({ number: one.number, rung: evaluation.rung, ended: evaluation.ended, seconds: evaluation.at ?? null,
          own, accuracy: isJudged(evaluation) && evaluation.rung !== "final" ? evaluation.accuracy : null });
      }
      below = epochs;
    }
  }
  found.sort((one, other) => one.ended - other.ended);
  let epochs = 0;
  for (const end of found) { epochs += end.own; end.epochs = epochs; }
  return found;
}

function bestByEnd(ends, axis) {
  const found = { xs: [], ys: [], last: 0 };
  let best = -Infinity;
  for (const end of ends) {
    const x = end[axis];
    if (x === null) continue;
    found.last = Math.max(found.last, x);
    if (end.accuracy === null || end.accuracy <= best) continue;
    best = end.accuracy;
    found.xs.push(x);
    found.ys.push(best);
  }
  return found;
}

// [{text, numbers}]: why trainings failed, the most frequent reason first.
export function failuresOf(individuals) {
  const found = new Map();
  for (const one of individuals) {
    if (one.state !== "finished" || !one.outcome || one.outcome === "ok") continue;
    const text = one.reason ? `${one.outcome}: ${one.reason}` : one.outcome;
    if (found.has(text)) found.get(text).push(one.number);
    else found.set(text, [one.number]);
  }
  return [...found].map(([text, numbers]) => ({ text, numbers })).sort((one, other) => other.numbers.length - one.numbers.length);
}
