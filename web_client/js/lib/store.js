// A value that changes and tells.

// Returns {get, set, subscribe}. `set(patch)` merges; who subscribed is told after it, with
// `pick` only when what it picks is another value (by Object.is). `subscribe` returns what ends it.
export function store(initial) {
  let value = Object.freeze({ ...initial });
  const listeners = new Set();
  return {
    get: () => value,
    set(patch) {
      const changed = Object.keys(patch).some((name) => !Object.is(patch[name], value[name]));
      if (!changed) return;
      value = Object.freeze({ ...value, ...patch });
      for (const listener of [...listeners]) listener();
    },
    subscribe(fn, pick = null) {
      let last = pick?.(value);
      const listener = () => {
        if (pick) {
          const next = pick(value);
          if (Object.is(next, last)) return;
          last = next;
        }
        fn(value);
      };
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
