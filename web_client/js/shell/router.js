// Where in the page one is: `#view/a/b?x=y`. Everything that a link should carry is in it.

const OTHER_NAMES = new Map([["classify", "serve"]]);

// Returns {view, path, query}: `#browse/pets?disagrees=1` → browse, ["pets"], {disagrees → "1"}.
export function parse(hash) {
  const [before, search = ""] = hash.replace(/^#/, "").split(/\?(.*)/s);
  const [view = "", ...path] = before.split("/").map(decoded);
  return {
    view: OTHER_NAMES.get(view) ?? view,
    path: path.filter(Boolean),
    query: new Map(new URLSearchParams(search)),
  };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// The other way; `query` may be a Map or an object, and what is empty in it is left out.
export function format({ view, path = [], query = new Map() }) {
  const pairs = query instanceof Map ? [...query] : Object.entries(query);
  const search = new URLSearchParams(pairs.filter(([, value]) => value !== null && value !== undefined && value !== "")).toString();
  return `#${[view, ...path].map(encodeURIComponent).join("/")}${search ? `?${search}` : ""}`;
}

// Goes there; with `replace` without a step for the back button.
export function go(place, { replace = false } = {}) {
  const hash = typeof place === "string" ? place : format(place);
  if (replace) {
    history.replaceState(null, "", hash);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    location.hash = hash;
  }
}
