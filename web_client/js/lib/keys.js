// Keys of the keyboard: what they do now, and what the help says about it. They work outside of
// fields only, and a person can switch the single-letter ones off.

const bound = [];
let enabled = true;

// `entries`: [{key, label, run(event), when?()}]; a key is "s", "Enter", "ArrowUp", "Ctrl+z" or
// "Ctrl+Shift+z". A map that was bound later comes first.
export const keyMap = (entries) => ({ entries });

export function bind(map) {
  unbind(map);
  bound.push(map);
}

export function unbind(map) {
  const at = bound.indexOf(map);
  if (at >= 0) bound.splice(at, 1);
}

// What the keys do now, for the help.
export const active = () =>
  [...bound].reverse().flatMap((map) => map.entries.filter((entry) => entry.when?.() ?? true));

export const isEnabled = () => enabled;

export function setEnabled(wanted) {
  enabled = wanted;
}

// Shift is part of a name only where it does not make another character by itself.
export function nameOf(event) {
  const isLetter = event.key.length === 1 && event.key.toLowerCase() !== event.key.toUpperCase();
  const isPlain = event.key.length === 1 && !isLetter && event.key !== " ";
  const control = event.ctrlKey || event.metaKey;
  const key = isLetter && (control || !event.shiftKey) ? event.key.toLowerCase() : event.key;
  const shift = event.shiftKey && !isPlain && (control || !isLetter);
  return `${control ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}${shift ? "Shift+" : ""}${key}`;
}

const FIELDS = "input:not([type=checkbox], [type=radio], [type=button], [type=file]), select, textarea, [contenteditable]";
const PRESSED = "button, a[href], summary, label, input";

// Does what a key stands for; says whether it stood for anything.
export function handle(event) {
  if (event.defaultPrevented || event.isComposing) return false;
  const target = event.target;
  if (target?.closest?.(FIELDS)) return false;
  // On a button they press it.
  if ((event.key === "Enter" || event.key === " ") && target?.closest?.(PRESSED)) return false;
  const name = nameOf(event);
  if (!enabled && name.length === 1) return false;
  const entry = active().find((one) => one.key === name);
  if (!entry) return false;
  event.preventDefault?.();
  entry.run(event);
  return true;
}

// Starts to listen. While a dialog is open its keys are its own.
export function listen(target) {
  target.addEventListener("keydown", (event) => {
    if (!target.querySelector("dialog[open]")) handle(event);
  });
}
