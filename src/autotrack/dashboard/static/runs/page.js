// The runs: filter, group, sort, choose columns, select; the whole view is in the address.
import { get, live } from "/static/lib/api.js";
import { debounce, fill, h, stylesheet } from "/static/lib/dom.js";
import { parts } from "/static/lib/fields.js";
import { number, plural } from "/static/lib/format.js";
import { keys } from "/static/lib/keys.js";
import { view } from "/static/lib/view.js";
import { assign, colorOf } from "/static/charts/palette.js";
import { column } from "/static/runs/cells.js";
import { candidates, chooseColumns, usual } from "/static/runs/columns.js";
import { Filter } from "/static/runs/filter.js";
import { Grid } from "/static/runs/grid.js";
import { Panel } from "/static/runs/panel.js";
import { Rows } from "/static/runs/rows.js";
import { Sparklines } from "/static/runs/sparklines.js";
import { drawControls, pageKeys, showFailure, showNothing, sortedBy } from "/static/runs/tools.js";

const START = { where: "", sort: ["-started_at"], columns: [], group: "", nested: false, runs: [] };
const SAMPLE = 50; // newest runs that tell which params vary
const SELECTED = 100; // at most: as many as the server draws at once
const COMPARED = 50; // as many as the server compares at once

export async function show(root, { query, signal, navigate }) {
  const styles = ["/static/runs/runs.css", "/static/charts/charts.css", "/static/vendor/uplot/uPlot.min.css"].map(
    stylesheet,
  );
  const [info, columns] = await Promise.all([get("/api/info", {}, signal), get("/api/columns", {}, signal), ...styles]);
  const sample = (await get("/api/runs", { columns: candidates(columns), limit: SAMPLE }, signal)).runs;
  if (!signal.aborted) new RunsPage(root, info, columns, sample, view(query, START), signal, navigate).start();
}

class RunsPage {
  constructor(root, info, known, sample, told, signal, navigate) {
    Object.assign(this, {
      root,
      info,
      known,
      sample,
      numbers: new Set(),
      view: told,
      state: told.state,
      signal,
      navigate,
    });
    this.usual = usual(known, Object.keys(info.projects).length, sample);
    this.anchor = -1;
    this.curves = new Sparklines(signal, () => this.grid.draw());
    this.count = h("span", { class: "muted nowrap", role: "status" });
    this.filter = new Filter(
      this.state.where,
      () => this.known,
      (where) => this.change({ where }),
    );
    this.grouping = h("select", {
      "aria-label": "Group by",
      onchange: () => this.change({ group: this.grouping.value }),
    });
    this.nesting = h(
      "button",
      {
        type: "button",
        "aria-pressed": "false",
        title: "Show runs that belong to another run inside it",
        onclick: () => this.change({ nested: !this.state.nested }),
      },
      "Nest",
    );
    this.over = h("div", { class: "grid-over", hidden: true });
    this.panel = new Panel({
      signal,
      onClear: () => this.select([]),
      onRemove: (id) => this.select(this.state.runs.filter((one) => one !== id)),
      links: () => ({
        charts: `/charts?runs=${this.state.runs.join(",")}`,
        compare: `/compare?runs=${this.state.runs.slice(0, COMPARED).join(",")}`,
      }),
    });
    this.grid = new Grid({
      columns: () => this.shown.map((id) => column(id, this.numbers.has(id))),
      rows: () => this.rows,
      curves: (run, key) => this.curves.of(run, key),
      selected: (id) => this.state.runs.includes(id),
      color: colorOf,
      sort: () => this.state.sort,
      onSort: (id, also) => this.change({ sort: sortedBy(this.state.sort, id, also) }),
      onMove: (id, to) => this.moveColumn(id, to),
      onOpen: (run) => navigate(`/run/${encodeURIComponent(run.id)}`),
      onExpand: (item, index) => this.expand(item, index),
      onSelect: (index, run, range) => this.pick(index, run, range),
      onSeen: (ids) => this.curves.want(ids, this.metrics),
    });
  }

  get shown() {
    return this.state.columns.length ? this.state.columns : this.usual;
  }

  get metrics() {
    return [
      ...new Set(
        this.shown
          .map(parts)
          .filter((one) => one.group === "metrics")
          .map((one) => one.key),
      ),
    ];
  }

  start() {
    fill(
      this.root,
      h("h1", { class: "sr-only" }, "Runs"),
      h(
        "div",
        { class: "runs-tools" },
        this.filter.element,
        h(
          "div",
          { class: "toolbar" },
          h("label", {}, h("span", { class: "muted" }, "Group"), this.grouping),
          this.nesting,
          h("button", { type: "button", onclick: () => this.choose() }, "Columns"),
          h("span", { class: "spring" }),
          this.count,
        ),
      ),
      h(
        "div",
        { class: "runs-main" },
        h("div", { class: "grid-place" }, this.grid.element, this.over),
        this.panel.element,
      ),
    );
    this.root.classList.add("runs-page");
    this.signal.addEventListener("abort", () => this.grid.resized.disconnect());
    keys(pageKeys(this), this.signal);
    const news = debounce((gone) => !gone.aborted && this.renew(), 300);
    live((told) => {
      this.curves.forget(told.runs);
      news(this.signal);
    }, this.signal);
    const clock = setInterval(() => this.grid.draw(), 15000); // "5 min ago" grows older
    this.signal.addEventListener("abort", () => clearInterval(clock));
    this.state.runs = this.state.runs.slice(0, SELECTED);
    assign(this.state.runs);
    this.ask();
    this.panel.show(this.state.runs);
  }

  change(changes) {
    this.view.set(changes);
    if (Object.keys(changes).some((one) => one !== "runs")) this.ask();
  }

  // Ask for the rows anew, from the top.
  ask() {
    drawControls(this);
    const { where, sort, group, nested } = this.state;
    const asked = this.shown.filter((id) => parts(id).group);
    const place = this.rows && this.lastAsked === JSON.stringify([where, sort, group, nested]);
    this.lastAsked = JSON.stringify([where, sort, group, nested]);
    this.asking?.abort();
    this.asking = new AbortController();
    this.signal.addEventListener("abort", () => this.asking.abort());
    if (!place) this.grid.active = this.anchor = -1;
    const rows = new Rows({ where, sort, columns: asked, group, nested, signal: this.asking.signal }, (error) =>
      this.arrived(rows, error, place),
    );
    this.next = rows;
    this.rows ??= rows;
    this.grid.redraw();
  }

  arrived(rows, error, place = true) {
    if (rows !== this.next) return;
    if (error) return showFailure(this, error);
    this.filter.problem(null);
    this.over.hidden = true;
    if (this.rows !== rows && rows.known) {
      this.rows = rows; // what was there stays until there is something better
      if (!place) this.grid.element.scrollTop = 0;
    } else this.grid.follow();
    this.align(rows.sample);
    this.grid.draw();
    if (!rows.known) return;
    this.tell();
    this.grid.element.dataset.asked = this.lastAsked; // tests wait for it
    if (!rows.count) showNothing(this);
  }

  tell() {
    const { where, nested, runs } = this.state;
    fill(
      this.count,
      where || nested ? `${plural(this.rows.runs, "run")} of ${number(this.total())}` : plural(this.rows.runs, "run"),
      runs.length ? null : " · select some to draw them",
    );
  }

  // Params that are numbers stand in columns of numbers.
  align(runs) {
    const before = [...this.numbers].join();
    for (const id of this.shown) {
      const told = runs.map((run) => run.values?.[id]).filter((one) => one !== null && one !== undefined);
      if (told.length) this.numbers[told.every((one) => typeof one === "number") ? "add" : "delete"](id);
    }
    if ([...this.numbers].join() !== before) this.grid.redraw();
  }

  total() {
    return this.info.runs;
  }

  async renew() {
    try {
      [this.info, this.known] = await Promise.all([
        get("/api/info", {}, this.signal),
        get("/api/columns", {}, this.signal),
      ]);
    } catch {
      return; // the mark in the bar says that the server is away
    }
    const before = this.usual.join();
    this.usual = usual(this.known, Object.keys(this.info.projects).length, this.sample);
    if (!this.state.columns.length && this.usual.join() !== before) this.ask();
    else this.next.renew();
    drawControls(this);
    if (this.state.runs.length) this.panel.show(this.state.runs, true);
  }

  moveColumn(id, to) {
    const shown = [...this.shown];
    const from = shown.indexOf(id);
    const place = typeof to === "number" ? from + to : shown.indexOf(to);
    if (from < 0 || place < 0 || place >= shown.length) return;
    shown.splice(place, 0, ...shown.splice(from, 1));
    this.change({ columns: shown });
  }

  choose() {
    chooseColumns(this.known, this.shown, this.usual, (columns) =>
      this.change({ columns: columns.join() === this.usual.join() ? [] : columns }),
    );
  }

  expand(item, index) {
    if (item.kind === "group") item.group.open = !item.group.open;
    else item.list.toggle(item.index, item.run);
    this.grid.active = index;
    this.grid.draw();
  }

  pick(index, run, range) {
    const { runs } = this.state;
    if (range && this.anchor >= 0) {
      const [from, to] = [Math.min(this.anchor, index), Math.max(this.anchor, index)];
      const between = [];
      for (let place = from; place <= to && between.length < SELECTED; place += 1) {
        const item = this.rows.at(place);
        if (item.kind === "run") between.push(item.run.id);
      }
      this.select([...new Set([...runs, ...between])]);
    } else this.select(runs.includes(run.id) ? runs.filter((one) => one !== run.id) : [...runs, run.id]);
    this.anchor = index;
  }

  select(runs) {
    const kept = runs.slice(0, SELECTED);
    assign(kept);
    this.change({ runs: kept });
    this.tell();
    this.grid.draw();
    this.panel.show(kept);
  }
}
