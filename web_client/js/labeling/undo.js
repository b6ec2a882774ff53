// What was decided, step by step, and the way back without end.

const PAGE = 100;

// A step: {dataset, images: [{image, before, after, changed}]}, labels by name or null; `changed`
// is null until the server said when it was. `log`: {older(before, limit) → [{key, value}] of the
// dataset, the newest first, add(value) → key, put(value, key), remove(key)}.
export function undoLog(dataset, log) {
  let steps = []; // {key, value}, the newest last
  let undone = [];
  let hasAll = false;
  let writing = Promise.resolve();

  // One write after the other, so that a step is there before it is changed or taken out.
  const write = (work) => { writing = writing.then(work).catch(() => {}); return writing; };

  async function fill() {
    if (steps.length || hasAll) return;
    await writing;
    const older = await log.older(dataset, PAGE).catch(() => []);
    hasAll = older.length < PAGE;
    if (steps.length === 0) steps = older.reverse();
  }

  function push(images) {
    const step = { key: null, value: { dataset, images } };
    steps.push(step);
    write(async () => { step.key = await log.add(step.value); });
    return step;
  }

  // What takes the images of a step to their labels of `to`.
  const turned = (step, to) => step.value.images.map(({ image, [to]: category, changed }) => ({ image, category, seen: changed }));

  return {
    // `images`: [{image, before, after}]. Returns the step.
    did(images) {
      undone = [];
      return push(images.map((one) => ({ ...one, changed: null })));
    },
    // Adds to a step what belongs to it; says whether it is still there, and was not taken back.
    also(step, images) {
      if (!steps.includes(step)) return false;
      step.value.images.push(...images.map((one) => ({ ...one, changed: null })));
      write(() => (step.key === null ? null : log.put(step.value, step.key)));
      return true;
    },
    // Returns [{image, category, seen}] that take the last step back, or null at the beginning.
    async undo() {
      await fill();
      const step = steps.pop();
      if (!step) return null;
      undone.push(step.value.images);
      write(() => (step.key === null ? null : log.remove(step.key)));
      return turned(step, "before");
    },
    // The other way, until something new is decided.
    redo() {
      const images = undone.pop();
      if (!images) return null;
      push(images);
      return turned(steps.at(-1), "after");
    },
    canRedo: () => undone.length > 0,
    // The server said when labels were changed: [{image, changed}].
    learn(saved) {
      const times = new Map(saved.map((one) => [one.image, one.changed]));
      const touch = (images) => images.filter((one) => times.has(one.image)).map((one) => { one.changed = times.get(one.image); return one; }).length > 0;
      for (const step of steps) {
        if (touch(step.value.images)) write(() => (step.key === null ? null : log.put(step.value, step.key)));
      }
      undone.forEach(touch);
    },
  };
}
