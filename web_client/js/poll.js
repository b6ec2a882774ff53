// Asks again and again while the page is looked at, and says which service is away.

const outages = new Map();

export function poll(service, milliseconds, ask) {
  let timer = null;
  let isAsking = false;
  let wantsMore = false;

  async function turn() {
    clearTimeout(timer);
    if (isAsking) {
      wantsMore = true;
      return;
    }
    isAsking = true;
    try {
      await ask();
      report(service, null);
    } catch (problem) {
      report(service, problem);
    }
    isAsking = false;
    if (wantsMore) {
      wantsMore = false;
      turn();
    } else if (timer !== undefined) {
      timer = setTimeout(() => !document.hidden && turn(), milliseconds);
    }
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && timer !== undefined) turn();
  });
  return {
    now: () => { timer = null; return turn(); },
    pause: () => { clearTimeout(timer); timer = undefined; },
  };
}

function report(service, problem) {
  if (problem && !problem.isPassing) console.error(problem);
  const text = problem ? `${service}: ${problem.message} Trying again.` : null;
  if ((outages.get(service) ?? null) === text) return;
  if (text) outages.set(service, text);
  else outages.delete(service);
  const place = document.getElementById("outages");
  place.replaceChildren(...[...outages.values()].map((line) => {
    const notice = document.createElement("p");
    notice.className = "notice bad";
    notice.textContent = line;
    return notice;
  }));
}
