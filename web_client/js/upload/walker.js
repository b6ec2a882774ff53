// From what was dropped, picked or pasted to a stream of {path, file}, or {path, problem} of what
// cannot be read. Never all at once: a hundred thousand files are walked a few at a time.

import { isHidden } from "./folders.js";

const AT_ONCE = 32;

// Empties the array, so that a file is let go of once it was taken.
export async function* fromFiles(files) {
  files.reverse();
  while (files.length > 0) {
    const file = files.pop();
    const path = file.webkitRelativePath || file.name;
    if (!isHidden(path)) yield { path, file };
  }
}

// Must be called in the drop event itself: the browser empties the list right after it.
export function fromDrop(transfer) {
  const entries = [...(transfer.items ?? [])].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  return entries.length === 0 ? fromFiles([...transfer.files]) : fromEntries(entries);
}

// Depth first, so that as few folders as possible are open at a time, and each a piece at a time.
export async function* fromEntries(roots) {
  const open = [{ children: [...roots].reverse(), more: async () => ({ children: [] }) }];
  let files = [];
  while (open.length > 0) {
    const level = open.at(-1);
    const entry = level.children.pop();
    if (entry === undefined) {
      const { children, problem } = await level.more();
      if (problem) yield { path: pathOf(level.folder), problem };
      level.children = children.reverse();
      if (children.length === 0) open.pop();
    } else if (isHidden(entry.fullPath)) {
      continue;
    } else if (!entry.isFile) {
      open.push({ folder: entry, children: [], more: pieces(entry) });
    } else if (files.push(entry) === AT_ONCE) {
      yield* opened(files);
      files = [];
    }
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
function pieces(folder) {
  const reader = folder.createReader();
  return async () => {
    try {
      return { children: await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); }) };
    } catch (error) {
      return { children: [], problem: `this folder cannot be read: ${error.name}` };
    }
  };
}
