/**
 * A histogram to draw a range on: a drag, or two sliders by keyboard, fill the two fields of the
 * form, and letting go, or Enter, sends it. Without a script the fields and the button do it.
 *
 *   <range-brush data-edges="0 32 64" data-frames="7 9"><div class="plot"><svg>…</svg></div> …
 *   <form>…</form></range-brush>
 */
class RangeBrush extends HTMLElement {
  connectedCallback() {
    this.edges = this.dataset.edges.split(" ");
    this.frames = this.dataset.frames.split(" ").map(Number);
    this.plot = this.querySelector(".plot");
    this.band = this.plot.querySelector(".band");
    this.form = this.querySelector("form");
    this.fields = [this.form.elements.low, this.form.elements.high];
    this.sliders = this.fields.map((field, side) => this.makeSlider(field, side));
    this.plot.addEventListener("pointerdown", (event) => this.onDown(event));
    this.plot.addEventListener("pointermove", (event) => this.onMove(event));
    this.plot.addEventListener("pointerup", () => this.onUp());
    this.plot.addEventListener("pointercancel", () => delete this.from);
    for (const field of this.fields) field.addEventListener("input", () => this.place());
    this.place();
    this.dataset.ready = "";
  }

  makeSlider(field, side) {
    const existing = this.plot.querySelectorAll("input")[side];
    if (existing) existing.remove();
    const slider = document.createElement("input");
    slider.type = "range";
    slider.min = 0;
    slider.max = this.edges.length - 1;
    slider.setAttribute("aria-label", this.form.querySelector(`label[for="${field.id}"]`).textContent);
    slider.addEventListener("input", () => this.onSlide(side));
    slider.addEventListener("keydown", (event) => event.key === "Enter" && this.form.requestSubmit());
    this.plot.append(slider);
    return slider;
  }

  /** Put the sliders where the fields say. */
  place() {
    const last = this.edges.length - 1;
    const at = this.fields.map((field, side) => {
      if (field.value === "") return side ? last : 0;
      const number = Number(field.value);
      if (side === 0) return Math.max(0, this.edges.findLastIndex((edge) => Number(edge) <= number));
      const beyond = this.edges.findIndex((edge) => Number(edge) >= number);
      return beyond < 0 ? last : beyond;
    });
    this.sliders.forEach((slider, side) => {
      slider.value = at[side];
      slider.setAttribute("aria-valuetext", this.fields[side].value || "open");
    });
    if (this.fields.some((field) => field.value !== "")) this.light(at[0], Math.max(at[1], at[0] + 1));
  }

  /** Lay the band from one edge to another. */
  light(from, to) {
    const unit = this.band.ownerSVGElement.viewBox.baseVal.width / this.frames.length;
    this.band.setAttribute("x", from * unit);
    this.band.setAttribute("width", (to - from) * unit);
  }

  /** Write a range into the fields; an end of the plot is left open. */
  choose(from, to) {
    const last = this.edges.length - 1;
    this.fields[0].value = from === 0 ? "" : this.edges[from];
    this.fields[1].value = to === last ? "" : this.edges[to];
    this.light(from, to);
    this.sliders.forEach((slider, side) => {
      slider.value = side ? to : from;
      slider.setAttribute("aria-valuetext", this.fields[side].value || "open");
    });
  }

  onSlide(side) {
    const last = this.edges.length - 1;
    const at = this.sliders.map((slider) => Number(slider.value));
    // One pushes the other on.
    if (side === 0) this.choose(Math.min(at[0], last - 1), Math.max(at[1], Math.min(at[0], last - 1) + 1));
    else this.choose(Math.min(at[0], Math.max(at[1], 1) - 1), Math.max(at[1], 1));
  }

  binAt(event) {
    const box = this.plot.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    return Math.min(this.frames.length - 1, Math.max(0, Math.floor(share * this.frames.length)));
  }

  onDown(event) {
    if (event.button !== 0) return;
    this.plot.setPointerCapture(event.pointerId);
    this.from = this.binAt(event);
    this.choose(this.from, this.from + 1);
  }

  onMove(event) {
    const to = this.binAt(event);
    const count = this.frames[to].toLocaleString("en");
    this.plot.title = `${this.edges[to]} to ${this.edges[to + 1]}: ${count} frame${count === "1" ? "" : "s"}`;
    if (this.from === undefined) return;
    this.choose(Math.min(this.from, to), Math.max(this.from, to) + 1);
  }

  onUp() {
    if (this.from === undefined) return;
    delete this.from;
    this.form.requestSubmit();
  }
}

customElements.define("range-brush", RangeBrush);
