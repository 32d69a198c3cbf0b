/** Whether a key pressed here is meant as text, or for a dialog, and not as a shortcut. */
export function isTyping(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return true;
  if (document.querySelector("dialog[open]")) return true;
  const target = event.target instanceof Element ? event.target : document.body;
  return target.closest("input, textarea, select, [contenteditable]") !== null;
}
