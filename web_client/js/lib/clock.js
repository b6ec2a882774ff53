// The server's time, whatever the clock of this machine says. The Date header has whole seconds
// and is a little old when it arrives, so the latest it can stand for is the best guess.

let ahead = null; // server's unix seconds when performance.now() was 0
const TOLERATED = 3;

// Learns from any response of our own origin.
export function learn(response) {
  const said = Date.parse(response.headers.get("Date") ?? "") / 1000;
  if (!Number.isFinite(said)) return;
  const found = said - performance.now() / 1000;
  // A large step is a server whose clock was set.
  if (ahead === null || found > ahead || ahead - found > TOLERATED) ahead = found;
}

// Unix seconds of the server.
export const now = () => (ahead === null ? Date.now() / 1000 : ahead + performance.now() / 1000);

// Seconds since a time that a server said; never negative.
export const age = (at) => Math.max(0, now() - at);
