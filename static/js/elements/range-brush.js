/**
 * A histogram to draw a range on: a drag, or two sliders by keyboard, fill the two fields of the
 * form, and letting go, or Enter, sends it. Without a script the fields and the button do it.
 * Bins begin and end with numbers or with ISO dates.
 *
 *   <range-brush data-lows="0 32" data-highs="32 64" data-frames="7 9">
 *     <div class="plot"><svg>…</svg></div> … <form>…</form></range-brush>
 */
const DATE = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d)?)?$/;

/** The least and the greatest number a text means; a date is all of its epoch milliseconds. */
function reach(text) {
  const date = DATE.exec(text.trim());
  if (!date) return [Number(text), Number(text)];
  const [, day, minute, second, fraction, zone = "Z"] = date;
  const offset = zone.replace(/(\d\d)(\d\d)$/, "$1:$2");
  const first = Date.parse(`${day}T${minute ?? "00:00"}${second ?? ":00"}${fraction ?? ""}${offset}`);
  const length = fraction ? 1 : second ? 1_000 : minute ? 60_000 : 86_400_000;
  return [first, first + length - 1];
}

class RangeBrush extends HTMLElement {
  connectedCallback() {
    this.lows = this.dataset.lows.split(" ");
    this.highs = this.dataset.highs.split(" ");
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
    slider.max = this.frames.length;
    slider.setAttribute("aria-label", this.form.querySelector(`label[for="${field.id}"]`).textContent);
    slider.addEventListener("input", () => this.onSlide(side));
    slider.addEventListener("keydown", (event) => event.key === "Enter" && this.form.requestSubmit());
    this.plot.append(slider);
    return slider;
  }

  /** Put the sliders where the fields say. */
  place() {
    const last = this.frames.length;
    // NaN where a field is empty, or holds what the server refused.
    const bounds = this.fields.map(({ value }, side) => (value === "" ? NaN : reach(value)[side]));
    const at = bounds.map((number, side) => {
      if (Number.isNaN(number)) return side ? last : 0;
      if (side === 0) return Math.max(0, this.lows.findLastIndex((low) => reach(low)[0] <= number));
      const bin = this.highs.findIndex((high) => reach(high)[1] >= number);
      return bin < 0 ? last : bin + 1;
    });
    this.sliders.forEach((slider, side) => {
      slider.value = at[side];
      slider.setAttribute("aria-valuetext", this.fields[side].value || "open");
    });
    if (!bounds.every(Number.isNaN)) this.light(at[0], Math.max(at[1], at[0] + 1));
  }

  /** Lay the band from one edge to another. */
  light(from, to) {
    const unit = this.band.ownerSVGElement.viewBox.baseVal.width / this.frames.length;
    this.band.setAttribute("x", from * unit);
    this.band.setAttribute("width", (to - from) * unit);
  }

  /** Write a range into the fields; an end of the plot is left open. */
  choose(from, to) {
    this.fields[0].value = from === 0 ? "" : this.lows[from];
    this.fields[1].value = to === this.frames.length ? "" : this.highs[to - 1];
    this.light(from, to);
    this.sliders.forEach((slider, side) => {
      slider.value = side ? to : from;
      slider.setAttribute("aria-valuetext", this.fields[side].value || "open");
    });
  }

  onSlide(side) {
    const last = this.frames.length;
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
    const [low, high] = [this.lows[to], this.highs[to]];
    this.plot.title = `${low === high ? low : `${low} to ${high}`}: ${count} frame${count === "1" ? "" : "s"}`;
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
