// Counts of a dataset as a table, from what the server says about its cells.

import { SPLITS } from "./filters.js";

// `cells`: [{category, split, images, disagreeing}]. Returns {rows: [{name, splits, none, images,
// disagreeing}], largest, ratio}: a row for each category and one, with name null, for no label;
// `ratio` is how many times larger the largest category is than the smallest, null of fewer than two.
export function spread(cells) {
  const rows = new Map();
  for (const { category, split, images, disagreeing } of cells) {
    const key = category?.id ?? null;
    if (!rows.has(key)) rows.set(key, { name: category?.name ?? null, splits: Object.fromEntries(SPLITS.map((one) => [one, 0])), none: 0, images: 0, disagreeing: 0 });
    const row = rows.get(key);
    if (split === null) row.none += images;
    else row.splits[split] += images;
    row.images += images;
    row.disagreeing += disagreeing;
  }
  const all = [...rows.values()].sort((one, other) => (one.name === null) - (other.name === null));
  const sizes = all.filter((row) => row.name !== null && row.images > 0).map((row) => row.images);
  return {
    rows: all,
    largest: Math.max(1, ...all.map((row) => row.images)),
    ratio: sizes.length > 1 ? Math.max(...sizes) / Math.min(...sizes) : null,
  };
}
