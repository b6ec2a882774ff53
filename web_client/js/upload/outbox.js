// Pictures on their way to the service, one after the other, in the memory of the page alone.

import { delay, isWorthWaiting } from "./retry.js";

const MOST = 100;

// `send(picture)` throws Problem; `wait(seconds)`. `onState` gets {waiting, stored, refused, problem}:
// counts, and why the first one waits or the last one was refused.
export function outbox({ send, wait, onState, random = Math.random }) {
  const waiting = [];
  let stored = 0;
  let refused = 0;
  let problem = null;
  let isSending = false;

  const tell = () => onState({ waiting: waiting.length, stored, refused, problem });

  async function work() {
    if (isSending) return;
    isSending = true;
    for (let tries = 1; waiting.length > 0; tries += 1) {
      try {
        await send(waiting[0]);
        stored += 1;
        problem = null;
      } catch (error) {
        problem = error;
        if (isWorthWaiting(error)) {
          tell();
          await wait(delay(error, tries, random));
          continue;
        }
        refused += 1;
      }
      waiting.shift();
      tries = 0;
      // Whoever is told of none must find that it has ended.
      isSending = waiting.length > 0;
      tell();
    }
  }

  return {
    isFull: () => waiting.length >= MOST,
    // Says whether there was room for it.
    put(picture) {
      if (waiting.length >= MOST) return false;
      waiting.push(picture);
      tell();
      work();
      return true;
    },
    waiting: () => waiting.length,
  };
}
