// The table: only the rows that are seen are in the document, however many there are. A grid to screen readers, with
// the whole count of rows told; one row is active (keyboard), any number selected.
import { append, fill, h } from "/static/lib/dom.js";
import { plural, value } from "/static/lib/format.js";
import { cell } from "/static/runs/cells.js";

export const ROW = 30; // px, as in runs.css

// told: {columns(), rows(), selected(id), color(id), sort(), onSort, onMove, onToggle, onOpen, onSelect, onExpand, curves, onSeen}
export class Grid {
  constructor(told) {
    this.told = told;
    this.active = -1;
    this.header = h("div", { role: "row", class: "grid-row grid-head", "aria-rowindex": "1" });
    this.body = h("div", { role: "rowgroup", class: "grid-body" });
    this.element = h(
      "div",
      { role: "grid", class: "grid", tabindex: "0", "aria-label": "Runs", "aria-multiselectable": "true" },
      h("div", { role: "rowgroup", class: "grid-top" }, this.header),
      this.body,
    );
    this.drawn = new Map(); // index -> {run, row}: rows that stay in sight while scrolling are not made anew
    this.element.addEventListener("scroll", () => this.draw(true), { passive: true });
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.element);
  }

  // Columns, sorting or selection changed.
  redraw() {
    const columns = this.told.columns();
    this.element.style.setProperty(
      "--columns",
      `34px ${columns.map((one, index) => (index ? `${one.width}px` : `minmax(${one.width}px, 1fr)`)).join(" ")}`,
    );
    this.element.style.setProperty("--width", `${34 + columns.reduce((sum, one) => sum + one.width, 0)}px`);
    this.element.setAttribute("aria-colcount", columns.length + 1);
    const focused = this.header.contains(document.activeElement) ? document.activeElement.dataset.id : null;
    fill(
      this.header,
      h("div", { role: "columnheader", class: "grid-cell grid-check" }, h("span", { class: "sr-only" }, "Selected")),
      columns.map((one) => this.head(one)),
    );
    if (focused) this.header.querySelector(`button[data-id="${CSS.escape(focused)}"]`)?.focus();
    this.draw();
  }

  head(column) {
    const sort = this.told.sort();
    const place = sort.findIndex((one) => one.replace(/^-/, "") === column.id);
    const down = place >= 0 && sort[place].startsWith("-");
    const arrow = place < 0 ? "" : down ? "↓" : "↑";
    const button = h(
      "button",
      {
        type: "button",
        class: "head-button",
        data: { id: column.id },
        draggable: "true",
        title: `${column.title}: sort by it; with Shift, after what is sorted already; Alt+arrows or dragging moves the column`,
        onclick: (event) => this.told.onSort(column.id, event.shiftKey),
        onkeydown: (event) => {
          if (!event.altKey || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
          event.preventDefault();
          this.told.onMove(column.id, event.key === "ArrowLeft" ? -1 : 1);
        },
        ondragstart: (event) => event.dataTransfer.setData("text/x-column", column.id),
      },
      h("span", { class: "head-label" }, column.label),
      column.aspect && column.aspect !== "last" ? h("span", { class: "head-aspect" }, column.aspect) : null,
      arrow
        ? h("span", { class: "head-arrow", "aria-hidden": "true" }, arrow + (sort.length > 1 ? place + 1 : ""))
        : null,
    );
    return h(
      "div",
      {
        role: "columnheader",
        class: `grid-cell ${column.numeric ? "grid-num" : ""}`,
        "aria-sort": place < 0 ? "none" : down ? "descending" : "ascending",
        ondragover: (event) => event.dataTransfer.types.includes("text/x-column") && event.preventDefault(),
        ondrop: (event) => {
          event.preventDefault();
          this.told.onMove(event.dataTransfer.getData("text/x-column"), column.id);
        },
      },
      button,
    );
  }

  // Put the rows that are seen into the document; `same`: nothing but the place has changed.
  draw(same = false) {
    const rows = this.told.rows();
    const count = rows.count;
    this.element.setAttribute("aria-rowcount", count + 1);
    this.body.style.height = `${count * ROW}px`;
    const first = Math.max(0, Math.floor(this.element.scrollTop / ROW) - 8);
    const last = Math.min(count, Math.ceil((this.element.scrollTop + this.element.clientHeight) / ROW) + 8);
    const made = [];
    const seen = [];
    const before = same ? this.drawn : new Map();
    this.drawn = new Map();
    for (let index = first; index < last; index += 1) {
      const item = rows.at(index);
      if (item.kind === "run") seen.push(item.run.id);
      const known = before.get(index);
      const row = known && known.run === item.run ? known.row : this.row(item, index);
      if (item.kind === "run") this.drawn.set(index, { run: item.run, row });
      made.push(row);
    }
    this.body.replaceChildren(...made);
    if (this.active >= first && this.active < last)
      this.element.setAttribute("aria-activedescendant", `row-${this.active}`);
    else this.element.removeAttribute("aria-activedescendant");
    this.told.onSeen(seen);
  }

  // After news: the active row and what is in sight stay the same runs, though others came in above them.
  follow() {
    const rows = this.told.rows();
    const found = (index) => {
      const id = this.drawn.get(index)?.run.id;
      for (let by = 0; id && by < 60; by += 1) {
        for (const place of [index + by, index - by])
          if (place >= 0 && place < rows.count && rows.at(place).run?.id === id) return place;
      }
      return index;
    };
    const top = Math.floor(this.element.scrollTop / ROW);
    const moved = top > 0 ? found(top) - top : 0;
    if (this.active >= 0) this.active = found(this.active);
    this.body.style.height = `${rows.count * ROW}px`;
    if (moved) this.element.scrollTop += moved * ROW;
  }

  row(item, index) {
    const row = h("div", {
      role: "row",
      id: `row-${index}`,
      class: "grid-row",
      "aria-rowindex": index + 2,
      style: { top: `${index * ROW}px` },
    });
    if (index === this.active) row.classList.add("grid-active");
    if (item.kind === "group") return this.groupRow(row, item.group, index);
    if (item.kind === "waiting") {
      row.classList.add("grid-waiting");
      return append(row, h("div", { role: "gridcell", class: "grid-cell" }, "…"));
    }
    const { run } = item;
    const chosen = this.told.selected(run.id);
    row.setAttribute("aria-selected", chosen);
    row.addEventListener("click", (event) => {
      if (event.target.closest("a, button")) return;
      this.active = index;
      this.told.onSelect(index, run, event.shiftKey);
    });
    const box = h("input", {
      type: "checkbox",
      tabindex: "-1",
      checked: chosen,
      "aria-label": `Select ${run.name || run.id}`,
    });
    const mark = h("span", { class: "grid-color", style: chosen ? { background: this.told.color(run.id) } : null });
    append(row, h("div", { role: "gridcell", class: "grid-cell grid-check" }, mark, box));
    this.told.columns().forEach((one, place) => {
      const content = cell(one, run, this.told.curves);
      const extra = place === 0 ? this.twisty(item, index) : null;
      append(row, h("div", { role: "gridcell", class: `grid-cell ${one.numeric ? "grid-num" : ""}` }, extra, content));
    });
    return row;
  }

  // The arrow before a run that has children.
  twisty(item, index) {
    const indent = item.depth ? h("span", { class: "indent", style: { width: `${item.depth * 16}px` } }) : null;
    const children = this.told.rows().children.get(item.run.id);
    if (!children) return indent;
    const open = item.list.isOpen(item.run);
    return [
      indent,
      h(
        "button",
        {
          type: "button",
          class: "twisty",
          tabindex: "-1",
          "aria-expanded": open,
          title: plural(children, "run") + " inside",
          "aria-label": `${plural(children, "run")} inside ${item.run.name}`,
          onclick: () => this.told.onExpand(item, index),
        },
        open ? "▾" : "▸",
      ),
    ];
  }

  groupRow(row, group, index) {
    row.classList.add("grid-group");
    const shown = group.value === null ? "(none)" : value(group.value);
    return append(
      row,
      h(
        "div",
        { role: "gridcell", class: "grid-cell" },
        h(
          "button",
          {
            type: "button",
            class: "twisty",
            "aria-expanded": group.open,
            onclick: () => this.told.onExpand({ kind: "group", group }, index),
          },
          group.open ? "▾" : "▸",
          h("strong", {}, shown),
          h("span", { class: "muted" }, plural(group.count, "run")),
        ),
      ),
    );
  }

  // Make a row the active one, and bring it into sight.
  move(to) {
    const count = this.told.rows().count;
    if (!count) return;
    this.active = Math.max(0, Math.min(count - 1, to));
    const top = this.active * ROW;
    const room = this.element.clientHeight - ROW * 2;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top > this.element.scrollTop + room) this.element.scrollTop = top - room;
    this.draw();
  }

  key(event) {
    if (event.target !== this.element || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      event.preventDefault();
      this.move(this.active + steps[event.key]);
    } else if (event.key === " ") {
      event.preventDefault();
      this.pick(event.shiftKey);
    }
  }

  // Select, or open, the active row.
  pick(range) {
    const item = this.active >= 0 ? this.told.rows().at(this.active) : null;
    if (item?.kind === "run") this.told.onSelect(this.active, item.run, range);
    else if (item?.kind === "group") this.told.onExpand(item, this.active);
  }

  open() {
    const item = this.active >= 0 ? this.told.rows().at(this.active) : null;
    if (item?.kind === "run") this.told.onOpen(item.run);
    else if (item?.kind === "group") this.told.onExpand(item, this.active);
  }
}
