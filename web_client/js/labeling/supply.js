// Where the images to label come from: the queue of the server, which gives the most useful ones
// first and none of them to two people at a time.

const MOST = 200; // that the server holds for one request
const HOLD_S = 300;

// `queue(dataset, request)` → {images, left, …}; `me` resolves to this tab's name. Gives every image
// once.
export function supply({ queue, dataset, me }) {
  const had = new Set();

  return {
    // Images that were not given out yet. The server counts those that this tab has and did not
    // label, `held`, among what it gives, and holds them on. `isCut`: there may be others once some
    // of those are labeled.
    async more(limit, held = 0) {
      const { images } = await queue(dataset, { client: await me, order: "uncertain", limit: Math.min(MOST, limit + held), hold_s: HOLD_S });
      const found = images.filter(({ image }) => !had.has(image));
      for (const { image } of found) had.add(image);
      return { found, isCut: limit + held > MOST && images.length >= MOST };
    },
  };
}
