import { isTyping } from "../lib/typing.js";

/**
 * Selecting cards by hand: a range with Shift, a card with x, all that are shown, and how many.
 * The tick boxes belong to the form by their `form` attribute, and work without this.
 *
 *   <selection-bar><form id="selection">…<button data-select-page></button></form></selection-bar>
 */
class SelectionBar extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.status = this.querySelector("[role=status]");
    this.stop = new AbortController();
    const { signal } = this.stop;
    document.addEventListener("click", (event) => this.onClick(event), { signal });
    document.addEventListener("keydown", (event) => this.onKey(event), { signal });
    document.addEventListener("change", () => this.show(), { signal });
    document.addEventListener("htmx:afterSettle", () => this.show(), { signal });
    this.form.addEventListener("reset", () => setTimeout(() => this.show()), { signal });
    this.querySelector("[data-select-page]").addEventListener("click", () => this.set(this.boxes, true));
    this.show();
  }

  disconnectedCallback() {
    this.stop.abort();
  }

  get boxes() {
    return [...this.form.elements].filter((element) => element.type === "checkbox");
  }

  set(boxes, checked) {
    for (const box of boxes) box.checked = checked;
    this.show();
  }

  onClick(event) {
    const { boxes } = this;
    const at = boxes.indexOf(event.target);
    if (at < 0) return;
    const from = boxes.indexOf(this.last);
    if (event.shiftKey && from >= 0) {
      const [first, last] = from < at ? [from, at] : [at, from];
      this.set(boxes.slice(first, last + 1), event.target.checked);
    }
    this.last = event.target;
  }

  onKey(event) {
    if (event.key !== "x" || isTyping(event)) return;
    const box = document.activeElement?.closest("li, tr")?.querySelector("input[form=selection]");
    if (!box) return;
    event.preventDefault();
    box.checked = !box.checked;
    this.last = box;
    this.show();
  }

  show() {
    const { boxes } = this;
    // One tab stop for the grid; x ticks the card that has the focus.
    for (const box of boxes) box.tabIndex = -1;
    const count = boxes.filter((box) => box.checked).length;
    this.status.textContent = `${count} selected`;
  }
}

customElements.define("selection-bar", SelectionBar);
