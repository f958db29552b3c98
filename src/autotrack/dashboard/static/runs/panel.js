// The charts beside the table: what is selected is drawn at once.
import { get } from "/static/lib/api.js";
import { fill, h } from "/static/lib/dom.js";
import { ranked } from "/static/lib/fields.js";
import { plural } from "/static/lib/format.js";
import { Chart } from "/static/charts/chart.js";
import { legend, namer } from "/static/charts/legend.js";

const CHARTS = 6; // drawn at once; the charts page has them all
const MOST = 30; // runs

// A panel; `show(ids)` draws them. `told`: {signal, onClear(), onRemove(id), links: {charts, compare}}
export class Panel {
  constructor(told) {
    this.told = told;
    this.charts = new Map();
    this.hidden = new Set();
    this.records = new Map();
    this.turn = 0;
    this.element = h("aside", { class: "panel", "aria-label": "Charts of the selected runs" });
  }

  async show(ids, fresh = false) {
    const turn = (this.turn += 1);
    this.element.hidden = !ids.length;
    if (!ids.length) {
      this.drop();
      fill(this.element);
      return;
    }
    const wanted = ids.slice(0, MOST);
    try {
      const where = `id in (${wanted.map((id) => `"${id}"`).join(", ")})`;
      const [known, found] = await Promise.all([
        get("/api/columns", { where }, this.told.signal),
        this.headers(wanted),
      ]);
      if (turn !== this.turn) return;
      this.draw(wanted.map((id) => found.get(id)).filter(Boolean), known.metrics, ids, fresh);
    } catch (error) {
      if (error.name !== "AbortError") fill(this.element, h("p", { class: "note bad", role: "alert" }, error.message));
    }
  }

  async headers(ids) {
    const missing = ids.filter((id) => !this.records.has(id));
    if (missing.length) {
      const where = `id in (${missing.map((id) => `"${id}"`).join(", ")})`;
      const told = await get("/api/runs", { where, limit: MOST }, this.told.signal);
      for (const run of told.runs) this.records.set(run.id, run);
    }
    return this.records;
  }

  draw(runs, metrics, ids, fresh) {
    const names = namer(runs);
    const keys = ranked(metrics).filter((key) => !key.startsWith("system/"));
    const shown = keys.slice(0, CHARTS);
    for (const [key, chart] of this.charts) {
      if (shown.includes(key)) continue;
      chart.destroy();
      this.charts.delete(key);
    }
    const links = this.told.links();
    const redraw = () => this.draw(runs, metrics, ids, false);
    const list = legend(runs, names, {
      hidden: this.hidden,
      onHover: (id) => this.charts.forEach((chart) => chart.highlight(id)),
      onToggle: (id) => {
        if (!this.hidden.delete(id)) this.hidden.add(id);
        redraw();
      },
      onRemove: this.told.onRemove,
    });
    for (const key of shown)
      if (!this.charts.has(key))
        this.charts.set(
          key,
          new Chart(key, {
            height: 150,
            names,
            onZoom: (from, to) => this.zoom(key, from, to),
            signal: this.told.signal,
          }),
        );
    fill(
      this.element,
      h(
        "div",
        { class: "panel-head" },
        h("h2", {}, `${plural(ids.length, "run")} selected`),
        h("span", { class: "spring" }),
        h("button", { type: "button", class: "quiet small", onclick: this.told.onClear }, "Clear"),
      ),
      h(
        "div",
        { class: "toolbar panel-links" },
        ids.length > 1
          ? h("a", { class: "button primary", href: links.compare }, "Compare")
          : h("a", { class: "button primary", href: `/run/${encodeURIComponent(ids[0])}` }, "Open the run"),
        h("a", { class: "button", href: links.charts }, "All charts"),
      ),
      ids.length > MOST
        ? h("p", { class: "muted" }, `The first ${MOST} are drawn here; at most 100 can be selected.`)
        : null,
      list,
      shown.length
        ? h(
            "div",
            { class: "panel-charts" },
            shown.map((key) => this.charts.get(key).element),
          )
        : h("p", { class: "muted" }, "These runs have no metrics with points yet."),
      keys.length > CHARTS
        ? h("p", {}, h("a", { href: links.charts }, `${keys.length - CHARTS} more metrics in Charts`))
        : null,
    );
    for (const key of shown) {
      const chart = this.charts.get(key);
      chart.names = names;
      chart.show(
        runs,
        {
          x: "step",
          smooth: 0,
          logX: false,
          logY: false,
          from: null,
          to: null,
          ...(chart.zoomedTo ?? {}),
          hidden: this.hidden,
        },
        fresh,
      );
    }
    this.runs = runs;
  }

  zoom(key, from, to) {
    const chart = this.charts.get(key);
    chart.zoomedTo = { from, to };
    chart.show(this.runs, { ...chart.options, from, to });
  }

  drop() {
    for (const chart of this.charts.values()) chart.destroy();
    this.charts.clear();
  }
}
