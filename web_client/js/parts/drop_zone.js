// A place to drop things, and the page that does not leave when one misses it.

for (const kind of ["dragover", "drop"]) {
  window.addEventListener(kind, (event) => event.preventDefault());
}

export function dropZone(element, take) {
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", (event) => {
    if (!element.contains(event.relatedTarget)) element.classList.remove("over");
  });
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("over");
    take(event.dataTransfer);
  });
}

// Pictures pasted while a view is shown; pasting into a field stays pasting.
export function onPaste(view, take) {
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (view.hidden || files.length === 0) return;
    event.preventDefault();
    take(files);
  });
}
