// `show` by value, for the views that are not rewritten yet.

import { show as showBy } from "./lib/dom.js";

export { el, svg, track } from "./lib/dom.js";

export const show = (place, value, build) => showBy(place, JSON.stringify(value), () => build(value));
