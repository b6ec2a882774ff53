// What the path of a file says about it.

const SPLITS = new Map([
  ["train", "train"], ["training", "train"],
  ["val", "validation"], ["valid", "validation"], ["validation", "validation"],
  ["test", "test"], ["testing", "test"],
]);

// `digits/train/7/a.png` → category 7, split train. A file right inside the dropped folder takes
// that folder's name; a folder named like a split is never a category.
export function labelOf(path) {
  const folders = path.split("/").filter(Boolean).slice(0, -1);
  const category = folders.pop() ?? null;
  if (category !== null && SPLITS.has(category.toLowerCase())) {
    return { category: null, split: SPLITS.get(category.toLowerCase()) };
  }
  return { category, split: SPLITS.get((folders.pop() ?? "").toLowerCase()) ?? null };
}

// Files that the system, and not a person, put beside the pictures.
export const isHidden = (path) =>
  path.split("/").some((part) => part.startsWith(".")) || /(^|\/)(Thumbs\.db|desktop\.ini)$/i.test(path);
