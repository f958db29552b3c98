// Compare: the best run, what differs, metrics side by side, and how params and metrics hang together.
import { get } from "/static/lib/api.js";
import { fill, h, stylesheet } from "/static/lib/dom.js";
import { goal as likely, higherIsBetter, ranked } from "/static/lib/fields.js";
import { number, plural } from "/static/lib/format.js";
import { keys } from "/static/lib/keys.js";
import { command, empty } from "/static/lib/parts.js";
import { view } from "/static/lib/view.js";
import { namer } from "/static/charts/legend.js";
import { assign } from "/static/charts/palette.js";
import { drawPlots } from "/static/compare/plots.js";
import { DataChanges } from "/static/compare/datachanges.js";
import {
  best,
  COLUMNS,
  datasetRows,
  metricRows,
  nestedRows,
  none,
  overview,
  plainRows,
  sideBySide,
} from "/static/compare/tables.js";

const START = { runs: [], all: false, value: "last", best: "", flip: [], x: "", y: "", axes: [] };
const NEWEST = 5;
const MOST = 50; // runs that the server compares at once

export async function show(root, { query, signal, navigate }) {
  const styles = ["/static/compare/compare.css", "/static/charts/charts.css", "/static/vendor/uplot/uPlot.min.css"].map(
    stylesheet,
  );
  const told = view(query, START);
  let ids = told.state.runs.slice(0, MOST);
  if (!ids.length)
    ids = (await get("/api/runs", { sort: "-started_at", limit: NEWEST }, signal)).runs.map((run) => run.id);
  await Promise.all(styles);
  if (!ids.length)
    return void fill(
      root,
      empty("No runs yet", "Train something after autotrack.enable(), or see it at work:", command("autotrack demo")),
    );
  if (ids.length < 2)
    return void fill(
      root,
      empty(
        "One run alone cannot be compared",
        "Select two or more in the table of runs.",
        h("a", { class: "button primary", href: `/?runs=${ids.join(",")}` }, "Select runs"),
      ),
    );
  const compared = await get("/api/compare", { runs: ids }, signal);
  if (!signal.aborted) new ComparePage(root, compared, told, signal, navigate).start();
}

class ComparePage {
  constructor(root, told, kept, signal, navigate) {
    Object.assign(this, { root, told, view: kept, state: kept.state, signal, navigate });
    this.ids = told.runs.map((run) => run.id);
    this.names = namer(told.runs);
    this.undraw = [];
    this.changes = new DataChanges(told, this.names, signal);
    assign(this.ids);
  }

  start() {
    this.tables = h("div", {});
    this.answer = h("div", { class: "answer" });
    this.plots = h("div", {});
    const differ = h(
      "button",
      { type: "button", "aria-pressed": !this.state.all, onclick: () => this.view.set({ all: !this.state.all }) },
      "Only what differs",
    );
    fill(
      this.root,
      h(
        "div",
        { class: "toolbar" },
        h("h1", {}, `${plural(this.ids.length, "run")} compared`),
        h("span", { class: "spring" }),
        differ,
        h("a", { class: "button", href: `/?runs=${this.ids.join(",")}` }, "Change the selection"),
        h("a", { class: "button", href: `/charts?runs=${this.ids.join(",")}` }, "Charts"),
      ),
      this.state.runs.length
        ? null
        : h(
            "p",
            { class: "muted" },
            "The newest runs. ",
            h("a", { href: "/" }, "Select others in Runs"),
            " to compare them here.",
          ),
      this.answer,
      this.plots,
      this.tables,
    );
    this.view.changed((changes) => {
      differ.setAttribute("aria-pressed", !this.state.all);
      if (["x", "y", "axes", "best", "flip", "value"].some((one) => one in changes)) this.drawPlots();
      if (!("x" in changes || "y" in changes || "axes" in changes)) this.drawTables();
    });
    keys(
      [{ keys: ["d"], means: "only what differs, or all", act: () => this.view.set({ all: !this.state.all }) }],
      this.signal,
    );
    const themed = () => this.drawPlots();
    window.addEventListener("themechange", themed);
    this.signal.addEventListener("abort", () => {
      window.removeEventListener("themechange", themed);
      this.undraw.forEach((call) => call());
    });
    this.drawTables();
    this.drawPlots();
  }

  // Metrics that most of the runs have come first.
  get metrics() {
    const count = (row) => row.filter((one) => one !== null).length;
    return ranked(Object.fromEntries(Object.entries(this.told.metrics).map(([key, row]) => [key, count(row)])));
  }

  get chosen() {
    return this.told.metrics[this.state.best] ? this.state.best : likely(this.metrics);
  }

  higher(key) {
    return higherIsBetter(key) !== this.state.flip.includes(key);
  }

  flip(key) {
    const { flip } = this.state;
    this.view.set({ flip: flip.includes(key) ? flip.filter((one) => one !== key) : [...flip, key] });
  }

  drawTables() {
    const { told, names, state } = this;
    this.drawAnswer();
    const differ = (group) =>
      told.different[group].length
        ? `${told.different[group].length} of ${Object.keys(told[group]).length} differ`
        : null;
    const aspect = h(
      "select",
      { "aria-label": "Value of the metrics", onchange: () => this.view.set({ value: aspect.value }) },
      ["last", "min", "max"].map((one) => h("option", { value: one, selected: one === state.value }, one)),
    );
    const higher = (key) => this.higher(key);
    const row = (group) => plainRows(told, group, state.all);
    fill(
      this.tables,
      this.ids.length > COLUMNS
        ? h(
            "p",
            { class: "note section" },
            `The tables show the first ${COLUMNS} runs; the best run and the plots count all ${this.ids.length}.`,
          )
        : null,
      sideBySide(told, names, [
        { title: "Runs", rows: overview(told) },
        {
          title: "Metrics",
          note: h("label", {}, "value", aspect),
          rows: metricRows(told, { aspect: state.value, higher, onFlip: (key) => this.flip(key), keys: this.metrics }),
          none: none(told, "metrics"),
        },
        {
          title: "Data",
          note: differ("datasets"),
          rows: datasetRows(told, state.all, (index, key) => this.changes.show(key, index)),
          none: none(told, "datasets"),
          after: this.changes.element,
        },
        { title: "Params", note: differ("params"), rows: row("params"), none: none(told, "params") },
        { title: "Tags", note: differ("tags"), rows: row("tags"), none: none(told, "tags") },
        { title: "Code", rows: nestedRows(told, "code", state.all), none: none(told, "code") },
        { title: "Environment", rows: nestedRows(told, "environment", state.all), none: none(told, "environment") },
      ]),
    );
  }

  drawAnswer() {
    const key = this.chosen;
    if (!key) return fill(this.answer, h("p", { class: "muted" }, "These runs have no metrics yet."));
    const higher = this.higher(key);
    const top = best(this.told.metrics[key], this.state.value, higher);
    const pick = h(
      "select",
      { "aria-label": "Best by", onchange: () => this.view.set({ best: pick.value }) },
      this.metrics.map((one) => h("option", { value: one, selected: one === key }, one)),
    );
    const way = h(
      "select",
      { "aria-label": "Which is better", onchange: () => this.flip(key) },
      [true, false].map((one) => h("option", { selected: one === higher }, one ? "highest" : "lowest")),
    );
    const run = top && this.told.runs[top.index];
    fill(
      this.answer,
      h("span", {}, "Best run by"),
      way,
      pick,
      run
        ? [
            h("span", { class: "best-mark", "aria-hidden": "true" }, "★"),
            h("a", { class: "best-run", href: `/run/${encodeURIComponent(run.id)}` }, this.names(run.id)),
            h("span", { class: "muted" }, `${key} ${number(top.value)}`),
          ]
        : h("span", { class: "muted" }, "no run has a value"),
    );
  }

  drawPlots() {
    this.undraw.forEach((call) => call());
    this.undraw = drawPlots(this, this.plots);
  }
}
