// How long to wait before the same is tried again.

const FIRST = 0.5;
const LONGEST = 30;
const FULL_DISK = 30;

// Seconds; `tries` is how often it failed so far (1, 2, …). What the service asks for counts, up to
// a minute; otherwise twice as long each time, drawn at random so that not all come back at once.
export function delay(problem, tries, random = Math.random) {
  if (problem.retryAfter) return Math.min(60, problem.retryAfter) * (1 + 0.25 * random());
  if (problem.status === 507) return FULL_DISK;
  const most = Math.min(LONGEST, FIRST * 2 ** (tries - 1));
  return most * (0.25 + 0.75 * random());
}

// What a person is told while it waits.
export function trouble(problem) {
  if (problem.status === 507) return "There is no space left on the server. It is tried again every half minute.";
  if (problem.status === 429) return "The service asks to go slower.";
  return "The service does not answer. It goes on as soon as it does.";
}

export const isWorthWaiting = (problem) => problem.isPassing || problem.status === 507;
