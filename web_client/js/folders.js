// From what was dropped or picked to a flat list of {file, category, split}.

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

const isHidden = (path) => path.split("/").some((part) => part.startsWith(".")) || path.endsWith("Thumbs.db");

export function fromPicker(files) {
  return [...files]
    .map((file) => ({ file, path: file.webkitRelativePath || file.name }))
    .filter(({ path }) => !isHidden(path))
    .map(({ file, path }) => ({ file, ...labelOf(path) }));
}

// Must be called in the drop event itself: the browser empties the list right after it.
export async function fromDrop(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return fromPicker(transfer.files);
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return found.map(({ file, path }) => ({ file, ...labelOf(path) }));
}

async function walk(entry, found) {
  if (isHidden(entry.fullPath)) return;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ file, path: entry.fullPath });
    return;
  }
  const reader = entry.createReader();
  // A reader hands out a hundred at a time, and nothing at the end.
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const child of some) await walk(child, found);
  }
}
