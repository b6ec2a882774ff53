// How much room is left where the images are, and what is kept there.

import * as admin from "../../api/admin.js";
import { el, show, track } from "../../lib/dom.js";
import { bytes, number } from "../../lib/text.js";

// Returns {node, refresh}.
export function storagePanel() {
  const place = el("div", { id: "storage" });
  return {
    node: el("div", { class: "panel" }, el("h2", {}, "Storage"), place),
    async refresh() {
      const found = await admin.storage();
      show(place, JSON.stringify(found), () => figures(found));
    },
  };
}

function figures({ total_bytes: total, free_bytes: free, image_bytes: images, counts }) {
  const tile = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
  return [
    el("div", { class: "title-line" }, el("span", {}, `${bytes(free)} free of ${bytes(total)}`)),
    track((total - free) / Math.max(1, total), true),
    el("dl", { class: "tiles" },
      Object.entries(counts).map(([name, value]) => tile(name.replaceAll("_", " "), number(value))),
      images !== undefined && tile("bytes of images", bytes(images))),
  ];
}
