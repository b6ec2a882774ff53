// The fields of a filter. What is chosen goes into the address at once.

import { el, show } from "../../lib/dom.js";
import { ORDERS, SOURCES, SPLITS } from "./filters.js";

// `choose(filter)` on every change. Returns {node, set(filter, dataset), offer(dataset)}.
export function form(choose) {
  const field = (text, control) => el("label", { class: "field" }, el("span", {}, text), control);
  const select = (name, options) => el("select", { name }, options.map(([value, text]) => el("option", { value }, text)));
  const share = (name) => el("input", { name, type: "number", min: "0", max: "100", step: "1", placeholder: "%" });
  const label = select("label", []);
  const said = select("said", []);
  const controls = {
    split: select("split", [["", "any"], ...SPLITS.map((one) => [one, one])]),
    source: select("source", [["", "any"], ...SOURCES]),
    who: el("input", { name: "who", maxlength: "120", autocomplete: "off", spellcheck: "false" }),
    from: share("from"),
    to: share("to"),
    disagrees: select("disagrees", [["", "any"], ["1", "disagrees with the label"], ["0", "agrees"]]),
    order: select("order", [...ORDERS]),
  };
  const node = el("details", { class: "filters" }, el("summary", {}, "Narrow down"),
    el("form", { class: "fields" },
      field("Label", label), field("Split", controls.split), field("How the label came", controls.source), field("Who", controls.who),
      field("The champion says", said), field("Sure by at least", controls.from), field("Sure by at most", controls.to),
      field("The champion", controls.disagrees), field("Order", controls.order)));
  let now = {};

  function offer(dataset) {
    const names = (dataset?.categories ?? []).map(({ name }) => name);
    const options = (first) => [...first, ...names.map((name) => [`=${name}`, name])].map(([value, text]) => el("option", { value }, text));
    show(label, names.join("\n"), () => options([["", "any"], ["1", "any label"], ["0", "no label"]]));
    show(said, names.join("\n"), () => options([["", "any"]]));
    put();
  }

  function put() {
    label.value = now.category !== undefined ? `=${now.category}` : now.labeled === undefined ? "" : now.labeled ? "1" : "0";
    said.value = now.said === undefined ? "" : `=${now.said}`;
    for (const [name, control] of Object.entries(controls)) {
      if (control === document.activeElement && control.tagName === "INPUT") continue;
      const value = now[name];
      control.value = value === undefined ? (name === "order" ? "newest" : "") : value === true ? "1" : value === false ? "0" : value;
    }
  }

  function taken() {
    // A group is no field: what is chosen here is looked for within it.
    const filter = now.group === undefined ? {} : { group: now.group };
    if (label.value.startsWith("=")) filter.category = label.value.slice(1);
    else if (label.value) filter.labeled = label.value === "1";
    if (said.value) filter.said = said.value.slice(1);
    for (const name of ["split", "source"]) if (controls[name].value) filter[name] = controls[name].value;
    if (controls.who.value.trim()) filter.who = controls.who.value.trim();
    for (const name of ["from", "to"]) if (controls[name].value !== "" && controls[name].checkValidity()) filter[name] = Number(controls[name].value);
    if (controls.disagrees.value) filter.disagrees = controls.disagrees.value === "1";
    if (controls.order.value !== "newest") filter.order = controls.order.value;
    return filter;
  }

  node.addEventListener("change", () => choose(taken()));
  node.addEventListener("submit", (event) => { event.preventDefault(); choose(taken()); });
  return {
    node,
    offer,
    set(filter, dataset) {
      now = filter;
      offer(dataset);
    },
  };
}
