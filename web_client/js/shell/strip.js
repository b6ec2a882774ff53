// How the services are, in three dots: from the admin API where the key may ask it. While nobody
// answers, what was known of them is not shown as if it were so still.

import { health } from "../api/admin.js";
import { el, show } from "../lib/dom.js";
import { poll } from "./outages.js";
import { may, state } from "./state.js";

const EVERY = 15_000;
const NAMES = new Map([["sensory", "Images"], ["evolution", "Runs"], ["classification", "Networks"]]);

export const serviceName = (path) => NAMES.get(path.split("/")[2]) ?? path;

export function strip(place) {
  const refresh = poll("Health", EVERY, async () => {
    try {
      state.set({ health: await health() });
    } catch (problem) {
      state.set({ health: state.get().health?.map(({ service }) => ({ service, ready: null, missing: {} })) ?? null });
      throw problem;
    }
  });
  const draw = () => {
    const { health: services } = state.get();
    place.hidden = !services;
    show(place, JSON.stringify(services), () => (services ?? []).map(dot));
  };
  state.subscribe(draw, (value) => value.health);
  state.subscribe(({ me }) => { if (me && may("admin")) refresh.now(); else refresh.pause(); }, (value) => value.me);
  draw();
}

function dot({ service, ready, missing }) {
  const name = serviceName(service);
  const why = Object.entries(missing).map(([part, text]) => `${part}: ${text}`).join(", ");
  const text = ready ? `${name}: ready` : ready === null ? `${name}: not known` : `${name}: not ready. ${why}`;
  return el("span", { class: ready ? "dot" : ready === null ? "dot unknown" : "dot off", title: text, role: "img", "aria-label": text });
}
