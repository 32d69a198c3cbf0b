/**
 * A table of rows with tick boxes: one box ticks all, the bar says what can be done to how many,
 * and a double click on a row opens it.
 */
class ViewTable extends HTMLElement {
  connectedCallback() {
    this.bar = this.querySelector(".batch");
    this.all = this.querySelector("[data-all]");
    this.addEventListener("change", (event) => this.onChange(event));
    this.addEventListener("dblclick", (event) => this.open(event));
    this.addEventListener("htmx:afterSettle", () => this.count());
    // Boxes stay ticked when the browser comes back to the page.
    addEventListener("pageshow", () => this.count(), { once: true });
    this.count();
  }

  get boxes() {
    return [...this.querySelectorAll("input[name=view]")];
  }

  onChange({ target }) {
    if (target === this.all) for (const box of this.boxes) box.checked = target.checked;
    this.count();
  }

  count() {
    const boxes = this.boxes;
    const chosen = boxes.filter((box) => box.checked);
    this.all.checked = chosen.length > 0 && chosen.length === boxes.length;
    this.all.indeterminate = chosen.length > 0 && chosen.length < boxes.length;
    if (!this.bar) return;
    this.bar.toggleAttribute("data-open", chosen.length > 0);
    this.bar.querySelector("[data-chosen]").textContent = `${chosen.length} chosen`;
    for (const button of this.bar.querySelectorAll("button")) {
      const number = chosen.filter((box) => box.dataset.actions.split(" ").includes(button.value)).length;
      button.dataset.label ??= button.textContent;
      button.textContent = `${button.dataset.label} (${number})`;
      button.disabled = number === 0;
    }
  }

  open(event) {
    if (event.target.closest("a, button, input, label, details")) return;
    event.target.closest("tbody tr")?.querySelector("th a")?.click();
  }
}

customElements.define("view-table", ViewTable);
