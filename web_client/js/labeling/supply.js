// Where the images to label come from: what the champion is least sure of, then those that it was
// not asked about, the newest first.

const ORDERS = ["uncertain", "newest"];

// `browse(dataset, filter, cursor, limit)` → {images, cursor}. Gives every image once.
export function supply(browse, dataset) {
  const had = new Set();
  let phase = 0;
  let cursor = null;

  return {
    // Images that were not given out yet, `limit` of them where there are so many.
    async more(limit) {
      const found = [];
      // From where it was to the end, and once from the start, where new ones are.
      let ends = phase === 0 && cursor === null ? 1 : 2;
      while (found.length < limit && ends > 0) {
        const page = await browse(dataset, { labeled: false, order: ORDERS[phase] }, cursor, limit);
        cursor = page.cursor;
        if (cursor === null) phase = (phase + 1) % ORDERS.length;
        if (cursor === null && phase === 0) ends -= 1;
        for (const one of page.images) {
          if (!had.has(one.image)) found.push(one);
          had.add(one.image);
        }
      }
      return found;
    },
    // Those that were skipped come again.
    again(images) {
      for (const { image } of images) had.delete(image);
    },
  };
}
