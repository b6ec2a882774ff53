export { poll } from "./shell/outages.js";
