/** A right click on a version opens its menu; the arrow keys go through an open one. */
class VersionMenu extends HTMLElement {
  connectedCallback() {
    this.addEventListener("contextmenu", (event) => this.onContextMenu(event));
    this.addEventListener("keydown", (event) => this.onKey(event));
    this.showCurrent();
  }

  /** On a narrow screen the versions are a strip that scrolls: brings the current one into it. */
  showCurrent() {
    const strip = this.querySelector(".versions");
    const current = strip?.querySelector("a[aria-current]");
    if (current) {
      strip.scrollLeft += current.getBoundingClientRect().left - strip.getBoundingClientRect().left;
    }
  }

  onContextMenu(event) {
    const menu = event.target.closest(".version-row")?.querySelector("details");
    // On the menu's own links the browser's menu opens.
    if (!menu || event.target.closest("details > div")) return;
    event.preventDefault();
    menu.open = true;
    menu.querySelector("a").focus();
  }

  onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const menu = event.target.closest("details.menu[open]");
    if (!step || !menu) return;
    event.preventDefault();
    event.stopPropagation();
    const stops = [menu.querySelector("summary"), ...menu.querySelectorAll("a")];
    stops[stops.indexOf(document.activeElement) + step]?.focus();
  }
}

customElements.define("version-menu", VersionMenu);
