/** The arrow keys go along the strip's marks, which are one tab stop. */
class ContextStrip extends HTMLElement {
  connectedCallback() {
    // On a frame's page the arrows step from frame to frame.
    if (this.closest("frame-stepper")) return;
    this.addEventListener("keydown", (event) => {
      const marks = [...this.querySelectorAll("a")];
      const at = marks.indexOf(document.activeElement);
      const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: marks.length - 1 };
      if (at < 0 || !(event.key in to)) return;
      event.preventDefault();
      const mark = marks[to[event.key]];
      if (!mark) return;
      marks[at].tabIndex = -1;
      mark.tabIndex = 0;
      mark.focus();
    });
  }
}

customElements.define("context-strip", ContextStrip);
