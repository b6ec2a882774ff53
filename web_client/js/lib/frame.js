// When to draw: at most once a frame, and not at all while nobody looks (the browser holds
// animation frames back then).

// Returns `schedule(draw)`: each draw once in the next frame, however often it was asked for.
export function scheduler(request) {
  const waiting = new Set();
  return (draw) => {
    if (waiting.size === 0) {
      request(() => {
        const now = [...waiting];
        waiting.clear();
        for (const one of now) one();
      });
    }
    waiting.add(draw);
  };
}

export const schedule = scheduler((callback) => requestAnimationFrame(callback));

// Draws when asked, but not more often than every so many milliseconds; the last one asked for is
// always drawn.
export function every(milliseconds, draw, { frame = schedule, now = () => performance.now(), wait = setTimeout, forget = clearTimeout } = {}) {
  let last = -Infinity;
  let timer = null;
  const turn = () => {
    timer = null;
    last = now();
    frame(draw);
  };
  return {
    ask() {
      if (timer === null) timer = wait(turn, Math.max(0, last + milliseconds - now()));
    },
    stop() {
      if (timer !== null) forget(timer);
      timer = null;
    },
  };
}

// Lets the page answer before a long piece of work goes on.
export function yieldToPage() {
  if (globalThis.scheduler?.yield) return globalThis.scheduler.yield();
  return new Promise((resolve) => { setTimeout(resolve, 0); });
}
