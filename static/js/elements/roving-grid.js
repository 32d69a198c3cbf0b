import { neighbour } from "../lib/geometry.js";

const BOTH_AXES = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];
const DOWN_ONLY = ["ArrowUp", "ArrowDown"];

/**
 * One tab stop for many items; the arrow keys go from one to the next.
 *
 *   <roving-grid>…cards…</roving-grid>
 *   <roving-grid data-items="li" data-axis="y">…rows…</roving-grid>
 */
class RovingGrid extends HTMLElement {
  connectedCallback() {
    this.selector = this.dataset.items ?? ".card > a, .more a";
    this.keys = this.dataset.axis === "y" ? DOWN_ONLY : BOTH_AXES;
    this.addEventListener("keydown", (event) => this.onKey(event));
    this.addEventListener("focusin", (event) => this.onFocus(event));
    this.addEventListener("click", (event) => this.onClick(event));
    // Load more adds cards.
    this.observer = new MutationObserver(() => this.onAdded());
    this.observer.observe(this, { childList: true, subtree: true });
    this.rove();
  }

  disconnectedCallback() {
    this.observer.disconnect();
  }

  get items() {
    // Not what a folded branch hides.
    return [...this.querySelectorAll(this.selector)].filter((item) => item.checkVisibility());
  }

  rove() {
    const { items } = this;
    if (!items.includes(this.current)) [this.current] = items;
    for (const item of items) item.tabIndex = item === this.current ? 0 : -1;
  }

  onFocus(event) {
    const item = event.target.closest(this.selector);
    if (!item) return;
    this.current = item;
    this.rove();
  }

  onClick(event) {
    // Enter on Load more: go on at the first card that it brings.
    if (event.target.closest(".more a")) this.goOnAt = this.items.length - 1;
  }

  onAdded() {
    this.rove();
    if (this.goOnAt === undefined) return;
    const item = this.items[this.goOnAt];
    if (item && !item.closest(".more")) {
      item.focus();
      delete this.goOnAt;
    }
  }

  onKey(event) {
    if (!this.keys.includes(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    const { items } = this;
    const from = items.indexOf(document.activeElement);
    if (from < 0) return;
    const boxes = items.map((item) => item.getBoundingClientRect());
    const to = neighbour(boxes, from, event.key);
    event.preventDefault();
    event.stopPropagation();
    if (to >= 0) items[to].focus();
  }
}

customElements.define("roving-grid", RovingGrid);
