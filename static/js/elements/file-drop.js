/** Lets a file be dropped on the whole area around its <input type="file">. */
class FileDrop extends HTMLElement {
  connectedCallback() {
    const over = (isOver) => (event) => {
      event.preventDefault();
      this.toggleAttribute("data-over", isOver);
    };
    this.addEventListener("dragover", over(true));
    this.addEventListener("dragleave", over(false));
    this.addEventListener("drop", (event) => {
      over(false)(event);
      const input = this.querySelector("input");
      input.files = event.dataTransfer.files;
      input.dispatchEvent(new Event("change", { bubbles: true }));
    });
  }
}

customElements.define("file-drop", FileDrop);
