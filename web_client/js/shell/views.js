// The views: one line each. What is not in this list cannot be reached.
//
// `pips`: its face of the die; `styles`: files of css/; `load`: its module, which exports
// create(section, context) → {enter(place), leave(), keys?}.

export const VIEWS = [
  { name: "collect", title: "Collect", pips: 1, styles: ["collect"], load: () => import("../views/collect/view.js") },
  { name: "label", title: "Label", pips: 2, styles: ["grid", "label"], load: () => import("../views/label/view.js") },
  { name: "browse", title: "Browse", pips: 3, styles: ["grid", "label", "browse"], load: () => import("../views/browse/view.js") },
  { name: "evolve", title: "Evolve", pips: 4, styles: ["charts", "evolve"], load: () => import("../views/evolve/view.js") },
  { name: "serve", title: "Serve", pips: 5, styles: ["charts", "serve"], load: () => import("../views/serve/view.js") },
  { name: "admin", title: "Admin", pips: 6, styles: ["admin"], load: () => import("../views/admin/view.js") },
];
