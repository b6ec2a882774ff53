// What of a list is selected, and where one is in it. Knows nothing of how it looks.

// Items are known by their ids; `active` is an index, -1 in an empty list.
export function selection() {
  let ids = [];
  let chosen = new Set();
  let active = -1;
  let anchor = 0;

  const inside = (index) => Math.min(ids.length - 1, Math.max(0, index));
  const between = (one, other) => ids.slice(Math.min(one, other), Math.max(one, other) + 1);

  return {
    get active() { return active; },
    get size() { return chosen.size; },
    has: (id) => chosen.has(id),
    // In the order of the list.
    selected: () => ids.filter((id) => chosen.has(id)),
    // Another list: what is gone is no longer selected, and one stays at the same item.
    set(next) {
      const here = ids[active];
      ids = next;
      const still = new Set(ids);
      chosen = new Set([...chosen].filter((id) => still.has(id)));
      const at = here === undefined ? -1 : ids.indexOf(here);
      active = ids.length === 0 ? -1 : at >= 0 ? at : inside(active);
      anchor = inside(anchor);
    },
    // A click: alone, added (`toggle`), or with all from the last one on (`extend`).
    choose(index, { toggle = false, extend = false } = {}) {
      if (index < 0 || index >= ids.length) return;
      if (extend) {
        chosen = new Set(toggle ? [...chosen, ...between(anchor, index)] : between(anchor, index));
      } else if (toggle) {
        if (!chosen.delete(ids[index])) chosen.add(ids[index]);
        anchor = index;
      } else {
        chosen = new Set([ids[index]]);
        anchor = index;
      }
      active = index;
    },
    move(by, { extend = false } = {}) {
      if (ids.length === 0) return;
      active = inside(active + by);
      if (extend) chosen = new Set(between(anchor, active));
      else anchor = active;
    },
    select(wanted) {
      const these = new Set(wanted);
      chosen = new Set(ids.filter((id) => these.has(id)));
    },
    clear() { chosen = new Set(); },
    go(index) { if (ids.length) anchor = active = inside(index); },
  };
}
