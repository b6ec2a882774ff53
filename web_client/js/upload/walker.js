// From what was dropped, picked or pasted to a stream of {path, file}, or {path, problem} of what
// cannot be read. Never all at once: a hundred thousand files are walked a few at a time.

import { isHidden } from "./folders.js";

const AT_ONCE = 32;

export async function* fromFiles(files) {
  for (let index = 0; index < files.length; index += 1) {
    const file = files[index];
    const path = file.webkitRelativePath || file.name;
    if (!isHidden(path)) yield { path, file };
  }
}

// Must be called in the drop event itself: the browser empties the list right after it.
export function fromDrop(transfer) {
  const entries = [...(transfer.items ?? [])].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  return entries.length === 0 ? fromFiles([...transfer.files]) : fromEntries(entries);
}

// Depth first, so that as few folders as possible are open at a time.
export async function* fromEntries(roots) {
  const open = [...roots].reverse();
  let files = [];
  while (open.length > 0) {
    const entry = open.pop();
    if (isHidden(entry.fullPath)) continue;
    if (entry.isFile) {
      files.push(entry);
      if (files.length < AT_ONCE && open.length > 0) continue;
    } else {
      const { children, problem } = await childrenOf(entry);
      if (problem) yield { path: pathOf(entry), problem };
      for (const child of children.reverse()) open.push(child);
      if (open.length > 0) continue;
    }
    yield* opened(files);
    files = [];
  }
  yield* opened(files);
}

const pathOf = (entry) => entry.fullPath.replace(/^\//, "");

async function* opened(entries) {
  yield* await Promise.all(entries.map(async (entry) => {
    const path = pathOf(entry);
    try {
      return { path, file: await new Promise((resolve, reject) => { entry.file(resolve, reject); }) };
    } catch (error) {
      return { path, problem: `cannot be read: ${error.name}` };
    }
  }));
}

// A reader hands out a hundred at a time, and nothing at the end. What it gave before it failed
// counts.
async function childrenOf(folder) {
  const reader = folder.createReader();
  const children = [];
  try {
    for (;;) {
      const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
      if (some.length === 0) return { children, problem: null };
      children.push(...some);
    }
  } catch (error) {
    return { children, problem: `this folder cannot be read: ${error.name}` };
  }
}
