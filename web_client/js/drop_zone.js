export * from "./parts/drop_zone.js";
