/**
 * The filter builder: a label chosen from the list is taken at once, as the button beside it
 * would, and the confidence can be typed as soon as there is a label.
 */
class FilterBuilder extends HTMLElement {
  connectedCallback() {
    this.addEventListener("input", (event) => this.onInput(event));
    this.addEventListener("keydown", (event) => this.onKey(event));
  }

  onInput({ target }) {
    if (!target.matches("[data-label]")) return;
    const rule = target.closest("fieldset");
    const hasLabel = target.value.trim() !== "" || rule.querySelector(".filter-labels") !== null;
    for (const field of rule.querySelectorAll("[data-confidence]")) {
      field.disabled = !hasLabel && field.value === "";
    }
  }

  onKey(event) {
    const { key, target } = event;
    if (key !== "Enter" || !target.matches("[data-label]") || target.value.trim() === "") return;
    event.preventDefault();
    target.parentElement.querySelector("button").click();
  }
}

customElements.define("filter-builder", FilterBuilder);
