// Who this tab is: decisions that a tab could not send are sent by the next one, but not by two.

const KEY = "dicebox.client";
const PATIENCE = 1500; // milliseconds until the page before this one is gone

const lockName = (client) => `dicebox-tab-${client}`;
const made = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");

function stored() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function keep(client) {
  try {
    sessionStorage.setItem(KEY, client);
  } catch {
    // Then a reload is another tab, and what is held for this one comes back later.
  }
}

// Holds the name for as long as the tab lives; says whether it is free (a tab that was duplicated
// has the name of the other one).
function hold(client) {
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    navigator.locks
      .request(lockName(client), { signal: AbortSignal.timeout(PATIENCE) }, () => {
        resolve(true);
        return new Promise(() => {});
      })
      .catch(() => resolve(false));
  });
}

// Resolves to the name of this tab, the same after a reload.
export async function client() {
  const before = stored();
  if (before && await hold(before)) return before;
  const name = made();
  await hold(name);
  keep(name);
  return name;
}

// Says of any name whether a tab that lives has it. Without locks: of none.
export async function alive() {
  if (!navigator.locks) return () => false;
  const { held } = await navigator.locks.query();
  const names = new Set(held.map((lock) => lock.name));
  return (name) => names.has(lockName(name));
}
