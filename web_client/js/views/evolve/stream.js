// Server-sent events, as text/event-stream writes them. Pure.

// Returns `take(text)` → [{id, event, data}] of what is whole by now; a comment is an event without
// data, so that whoever waits knows that somebody is there.
export function parser() {
  let rest = "";
  let lines = [];
  return (text) => {
    const found = [];
    const parts = (rest + text).split(/\r\n|\n/);
    rest = parts.pop();
    for (const line of parts) {
      if (line !== "") {
        lines.push(line);
        continue;
      }
      if (lines.length) found.push(eventOf(lines));
      lines = [];
    }
    return found;
  };
}

function eventOf(lines) {
  const event = { id: null, event: "message", data: null };
  for (const line of lines) {
    const at = line.indexOf(":");
    if (at === 0) continue;
    const name = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
    if (name === "id") event.id = value;
    if (name === "event") event.event = value;
    if (name === "data") event.data = event.data === null ? value : `${event.data}\n${value}`;
  }
  return event;
}
