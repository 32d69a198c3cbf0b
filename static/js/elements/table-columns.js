const KEPT = ["columns", "sort"];
const LEAST = 5;
const STEP = 2;
// So far a pointer goes before it drags: less is a click.
const SLACK_PX = 5;
const KEYS = "Drag, or ← → to move it, Shift ← → to size it, Enter to fit it";

/**
 * A table whose columns are moved and sized, by pointer on the heading and its edge, or by keys on
 * the heading's grip. Order and widths stand in the address as `columns=name:30,user:12,status`,
 * in percent, and are kept in the browser with `sort` under `data-kept`: an address that says
 * nothing of them becomes the one that was kept.
 *
 *   <table-columns data-kept="views"><table>
 *     <colgroup><col><col width="30%"><col></colgroup>
 *     <thead><tr><th></th><th data-column="name">Name</th><th data-column="user">User</th></tr></thead>…
 */
class TableColumns extends HTMLElement {
  connectedCallback() {
    if (this.recall()) return;
    this.table = this.querySelector("table");
    this.first = this.heads[0].cellIndex;
    this.status = document.createElement("span");
    this.status.className = "visually-hidden";
    this.status.role = "status";
    this.append(this.status);
    for (const head of this.heads) this.fitOut(head);
    if (this.table.classList.contains("sized")) this.widths = this.measured();
    const { tHead } = this.table;
    tHead.addEventListener("pointerdown", (event) => this.onDown(event));
    tHead.addEventListener("pointermove", (event) => this.onMove(event));
    tHead.addEventListener("pointerup", () => this.onUp());
    tHead.addEventListener("pointercancel", () => this.drop());
    tHead.addEventListener("keydown", (event) => this.onKey(event));
    tHead.addEventListener("dblclick", (event) => {
      if (event.target.matches(".edge")) this.fit(this.heads.indexOf(event.target.closest("th")));
    });
    // The browser's own dragging of links.
    tHead.addEventListener("dragstart", (event) => event.preventDefault());
    // Each project has a table of its own.
    const project = document.querySelector("select[name=project]");
    project?.addEventListener("change", () => this.unsay("columns", "sort"));
  }

  /** Keep what the address says; where it says nothing, go to what was kept, and return true. */
  recall() {
    const url = new URL(location.href);
    const kept = JSON.parse(localStorage.getItem(this.dataset.kept) ?? "{}");
    const said = KEPT.filter((name) => url.searchParams.has(name));
    if (!said.length && Object.keys(kept).length) {
      for (const [name, value] of Object.entries(kept)) url.searchParams.set(name, value);
      location.replace(url);
      return true;
    }
    for (const name of said) kept[name] = url.searchParams.get(name);
    if (said.length) localStorage.setItem(this.dataset.kept, JSON.stringify(kept));
    return false;
  }

  get heads() {
    return [...this.querySelectorAll("th[data-column]")];
  }

  get columns() {
    return [...this.querySelectorAll("col")].slice(this.first, this.first + this.heads.length);
  }

  fitOut(head) {
    head.dataset.label = head.textContent.trim();
    const grip = document.createElement("button");
    grip.type = "button";
    grip.className = "grip";
    grip.ariaLabel = `Column ${head.dataset.label}`;
    grip.title = KEYS;
    const edge = document.createElement("span");
    edge.className = "edge";
    head.append(grip, edge);
  }

  // --- by pointer ---

  onDown(event) {
    const head = event.target.closest("th[data-column]");
    if (!head || event.button !== 0) return;
    const isEdge = event.target.matches(".edge");
    const widths = this.widths ?? this.measured();
    this.drag = { head, isEdge, x: event.clientX, widths, hasBegun: false };
  }

  onMove(event) {
    const { drag } = this;
    if (!drag) return;
    const away = event.clientX - drag.x;
    if (!drag.hasBegun) {
      if (Math.abs(away) < SLACK_PX) return;
      drag.hasBegun = true;
      // From here on the pointer is this heading's, and its release is no click on a link.
      drag.head.setPointerCapture(event.pointerId);
      drag.head.toggleAttribute("data-moving", !drag.isEdge);
    }
    const at = this.heads.indexOf(drag.head);
    if (drag.isEdge) {
      this.widths = resized(drag.widths, at, (100 * away) / this.table.offsetWidth);
      this.draw();
      return;
    }
    drag.to = this.heads.filter((head) => head !== drag.head && middle(head) < event.clientX).length;
    this.heads.forEach((head, n) => {
      const side = drag.to < at ? "before" : "after";
      head.toggleAttribute(`data-${side}`, n === drag.to && drag.to !== at);
      head.toggleAttribute(side === "before" ? "data-after" : "data-before", false);
    });
  }

  onUp() {
    const { drag } = this;
    this.drop();
    if (!drag?.hasBegun) return;
    if (drag.isEdge) this.say(drag.head);
    else this.move(this.heads.indexOf(drag.head), drag.to);
  }

  drop() {
    this.drag = undefined;
    for (const head of this.heads) {
      for (const name of ["data-moving", "data-before", "data-after"]) head.removeAttribute(name);
    }
  }

  // --- by keys ---

  onKey(event) {
    if (!event.target.matches(".grip") || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.heads.indexOf(event.target.closest("th"));
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Enter") this.fit(at);
    else if (step && event.shiftKey) this.size(at, STEP * step);
    else if (step) this.move(at, at + step);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // --- what is done ---

  move(from, to) {
    const { heads, columns } = this;
    if (to === from || to < 0 || to >= heads.length) return;
    const focused = document.activeElement;
    const count = this.table.tHead.rows[0].cells.length;
    const rows = [...this.table.rows].filter((row) => row.cells.length === count);
    const lists = [columns, ...rows.map((row) => [...row.cells].slice(this.first))];
    for (const list of lists) list[to][to < from ? "before" : "after"](list[from]);
    if (this.widths) {
      this.widths.splice(to, 0, ...this.widths.splice(from, 1));
      this.draw();
    }
    if (heads[from].contains(focused)) focused.focus();
    this.say(heads[from]);
  }

  size(at, change) {
    this.widths = resized(this.widths ?? this.measured(), at, change);
    this.draw();
    this.say(this.heads[at]);
  }

  /** Make a column as wide as its widest cell wants to be. */
  fit(at) {
    const widths = this.widths ?? this.measured();
    const whole = this.table.offsetWidth;
    this.widths = undefined;
    this.draw();
    this.table.style.width = "max-content";
    const wanted = (100 * this.heads[at].offsetWidth) / whole;
    this.table.style.width = "";
    this.widths = widths;
    this.size(at, wanted - widths[at]);
  }

  /** Return the columns' widths in percent of the table. */
  measured() {
    const whole = this.table.offsetWidth;
    return this.heads.map((head) => (100 * head.offsetWidth) / whole);
  }

  draw() {
    const { columns } = this;
    this.table.classList.toggle("sized", Boolean(this.widths));
    columns.forEach((column, n) => {
      // The last has what is left.
      if (this.widths && n < columns.length - 1) column.width = `${this.widths[n]}%`;
      else column.removeAttribute("width");
    });
  }

  // --- where it is kept ---

  say(head) {
    const { heads } = this;
    const parts = heads.map((each, n) => {
      const width = this.widths && n < heads.length - 1 ? `:${Math.round(this.widths[n])}` : "";
      return `${each.dataset.column}${width}`;
    });
    const columns = parts.join(",");
    const withColumns = (address) => {
      const url = new URL(address);
      url.searchParams.set("columns", columns);
      return url;
    };
    history.replaceState(history.state, "", withColumns(location.href));
    this.recall();
    for (const link of document.querySelectorAll("main a[href]")) {
      if (!link.href.startsWith(location.origin + location.pathname)) continue;
      link.href = withColumns(link.href);
      if (link.hasAttribute("hx-get")) link.setAttribute("hx-get", link.href);
    }
    const back = this.closest("form")?.elements.next;
    if (back) back.value = location.pathname + location.search;
    this.unsay("columns");
    this.formOfFilters?.append(hidden("columns", columns));
    const width = this.widths ? `, ${Math.round(this.widths[heads.indexOf(head)])} percent wide` : "";
    this.status.textContent = `${head.dataset.label}: column ${heads.indexOf(head) + 1} of ${heads.length}${width}`;
  }

  get formOfFilters() {
    return document.querySelector("search form");
  }

  /** Take fields out of the form of the filters. */
  unsay(...names) {
    for (const name of names) this.formOfFilters?.querySelector(`input[type=hidden][name=${name}]`)?.remove();
  }
}

/** Return widths of which one is changed, its neighbours giving or taking the difference. */
function resized(widths, at, change) {
  const found = [...widths];
  const numbers = [...found.keys()];
  const others = [...numbers.slice(at + 1), ...numbers.slice(0, at).reverse()];
  let left = Math.max(change, LEAST - found[at]);
  for (const n of others) {
    const given = Math.min(left, Math.max(0, found[n] - LEAST));
    found[n] -= given;
    found[at] += given;
    left -= given;
  }
  return found;
}

function middle(element) {
  const box = element.getBoundingClientRect();
  return box.left + box.width / 2;
}

function hidden(name, value) {
  const input = document.createElement("input");
  Object.assign(input, { type: "hidden", name, value });
  return input;
}

customElements.define("table-columns", TableColumns);
