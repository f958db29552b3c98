// The charts: selected runs overlaid, one chart a metric. What is drawn and how is in the address.
import { get, live } from "/static/lib/api.js";
import { debounce, fill, h, stylesheet } from "/static/lib/dom.js";
import { ranked } from "/static/lib/fields.js";
import { plural } from "/static/lib/format.js";
import { keys } from "/static/lib/keys.js";
import { command, empty } from "/static/lib/parts.js";
import { view } from "/static/lib/view.js";
import { Chart } from "/static/charts/chart.js";
import { legend, namer } from "/static/charts/legend.js";
import { assign } from "/static/charts/palette.js";

const START = { runs: [], x: "step", smooth: 0, logx: false, logy: false, search: "", from: "", to: "", hide: [] };
const NEWEST = 5;
const MOST = 100; // runs that the server draws at once

export async function show(root, { query, signal }) {
  const styles = ["/static/charts/charts.css", "/static/vendor/uplot/uPlot.min.css"].map(stylesheet);
  const page = new ChartsPage(root, view(query, START), signal);
  await Promise.all([page.load(), ...styles]);
  if (!signal.aborted) page.start();
}

class ChartsPage {
  constructor(root, told, signal) {
    Object.assign(this, { root, view: told, state: told.state, signal });
    this.charts = new Map();
    this.seen = new Set();
    this.watch = new IntersectionObserver((entries) => this.sighted(entries), { rootMargin: "300px" });
    signal.addEventListener("abort", () => this.watch.disconnect());
  }

  // The runs that are meant, by default the newest, and the metrics that they have.
  async load() {
    const runs = this.state.runs.slice(0, MOST);
    const where = runs.length ? `id in (${runs.map((id) => JSON.stringify(id)).join(", ")})` : "";
    const told = await get("/api/runs", { where, limit: runs.length ? 200 : NEWEST, sort: "-started_at" }, this.signal);
    const found = new Map(told.runs.map((run) => [run.id, run]));
    this.runs = runs.length ? runs.map((id) => found.get(id)).filter(Boolean) : told.runs;
    this.names = namer(this.runs);
    assign(this.runs.map((run) => run.id));
    const mine = `id in (${this.runs.map((run) => JSON.stringify(run.id)).join(", ")})`;
    const known = this.runs.length ? await get("/api/columns", { where: mine }, this.signal) : { metrics: {} };
    this.keys = ranked(known.metrics);
  }

  start() {
    if (!this.runs.length) {
      fill(
        this.root,
        this.state.runs.length
          ? empty("These runs are not here", "They may be in another home.", h("a", { href: "/" }, "All runs"))
          : empty(
              "No runs yet",
              "Train something after autotrack.enable(), or see it at work:",
              command("autotrack demo"),
            ),
      );
      return;
    }
    this.legend = h("div", {});
    this.grid = h("div", { class: "charts-grid" });
    fill(this.root, h("h1", { class: "sr-only" }, "Charts"), this.tools(), this.said(), this.legend, this.grid);
    this.view.changed(() => this.draw());
    keys(
      [
        { keys: ["/"], means: "to the search for metrics", act: () => this.search.focus() },
        { keys: ["0"], means: "see all of x again", act: () => this.zoom(null, null) },
        {
          keys: ["s"],
          means: "smoothing on or off",
          act: () => this.view.set({ smooth: this.state.smooth ? 0 : 0.8 }),
        },
        { keys: ["l"], means: "y axis logarithmic or not", act: () => this.view.set({ logy: !this.state.logy }) },
        { keys: ["+", "-", "ArrowLeft", "ArrowRight"], means: "zoom and move, with a chart focused" },
      ],
      this.signal,
    );
    const changed = new Set();
    const renew = debounce(() => this.renew(changed), 250);
    live((told) => {
      for (const run of told.runs ?? this.runs.map((one) => one.id)) changed.add(run);
      renew();
    }, this.signal);
    this.draw();
  }

  said() {
    if (this.state.runs.length) return null;
    return h(
      "p",
      { class: "muted" },
      `The newest ${plural(this.runs.length, "run")}. `,
      h("a", { href: "/" }, "Select others in Runs"),
      " to draw them here.",
    );
  }

  tools() {
    const { state } = this;
    const set = (changes) => this.view.set(changes);
    const toggle = (name, text) =>
      h(
        "button",
        {
          type: "button",
          data: { toggle: name },
          "aria-pressed": state[name],
          onclick: () => set({ [name]: !state[name] }),
        },
        text,
      );
    this.search = h("input", {
      type: "search",
      class: "charts-search",
      value: state.search,
      placeholder: "Find metrics",
      "aria-label": "Find metrics",
      oninput: debounce(() => set({ search: this.search.value }), 150),
    });
    this.smooth = h("input", {
      type: "range",
      min: 0,
      max: 0.99,
      step: 0.01,
      value: state.smooth,
      "aria-label": "Smoothing",
      oninput: () => set({ smooth: Number(this.smooth.value) }),
    });
    this.amount = h("output", {});
    this.reset = h("button", { type: "button", onclick: () => this.zoom(null, null) }, "See all of x");
    const axis = h(
      "select",
      { "aria-label": "X axis", onchange: () => set({ x: axis.value, from: "", to: "" }) },
      [
        ["step", "step"],
        ["epoch", "epoch"],
        ["time", "time"],
        ["relative", "time since the start"],
      ].map(([id, text]) => h("option", { value: id, selected: id === state.x }, text)),
    );
    this.tooled = h(
      "div",
      { class: "toolbar charts-tools", role: "group", "aria-label": "How to draw" },
      this.search,
      h("label", {}, h("span", { class: "muted" }, "X"), axis),
      h("label", {}, h("span", { class: "muted" }, "Smoothing"), this.smooth, this.amount),
      toggle("logy", "Log y"),
      toggle("logx", "Log x"),
      this.reset,
      h("span", { class: "spring" }),
      h("a", { class: "button", href: `/?runs=${this.runs.map((run) => run.id).join(",")}` }, "Change the selection"),
      h("a", { class: "button", href: `/compare?runs=${this.runs.map((run) => run.id).join(",")}` }, "Compare"),
    );
    return this.tooled;
  }

  options() {
    const { x, smooth, logx, logy, from, to, hide } = this.state;
    const edge = (text) => (text === "" ? null : Number(text));
    return { x, smooth, logX: logx && x !== "time", logY: logy, from: edge(from), to: edge(to), hidden: new Set(hide) };
  }

  zoom(from, to) {
    const text = (edge) => (edge === null ? "" : String(Number(edge.toPrecision(10))));
    this.view.set({ from: text(from), to: text(to) });
  }

  draw() {
    const { state } = this;
    this.smooth.value = state.smooth;
    this.amount.textContent = state.smooth ? state.smooth.toFixed(2) : "off";
    this.reset.hidden = state.from === "" && state.to === "";
    for (const button of this.tooled.querySelectorAll("[data-toggle]"))
      button.setAttribute("aria-pressed", state[button.dataset.toggle]);
    fill(
      this.legend,
      legend(this.runs, this.names, {
        hidden: new Set(state.hide),
        onHover: (id) => this.charts.forEach((chart) => chart.highlight(id)),
        onToggle: (id) =>
          this.view.set({
            hide: state.hide.includes(id) ? state.hide.filter((one) => one !== id) : [...state.hide, id],
          }),
      }),
    );
    const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = this.keys.filter((key) => words.every((word) => key.toLowerCase().includes(word)));
    for (const [key, chart] of this.charts) {
      if (wanted.includes(key)) continue;
      this.watch.unobserve(chart.element);
      this.seen.delete(key);
      chart.destroy();
      this.charts.delete(key);
    }
    const made = wanted.map((key) => {
      if (!this.charts.has(key)) {
        const chart = new Chart(key, {
          names: this.names,
          onZoom: (from, to) => this.zoom(from, to),
          signal: this.signal,
        });
        this.charts.set(key, chart);
        this.watch.observe(chart.element);
      }
      return this.charts.get(key).element;
    });
    const same =
      made.length === this.grid.children.length &&
      made.every((element, index) => element === this.grid.children[index]);
    if (!same)
      fill(
        this.grid,
        made.length
          ? made
          : empty(
              words.length ? "No metric fits" : "No metrics yet",
              words.length ? "Change the search." : "They appear here as the runs log them.",
            ),
      );
    for (const key of this.seen) this.charts.get(key)?.show(this.runs, this.options());
  }

  // Charts are fetched and drawn when they come into sight.
  sighted(entries) {
    for (const entry of entries) {
      const { key } = entry.target.dataset;
      if (!entry.isIntersecting) this.seen.delete(key);
      else {
        this.seen.add(key);
        this.charts.get(key)?.show(this.runs, this.options(), this.stale?.delete(key));
      }
    }
  }

  async renew(changed) {
    if (!this.runs.some((run) => changed.has(run.id)) && this.state.runs.length) return;
    changed.clear();
    try {
      await this.load();
    } catch {
      return;
    }
    this.stale = new Set(this.charts.keys());
    for (const chart of this.charts.values()) chart.names = this.names;
    for (const key of this.seen) if (this.stale.delete(key)) this.charts.get(key).show(this.runs, this.options(), true);
    this.draw();
  }
}
