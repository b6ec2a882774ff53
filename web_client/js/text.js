export * from "./lib/text.js";
