// Where an individual comes from: its ancestors, what each step changed, what operators gained. Pure.

const MOST_NODES = 200;

// An individual and all its ancestors, the oldest first; `get(number)` may not know some.
export function ancestry(get, number) {
  const found = new Map();
  const wanted = [number];
  while (wanted.length) {
    const one = get(wanted.pop());
    if (!one || found.has(one.number)) continue;
    found.set(one.number, one);
    wanted.push(...one.parents);
  }
  return [...found.values()].sort((one, other) => one.number - other.number);
}

// The line of first parents, from the oldest to the individual itself.
export function mainLine(get, number) {
  const found = [];
  const seen = new Set();
  for (let one = get(number); one && !seen.has(one.number); one = get(one.parents[0])) {
    seen.add(one.number);
    found.unshift(one);
  }
  return found;
}

// Places ancestors in rows (generations) and columns; the main line has column 0. Those beyond
// what can be drawn are left out, the oldest first, and counted in `hidden`.
export function treeLayout(get, number, { most = MOST_NODES } = {}) {
  const all = ancestry(get, number);
  const line = new Set(mainLine(get, number).slice(-most).map((one) => one.number));
  const others = all.filter((one) => !line.has(one.number));
  const rest = others.slice(Math.max(0, others.length - (most - line.size)));
  const kept = new Map(all.filter((one) => line.has(one.number)).concat(rest)
    .sort((one, other) => one.number - other.number).map((one) => [one.number, one]));
  const rows = new Map();
  const taken = new Map();
  const nodes = [...kept.values()].map((one) => {
    const row = 1 + Math.max(-1, ...one.parents.filter((parent) => rows.has(parent)).map((parent) => rows.get(parent)));
    rows.set(one.number, row);
    const isMain = line.has(one.number);
    const column = isMain ? 0 : (taken.get(row) ?? 0) + 1;
    if (!isMain) taken.set(row, column);
    return { number: one.number, row, column, isMain, one };
  });
  const edges = nodes.flatMap(({ number: child, one }) =>
    one.parents.filter((parent) => kept.has(parent)).map((parent) => ({ from: parent, to: child })));
  return {
    nodes, edges, hidden: all.length - kept.size,
    rows: 1 + Math.max(0, ...nodes.map((node) => node.row)), columns: 1 + Math.max(0, ...nodes.map((node) => node.column)),
  };
}

// What a child has that its parent has not, as sentences without an end.
export function differences(before, after) {
  const found = [];
  for (const part of ["features", "classifier"]) found.push(...listDifferences(part, before[part] ?? [], after[part] ?? []));
  for (const [name, value] of Object.entries(after)) {
    if (["features", "classifier", "version"].includes(name)) continue;
    found.push(...valueDifferences(name, before[name], value));
  }
  return found;
}

function valueDifferences(name, before, after) {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  if (after !== null && typeof after === "object") {
    return Object.entries(after).flatMap(([key, value]) =>
      valueDifferences(name === "training" ? key : `${name} ${key}`, before?.[key], value));
  }
  return [`${name.replaceAll("_", " ")} ${said(before)} → ${said(after)}`];
}

const said = (value) =>
  typeof value === "number" ? String(Number(value.toPrecision(4))) : typeof value === "boolean" ? (value ? "on" : "off") : String(value ?? "none");

// Genes that are the same in both keep their order; what lies between them was changed in place
// where the kinds agree, else taken out or put in.
function listDifferences(part, before, after) {
  const found = [];
  let one = 0;
  let other = 0;
  for (const [left, right] of [...common(before, after), [before.length, after.length]]) {
    while (one < left || other < right) {
      const gone = one < left ? before[one] : null;
      const come = other < right ? after[other] : null;
      if (gone && come && gone.type === come.type) {
        found.push(`${gone.type} ${other + 1}: ${geneDifference(gone, come)}`);
        one += 1;
        other += 1;
      } else if (gone && (!come || left - one >= right - other)) {
        found.push(`${part}: ${gene(gone)} taken out`);
        one += 1;
      } else {
        found.push(`${part}: ${gene(come)} put in`);
        other += 1;
      }
    }
    one = left + 1;
    other = right + 1;
  }
  return found;
}

// Pairs of places of the longest common subsequence.
function common(before, after) {
  const text = (list) => list.map((value) => JSON.stringify(value));
  const [left, right] = [text(before), text(after)];
  const length = Array.from({ length: left.length + 1 }, () => new Uint16Array(right.length + 1));
  for (let i = left.length - 1; i >= 0; i -= 1) {
    for (let j = right.length - 1; j >= 0; j -= 1) {
      length[i][j] = left[i] === right[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
    }
  }
  const found = [];
  for (let i = 0, j = 0; i < left.length && j < right.length;) {
    if (left[i] === right[j]) { found.push([i, j]); i += 1; j += 1; }
    else if (length[i + 1][j] >= length[i][j + 1]) i += 1;
    else j += 1;
  }
  return found;
}

const geneDifference = (before, after) =>
  Object.keys(after).filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
    .map((name) => `${name} ${said(before[name])} → ${said(after[name])}`).join(", ");

const gene = (value) => `${value.type} ${value.filters ?? value.units ?? value.size ?? value.rate ?? ""}`.trim();

// [{operator, tried, failed, gained, gain}]: how often children were better than their best parent,
// and by how much the best of them. A child of several operators counts for each.
export function operators(individuals) {
  const byNumber = new Map(individuals.map((one) => [one.number, one]));
  const found = new Map();
  for (const one of individuals) {
    if (one.state !== "finished") continue;
    const parents = one.parents.map((number) => byNumber.get(number)?.fitness ?? null).filter((value) => value !== null);
    const hasFailed = one.fitness === null || one.fitness === undefined;
    const gain = hasFailed || parents.length === 0 ? 0 : one.fitness - Math.max(...parents);
    for (const operator of new Set(one.operator.split("+"))) {
      const row = found.get(operator) ?? { operator, tried: 0, failed: 0, gained: 0, gain: 0 };
      found.set(operator, row);
      row.tried += 1;
      if (hasFailed) row.failed += 1;
      if (gain > 0) { row.gained += 1; row.gain = Math.max(row.gain, gain); }
    }
  }
  return [...found.values()].sort((one, other) => other.tried - one.tried);
}
