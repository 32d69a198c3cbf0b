/**
 * Copies to the clipboard and says so.
 *
 *   <copy-text><button data-copy="text">Copy</button></copy-text>
 *   <copy-text><button data-copy-from="id of an element">Copy</button></copy-text>
 */
class CopyText extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", (event) => this.copy(event));
  }

  async copy(event) {
    const button = event.target.closest("button");
    if (!button) return;
    const { copy, copyFrom } = button.dataset;
    const text = copy ?? document.getElementById(copyFrom).textContent;
    const shown = (button.dataset.shown ??= button.textContent);
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      // Without https a browser has no clipboard: select the text instead.
      button.textContent = text.length < 80 ? text : "Not allowed by the browser";
    }
    setTimeout(() => (button.textContent = shown), 1500);
  }
}

customElements.define("copy-text", CopyText);
