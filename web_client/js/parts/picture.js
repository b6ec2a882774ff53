// A picture as it is: small ones in hard squares, and words where it cannot be had.

import { el } from "../lib/dom.js";

const TINY = 64;

// `size`: its longest side on the page in pixels; null: as its place has it.
export function picture(address, { size = null, alt }) {
  const image = el("img", { src: address, alt, loading: "lazy", decoding: "async", class: "picture" });
  if (size !== null) {
    image.width = size;
    image.height = size;
  }
  image.addEventListener("load", () => {
    if (Math.max(image.naturalWidth, image.naturalHeight) < TINY) image.classList.add("tiny");
  });
  image.addEventListener("error", () => image.replaceWith(el("span", { class: "picture missing" }, alt)));
  return image;
}

// The same of a file that is only here; the browser lets go of it once it is drawn.
export function filePicture(blob, options) {
  const address = URL.createObjectURL(blob);
  const image = picture(address, options);
  for (const kind of ["load", "error"]) image.addEventListener(kind, () => URL.revokeObjectURL(address));
  image.loading = "eager";
  return image;
}
