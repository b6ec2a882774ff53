// Which dataset the page is about, for the views that are not rewritten yet.

import { state } from "./shell/state.js";

export { choose, summary } from "./shell/state.js";

export const dataset = () => state.get().dataset;
export const datasets = () => state.get().datasets;
export const onDataset = (listener) => state.subscribe(listener);
