/**
 * The filter builder: Enter takes the label that was typed, as the button beside it would, and
 * the confidence can be typed as soon as there is a label. While the answer that replaces the
 * form is on its way nothing can be typed that would be lost.
 */
class FilterBuilder extends HTMLElement {
  connectedCallback() {
    this.addEventListener("input", (event) => this.onInput(event));
    this.addEventListener("keydown", (event) => this.onKey(event));
    const hold = (event, isHeld) => {
      if (event.target.matches("button")) this.querySelector("form").inert = isHeld;
    };
    this.addEventListener("htmx:beforeSend", (event) => hold(event, true));
    this.addEventListener("htmx:sendError", (event) => hold(event, false));
    this.addEventListener("htmx:responseError", (event) => hold(event, false));
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
