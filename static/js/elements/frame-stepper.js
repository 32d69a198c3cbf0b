import { isTyping } from "../lib/typing.js";

const KEYS = { ArrowLeft: "previous", ArrowRight: "next", Home: "first", End: "last" };
const KEPT_PAGES = 12;
const FRESH_MS = 60_000;

/**
 * Steps from frame to frame without loading a page: the neighbours' pages and pictures are
 * fetched beforehand, and the next one is put in place when its picture can be shown.
 */
class FrameStepper extends HTMLElement {
  connectedCallback() {
    this.pages = new Map();
    this.scope = new AbortController();
    const { signal } = this.scope;
    document.addEventListener("keydown", (event) => this.onKey(event), { signal });
    this.addEventListener("click", (event) => this.onClick(event), { signal });
    this.addEventListener("page-outdated", () => this.reload(), { signal });
    addEventListener("popstate", () => this.go(location.href, { push: false }), { signal });
    this.prepare();
  }

  disconnectedCallback() {
    this.scope.abort();
  }

  link(name) {
    return this.querySelector(`[data-step=${name}]`);
  }

  onKey(event) {
    const name = KEYS[event.key];
    if (!name || event.shiftKey || isTyping(event)) return;
    if (event.target.closest?.("pre, [role=toolbar]") && name !== "previous" && name !== "next") {
      return;
    }
    event.preventDefault();
    const link = this.link(name);
    if (link) this.go(link.href);
  }

  onClick(event) {
    const link = event.target.closest("a[data-step], .strip a, .source-tabs a");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.go(link.href?.baseVal ?? link.href);
  }

  /** Fetch a page once and its picture with it; returns its parsed document. */
  fetchPage(address) {
    const url = new URL(address, location.href).href;
    const known = this.pages.get(url);
    if (known && performance.now() - known.at < FRESH_MS) return known.page;
    const page = this.load(url);
    page.catch(() => this.pages.delete(url));
    this.pages.delete(url);
    this.pages.set(url, { page, at: performance.now() });
    if (this.pages.size > KEPT_PAGES) this.pages.delete(this.pages.keys().next().value);
    return page;
  }

  async load(url) {
    const response = await fetch(url);
    if (!response.ok || response.redirected) throw new Error(response.statusText);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (!page.querySelector("frame-stepper > main")) throw new Error("not a frame's page");
    const source = page.querySelector(".plane > img")?.getAttribute("src");
    if (source) {
      const picture = new Image();
      picture.src = source;
      // A picture that cannot be shown must not keep the page from being.
      await picture.decode().catch(() => {});
    }
    return page;
  }

  async go(address, { push = true } = {}) {
    this.wanted = address;
    let page;
    try {
      page = await this.fetchPage(address);
    } catch {
      location.assign(address);
      return;
    }
    // While it was on its way another may have been asked for.
    if (this.wanted !== address) return;
    if (push) history.pushState(null, "", address);
    this.put(page);
    this.prepare();
  }

  async reload() {
    this.pages.delete(location.href);
    await this.go(location.href, { push: false });
  }

  put(page) {
    const fresh = document.importNode(page.querySelector("frame-stepper > main"), true);
    const main = this.querySelector("main");
    for (const { id, open } of main.querySelectorAll("details[id]")) {
      const same = fresh.querySelector(`#${id}`);
      if (same) same.open = open;
    }
    const focused = document.activeElement?.closest("[data-step]")?.dataset.step;
    const scrolled = main.querySelector(".frame-side").scrollTop;
    main.replaceWith(fresh);
    fresh.querySelector(".frame-side").scrollTop = scrolled;
    if (focused) (this.link(focused) ?? fresh).focus();
    document.title = page.title;
    this.querySelector("[data-announcer]").textContent =
      fresh.querySelector(".step-place").textContent;
  }

  prepare() {
    for (const name of ["next", "previous"]) {
      const link = this.link(name);
      if (link) this.fetchPage(link.href).catch(() => {});
    }
  }
}

customElements.define("frame-stepper", FrameStepper);
