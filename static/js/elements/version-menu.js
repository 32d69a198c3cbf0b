/** A right click on a version opens its menu; the arrow keys go through an open one. */
class VersionMenu extends HTMLElement {
  connectedCallback() {
    this.addEventListener("contextmenu", (event) => this.onContextMenu(event));
    this.addEventListener("keydown", (event) => this.onKey(event));
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
