// How each service is, and what it has to do.

import { el, show } from "../../lib/dom.js";
import { number } from "../../lib/text.js";
import { state } from "../../shell/state.js";
import { serviceName } from "../../shell/strip.js";

export function healthPanel() {
  const list = el("ul", { class: "list", id: "health" });
  const draw = () => {
    const { health } = state.get();
    show(list, JSON.stringify(health), () => (health ?? []).map(line));
  };
  state.subscribe(draw, (value) => value.health);
  draw();
  return el("div", { class: "panel" }, el("h2", {}, "Services"), list);
}

function line({ service, ready, missing, figures = {} }) {
  return el("li", { class: "service" },
    el("div", { class: "title-line" },
      el("strong", {}, serviceName(service)),
      el("span", { class: ready ? "badge on" : ready === null ? "badge" : "badge bad" },
        ready ? "ready" : ready === null ? "not known" : "not ready")),
    Object.entries(missing).map(([part, why]) => el("p", { class: "fault" }, `${part}: ${why}`)),
    el("p", { class: "hint" }, Object.entries(figures).map(([name, value]) => `${number(value)} ${name.replaceAll("_", " ")}`).join(" · "),
      Object.keys(figures).length > 0 && " · ", el("a", { href: `${service.slice(1)}/docs` }, "its API")));
}
