// What was decided, step by step, and the way back without end.

const PAGE = 100;

// A step: {dataset, images: [{image, before, after, changed}]}, labels by name or null; `changed` is
// when the label was changed that was seen, and its own time once the server said it. `log`:
// {older(dataset, limit) → [{key, value}], the newest first, add(value) → key, put(value, key),
// remove(key)}.
export function undoLog(dataset, log) {
  let steps = []; // {key, value}, the newest last
  let undone = [];
  let hasAll = false;
  let filling = null;
  let writing = Promise.resolve();
  // What the server said, also of steps that are still in the log alone.
  const times = new Map();
  const lost = new Set();

  // One write after the other, so that a step is there before it is changed or taken out.
  const write = (work) => { writing = writing.then(work).catch(() => {}); return writing; };

  async function fill() {
    while (steps.length === 0 && !hasAll) {
      await writing;
      const older = await log.older(dataset, PAGE).catch(() => []);
      hasAll = older.length < PAGE;
      older.forEach(({ value }) => touch(value.images));
      steps = [...without(older.reverse(), lost), ...steps];
    }
  }

  // Gives images the time that the server said; says whether it is new.
  function touch(images) {
    const news = images.filter((one) => times.get(one.image) > (one.changed ?? 0));
    for (const one of news) one.changed = times.get(one.image);
    return news.length > 0;
  }

  const save = (step) => write(() => (step.key === null ? null : log.put(step.value, step.key)));
  const remove = (step) => write(() => (step.key === null ? null : log.remove(step.key)));

  // The steps that are left when some images are taken out of them.
  function without(found, images) {
    return found.filter((step) => {
      const left = step.value.images.filter(({ image }) => !images.has(image));
      if (left.length === step.value.images.length) return true;
      step.value.images = left;
      if (left.length) save(step);
      else remove(step);
      return left.length > 0;
    });
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
    // `images`: [{image, before, after, changed}]. Returns the step.
    did(images) {
      undone = [];
      return push(images);
    },
    // Adds to a step what belongs to it; says whether it is still there, and was not taken back.
    also(step, images) {
      if (!steps.includes(step)) return false;
      step.value.images.push(...images);
      save(step);
      return true;
    },
    // Returns [{image, category, seen}] that take the last step back, or null at the beginning.
    async undo() {
      // However often it is pressed meanwhile, what is older is read once.
      await (filling ??= fill().finally(() => { filling = null; }));
      const step = steps.pop();
      if (!step) return null;
      undone.push(step.value.images);
      remove(step);
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
      for (const { image, changed } of saved) times.set(image, changed);
      for (const step of steps) if (touch(step.value.images)) save(step);
      undone.forEach(touch);
    },
    // The server did not take what was decided about these images: their labels are of others, and
    // no step leads back to what was before them.
    lose(images) {
      const these = new Set(images);
      for (const image of these) lost.add(image);
      steps = without(steps, these);
      undone = undone.map((some) => some.filter(({ image }) => !these.has(image))).filter((some) => some.length);
    },
  };
}
