import { isTyping } from "../lib/typing.js";

const KEYS = { ArrowLeft: "previous", ArrowRight: "next", Home: "first", End: "last" };
const KEPT_PAGES = 24;
const AHEAD_PAGES = 5; // a held key must not wait for each page
const FRESH_MS = 60_000;
// A picture that takes longer appears after its page.
const PICTURE_WAIT_MS = 250;

/**
 * Steps from frame to frame without loading a page: the neighbours' pages and pictures are
 * fetched beforehand, and the next one is put in place when its picture can be shown.
 */
class FrameStepper extends HTMLElement {
  connectedCallback() {
    this.pages = new Map();
    this.turn = Promise.resolve();
    this.direction = "next";
    this.waiting = 0;
    this.scope = new AbortController();
    const { signal } = this.scope;
    document.addEventListener("keydown", (event) => this.onKey(event), { signal });
    this.addEventListener("click", (event) => this.onClick(event), { signal });
    this.addEventListener("page-outdated", () => this.reload(), { signal });
    addEventListener("popstate", () => this.queue(() => this.go(location.href, false)), { signal });
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
    // Each press is a step from where the one before leads; a held key goes as fast as pages come.
    if (event.repeat && this.waiting) return;
    this.queue(() => {
      const link = this.link(name);
      if (name === "next" || name === "previous") this.direction = name;
      return link && this.go(link.href);
    });
  }

  onClick(event) {
    const link = event.target.closest("a[data-step], .strip a, .source-tabs a");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.queue(() => this.go(link.href?.baseVal ?? link.href));
  }

  /** Take one step after another. */
  queue(step) {
    this.waiting += 1;
    this.turn = this.turn.then(step).finally(() => (this.waiting -= 1));
  }

  /** Fetch a page once, and its picture with it; returns its document and when that is there. */
  fetchPage(address) {
    const url = new URL(address, location.href).href;
    const known = this.pages.get(url);
    if (known && performance.now() - known.at < FRESH_MS) return known.loaded;
    const loaded = this.load(url);
    loaded.catch(() => this.pages.delete(url));
    this.pages.delete(url);
    this.pages.set(url, { loaded, at: performance.now() });
    if (this.pages.size > KEPT_PAGES) this.pages.delete(this.pages.keys().next().value);
    return loaded;
  }

  async load(url) {
    const response = await fetch(url);
    if (!response.ok || response.redirected) throw new Error(response.statusText);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (!page.querySelector("frame-stepper > main")) throw new Error("not a frame's page");
    const picture = new Image();
    picture.src = page.querySelector(".plane > img")?.getAttribute("src") ?? "";
    // One that cannot be shown must not keep the page from being.
    return { page, shown: picture.decode().catch(() => {}) };
  }

  async go(address, push = true) {
    try {
      const { page, shown } = await this.fetchPage(address);
      await Promise.race([shown, new Promise((resolve) => setTimeout(resolve, PICTURE_WAIT_MS))]);
      if (push) history.pushState(null, "", address);
      this.put(page);
      this.prepare();
    } catch {
      location.assign(address);
    }
  }

  reload() {
    this.pages.delete(location.href);
    this.queue(() => this.go(location.href, false));
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
    const back = this.direction === "next" ? "previous" : "next";
    this.prefetch(this, this.direction, AHEAD_PAGES);
    this.prefetch(this, back, 1);
  }

  /** Fetch the page behind a step of this one, and so on as many times. */
  async prefetch(page, name, times) {
    const link = page.querySelector(`[data-step=${name}]`);
    if (!link || !times) return;
    try {
      const following = await this.fetchPage(link.href);
      await this.prefetch(following.page, name, times - 1);
    } catch {
      // It is fetched again when it is wanted, and that says what is wrong.
    }
  }
}

customElements.define("frame-stepper", FrameStepper);
