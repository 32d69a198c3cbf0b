import { clampView, fitScale, zoomAt } from "../lib/geometry.js";
import { isTyping } from "../lib/typing.js";

const STEP = 1.25;
const PIXELS_FROM = 3; // screen px a picture px

// Outlives the element: who steps on keeps the place looked at and what is shown.
const kept = {
  view: { zoom: 1, x: 0, y: 0 },
  size: "",
  overlays: localStorage.getItem("overlays") !== "off",
  labels: localStorage.getItem("labels") !== "off",
};

/**
 * Zooms and pans the picture with its regions, shows and hides them, lights up the region whose
 * row is pointed at. data-width and data-height are the size regions are measured in, data-full
 * the original, taken when the preview has too few pixels for the zoom.
 */
class FrameViewer extends HTMLElement {
  connectedCallback() {
    this.stage = this.querySelector(".stage");
    this.plane = this.querySelector(".plane");
    this.output = this.querySelector(".viewer-zoom");
    this.pointers = new Map();
    this.scope = new AbortController();
    const { signal } = this.scope;
    const on = (target, type, handler, options) =>
      target.addEventListener(type, handler.bind(this), { signal, ...options });
    on(this, "click", this.onClick);
    on(this.stage, "wheel", this.onWheel, { passive: false });
    on(this.stage, "pointerdown", this.onDown);
    on(this.stage, "pointermove", this.onMove);
    on(this.stage, "pointerup", this.onUp);
    on(this.stage, "pointercancel", this.onUp);
    on(this.stage, "dblclick", this.onDouble);
    on(this, "preview-arrived", this.onArrived);
    on(document, "keydown", this.onKey);
    const page = this.closest("main");
    for (const type of ["pointerover", "focusin"]) on(page, type, this.onPoint);
    for (const type of ["pointerout", "focusout"]) on(page, type, () => this.light(null));
    this.resize = new ResizeObserver(() => this.show(this.view));
    this.resize.observe(this.stage);
    const size = `${this.dataset.width}x${this.dataset.height}`;
    this.view = size === kept.size ? kept.view : { zoom: 1, x: 0, y: 0 };
    kept.size = size;
    this.toggle("overlays", kept.overlays);
    this.toggle("labels", kept.labels);
    this.show(this.view);
  }

  disconnectedCallback() {
    this.scope.abort();
    this.resize.disconnect();
  }

  get image() {
    return this.plane.querySelector("img");
  }

  get picture() {
    const { width, height } = this.dataset;
    if (Number(width)) return { width: Number(width), height: Number(height) };
    return { width: this.image?.naturalWidth ?? 0, height: this.image?.naturalHeight ?? 0 };
  }

  get scale() {
    return fitScale(this.stage.getBoundingClientRect(), this.picture);
  }

  show(view) {
    const box = this.stage.getBoundingClientRect();
    if (!box.width) return;
    const { scale } = this;
    this.view = kept.view = clampView(view, box, scale);
    const { zoom, x, y } = this.view;
    this.plane.style.transform = zoom === 1 ? "" : `translate(${x}px, ${y}px) scale(${zoom})`;
    const shown = zoom * scale;
    this.stage.style.setProperty("--zoom", zoom);
    this.stage.style.setProperty("--unit", 1 / shown);
    this.stage.toggleAttribute("data-scaled", true);
    this.stage.toggleAttribute("data-zoomed", zoom > 1);
    this.stage.toggleAttribute("data-pixels", shown >= PIXELS_FROM);
    this.output.textContent = `${Math.round(shown * 100)} %`;
    this.sharpen(shown);
  }

  /** Take the original once the preview has fewer pixels than are shown. */
  async sharpen(shown) {
    const { full } = this.dataset;
    const { image } = this;
    if (!full || !image?.naturalWidth) return;
    if (shown * this.picture.width < image.naturalWidth * 1.1) return;
    delete this.dataset.full;
    const original = new Image();
    original.src = full;
    try {
      await original.decode();
      image.src = full;
    } catch {
      // Too large for the browser: the preview stays.
    }
  }

  zoom(factor, point) {
    const { width, height } = this.stage.getBoundingClientRect();
    this.show(zoomAt(this.view, factor, point ?? { x: width / 2, y: height / 2 }));
  }

  do(name) {
    if (name === "in") this.zoom(STEP);
    else if (name === "out") this.zoom(1 / STEP);
    else if (name === "fit") this.show({ zoom: 1, x: 0, y: 0 });
    else if (name === "actual") this.zoom(1 / (this.view.zoom * this.scale));
    else this.toggle(name, !kept[name]);
  }

  toggle(name, isOn) {
    kept[name] = isOn;
    localStorage.setItem(name, isOn ? "on" : "off");
    this.stage.dataset[name] = isOn ? "on" : "off";
    this.querySelector(`[data-do=${name}]`).setAttribute("aria-pressed", String(isOn));
  }

  light(number) {
    const page = this.closest("main");
    for (const lit of page.querySelectorAll("[data-lit]")) delete lit.dataset.lit;
    if (number === null) return;
    for (const part of page.querySelectorAll(`[data-shape="${number}"]`)) part.dataset.lit = "";
  }

  at(event) {
    const { left, top } = this.stage.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  onClick(event) {
    const name = event.target.closest("[data-do]")?.dataset.do;
    if (name) this.do(name);
  }

  onKey(event) {
    const names = { "+": "in", "=": "in", "-": "out", 0: "fit", 1: "actual", o: "overlays" };
    const name = event.key === "l" ? "labels" : names[event.key];
    if (!name || isTyping(event)) return;
    event.preventDefault();
    this.do(name);
  }

  onWheel(event) {
    event.preventDefault();
    // A trackpad sends many small steps, a wheel few of 100.
    this.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), this.at(event));
  }

  onDouble(event) {
    if (this.view.zoom === 1) this.zoom(Math.max(2, 1 / this.scale), this.at(event));
    else this.do("fit");
  }

  onDown(event) {
    if (event.button !== 0 || event.target.closest("button, a")) return;
    this.pointers.set(event.pointerId, this.at(event));
  }

  onMove(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.at(event);
    const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId);
    this.pointers.set(event.pointerId, now);
    if (other) {
      const apart = (point) => Math.hypot(point.x - other[1].x, point.y - other[1].y);
      if (apart(before)) this.zoom(apart(now) / apart(before), other[1]);
      return;
    }
    if (this.view.zoom <= 1) return;
    this.stage.setPointerCapture(event.pointerId);
    this.stage.toggleAttribute("data-drag", true);
    const { zoom, x, y } = this.view;
    this.show({ zoom, x: x + now.x - before.x, y: y + now.y - before.y });
  }

  onUp(event) {
    this.pointers.delete(event.pointerId);
    this.stage.removeAttribute("data-drag");
  }

  onPoint(event) {
    const number = event.target.closest?.("[data-shape]")?.dataset.shape;
    if (number !== undefined) this.light(number);
  }

  onArrived(event) {
    const { state, url } = event.detail;
    // Without a size there is no overlay yet, and a failure says more on a fresh page.
    if (state !== "ready" || !this.querySelector(".overlay")) {
      this.dispatchEvent(new CustomEvent("page-outdated", { bubbles: true }));
      return;
    }
    this.querySelector(".stage-note")?.remove();
    const image = this.image ?? this.plane.insertBefore(new Image(), this.plane.firstChild);
    image.src = url;
  }
}

customElements.define("frame-viewer", FrameViewer);
