/**
 * The label menu: the list comes when it opens (htmx), typing narrows it, the down arrow enters
 * it, Enter takes the first that is left.
 */
class LabelFilter extends HTMLElement {
  connectedCallback() {
    this.menu = this.querySelector("details");
    this.input = this.querySelector("input[type=search]");
    this.menu.addEventListener("toggle", () => this.menu.open && this.input.focus());
    this.input.addEventListener("input", () => this.narrow());
    this.addEventListener("htmx:afterSwap", () => this.narrow());
    this.addEventListener("keydown", (event) => this.onKey(event));
    this.querySelector("form").addEventListener("submit", (event) => this.take(event));
  }

  get left() {
    return [...this.querySelectorAll(".label-rows li:not([hidden]) a")];
  }

  narrow() {
    const text = this.input.value.trim().toLowerCase();
    for (const row of this.querySelectorAll(".label-rows li")) {
      row.hidden = !row.querySelector(".chip, .key-name")?.textContent.toLowerCase().includes(text);
    }
  }

  onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const links = this.left;
    const at = links.indexOf(document.activeElement) + step;
    (at < 0 ? this.input : links[Math.min(at, links.length - 1)])?.focus();
    event.preventDefault();
  }

  take(event) {
    const [first] = this.left;
    if (!first) return;
    event.preventDefault();
    first.click();
  }
}

customElements.define("label-filter", LabelFilter);
