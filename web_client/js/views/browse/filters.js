// Which images are looked at: in the address of the page, in words, and as the API asks for it.

export const SPLITS = ["train", "validation", "test"];
export const SOURCES = new Map([
  ["person", "said by a person"], ["suggestion", "taken from the champion"], ["upload", "came with the file"],
  ["import", "came with an import"], ["capture", "supervised capture"], ["correction", "a corrected answer"], ["undo", "taken back"]]);
export const ORDERS = new Map([
  ["newest", "Newest first"], ["disagreement", "Likely errors first"],
  ["uncertain", "Unlabeled, most uncertain first"], ["confident", "Unlabeled, surest first"]]);

const oneOf = (names) => (text) => (names.includes(text) ? text : undefined);
const words = (text) => text || undefined;
const hash = (text) => (/^[0-9a-f]{64}$/.test(text) ? text : undefined);
const yesOrNo = (text) => (text === "1" ? true : text === "0" ? false : undefined);
function share(text) {
  const value = Number(text);
  return text !== "" && value >= 0 && value <= 100 ? value : undefined;
}

const FIELDS = {
  category: words, labeled: yesOrNo, split: oneOf(SPLITS), source: oneOf([...SOURCES.keys()]), who: words,
  group: hash, said: words, from: share, to: share, disagrees: yesOrNo, order: oneOf([...ORDERS.keys()]),
};

// Returns the filter that an address has; what it does not know is left out. Shares in percent.
export function read(query) {
  const filter = {};
  for (const [name, parse] of Object.entries(FIELDS)) {
    const value = query.has(name) ? parse(query.get(name)) : undefined;
    if (value !== undefined) filter[name] = value;
  }
  if (filter.order === "newest") delete filter.order;
  return filter;
}

// The other way, for an address.
export const write = (filter) => Object.fromEntries(Object.entries(filter).map(([name, value]) =>
  [name, value === true ? "1" : value === false ? "0" : String(value)]));

// As the API asks for it.
export function asked({ from, to, ...filter }) {
  return { ...filter, min_confidence: from === undefined ? undefined : from / 100, max_confidence: to === undefined ? undefined : to / 100 };
}

// As people say it.
export function sentence({ category, labeled, split, source, who, group, said, from, to, disagrees, order }) {
  const parts = [
    category !== undefined && `labeled ${category}`,
    labeled === false && "without a label", labeled === true && "with a label",
    split && `in ${split}`, source && SOURCES.get(source), who !== undefined && `by ${who}`,
    group !== undefined && "of one group that looks alike",
    said !== undefined && `the champion says ${said}`,
    (from !== undefined || to !== undefined) && `sure by ${from ?? 0} to ${to ?? 100} %`,
    disagrees === true && "the champion disagrees", disagrees === false && "the champion agrees",
    order && ORDERS.get(order).toLowerCase(),
  ].filter(Boolean);
  return parts.length ? parts.join(", ") : "all, newest first";
}
