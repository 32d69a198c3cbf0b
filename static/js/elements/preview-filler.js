const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 8000;
const MOST_KEYS = 60;
const MARGIN_PX = 400;

/**
 * Fills the tiles in it as their previews arrive, asking for those near the window only, less
 * and less often while nothing comes. Lets a failed one be tried again in place.
 *
 *   <preview-filler data-url="/previews/state/"> … <span class="tile" data-key="…"> …
 */
class PreviewFiller extends HTMLElement {
  connectedCallback() {
    this.wait = FIRST_WAIT_MS;
    this.wake = () => this.schedule(FIRST_WAIT_MS);
    this.observer = new MutationObserver(this.wake);
    this.observer.observe(this, { childList: true, subtree: true });
    addEventListener("scroll", this.wake, { passive: true });
    document.addEventListener("visibilitychange", this.wake);
    document.addEventListener("submit", (this.onSubmit = (event) => this.retry(event)));
    this.schedule(FIRST_WAIT_MS);
  }

  disconnectedCallback() {
    this.observer.disconnect();
    removeEventListener("scroll", this.wake);
    document.removeEventListener("visibilitychange", this.wake);
    document.removeEventListener("submit", this.onSubmit);
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** Ask after `ms`, unless that is to happen sooner already. */
  schedule(ms) {
    const due = performance.now() + ms;
    if (this.timer !== undefined && this.due <= due) return;
    clearTimeout(this.timer);
    this.due = due;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.ask();
    }, ms);
  }

  get waiting() {
    const near = (tile) => {
      const box = tile.getBoundingClientRect();
      return box.bottom > -MARGIN_PX && box.top < innerHeight + MARGIN_PX;
    };
    return [...this.querySelectorAll("[data-key]")].filter(near);
  }

  async ask() {
    const tiles = this.waiting;
    if (!tiles.length || document.hidden) return;
    const keys = [...new Set(tiles.map((tile) => tile.dataset.key))].slice(0, MOST_KEYS);
    const url = `${this.dataset.url}?${new URLSearchParams(keys.map((key) => ["key", key]))}`;
    let arrived = 0;
    try {
      const response = await fetch(url, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(response.statusText);
      const { items } = await response.json();
      const states = new Map(items.map((item) => [item.key, item]));
      for (const tile of tiles) {
        const item = states.get(tile.dataset.key);
        if (!item || item.state === "pending") continue;
        arrived += 1;
        this.fill(tile, item);
      }
    } catch {
      // The server restarts or the line is down: the next try tells.
    }
    this.wait = arrived ? FIRST_WAIT_MS : Math.min(LONGEST_WAIT_MS, this.wait * 1.5);
    if (this.isConnected) this.schedule(this.wait);
  }

  fill(tile, item) {
    delete tile.dataset.key;
    tile.dataset.state = item.state;
    if (tile.matches(".stage")) {
      tile.dispatchEvent(new CustomEvent("preview-arrived", { bubbles: true, detail: item }));
      return;
    }
    const note = tile.querySelector(".tile-note");
    if (item.state === "ready") {
      const picture = new Image(item.width, item.height);
      picture.alt = "";
      picture.src = item.url;
      picture.decode().then(
        () => note?.remove(),
        () => {},
      );
      tile.append(picture);
    } else if (note) {
      note.textContent = item.problem;
      this.offerRetry(tile, item.key);
    }
  }

  offerRetry(tile, key) {
    const card = tile.closest(".card");
    if (!card || !document.getElementById("retry")) return;
    const button = document.createElement("button");
    button.className = "button retry";
    button.textContent = "Retry";
    button.setAttribute("form", "retry");
    button.setAttribute("formaction", this.dataset.url.replace("state/", `${key}/retry/`));
    card.append(button);
  }

  async retry(event) {
    const button = event.submitter;
    if (event.target.id !== "retry" || !this.contains(button)) return;
    const tile = button.closest(".card")?.querySelector(".tile");
    if (!tile) return;
    event.preventDefault();
    const [, key] = /([^/]+)\/retry\/$/.exec(button.getAttribute("formaction"));
    const body = new FormData(event.target);
    button.remove();
    tile.dataset.state = "pending";
    tile.querySelector(".tile-note").textContent = "Preview follows";
    try {
      await fetch(button.formAction, { method: "POST", body, redirect: "manual" });
    } catch {
      // The line is down: the old failure is said again.
    }
    // Only now: asked for sooner, the state would still be the failure.
    tile.dataset.key = key;
    this.wait = FIRST_WAIT_MS;
    this.schedule(FIRST_WAIT_MS);
  }
}

customElements.define("preview-filler", PreviewFiller);
