// A metric's chart: it fetches what is to be seen, draws it, tells values at the pointer, and has a table that says the same.
import { append, fill, h } from "/static/lib/dom.js";
import { number, plural, time } from "/static/lib/format.js";
import { colorOf } from "/static/charts/palette.js";
import { lasting, Plot } from "/static/charts/plot.js";
import { fetchSeries, lines, nearest } from "/static/charts/series.js";

const ROWS = 14; // runs in the tooltip

// options: {x, smooth, logX, logY, from, to, hidden: Set}; onZoom(from, to) is told of a drag. `names(id)` names a run.
export class Chart {
  constructor(key, { height = 200, names, onZoom, signal }) {
    Object.assign(this, {
      key,
      height,
      names,
      onZoom,
      signal,
      runs: [],
      options: null,
      series: [],
      plot: null,
      asking: null,
    });
    this.place = h("div", { class: "chart-plot", role: "img" });
    this.tip = h("div", { class: "chart-tip", hidden: true, "aria-hidden": "true" });
    this.note = h("p", { class: "chart-note muted" });
    this.table = h("div", { class: "scroll" });
    this.details = h("details", { class: "chart-data" }, h("summary", {}, "Values"), this.table);
    this.details.addEventListener("toggle", () => this.tell());
    this.element = h(
      "figure",
      { class: "chart", data: { key }, tabindex: "0", "aria-label": `Chart of ${key}` },
      h("figcaption", { class: "chart-title", title: key }, key),
      h("div", { class: "chart-area" }, this.place, this.tip),
      this.note,
      this.details,
    );
    this.element.addEventListener("keydown", (event) => this.keyed(event));
    this.place.addEventListener("mouseleave", () => (this.tip.hidden = true));
    signal?.addEventListener("abort", () => this.destroy());
  }

  destroy() {
    this.asking?.abort();
    this.plot?.destroy();
    this.plot = null;
  }

  // Show these runs so. Only what needs the server asks it.
  async show(runs, options, fresh = false) {
    const asked = JSON.stringify([runs.map((run) => run.id), options.x, options.from, options.to]);
    const anew = fresh || asked !== this.asked;
    const looks = JSON.stringify([options.x, options.logX, options.logY]);
    this.runs = runs;
    this.options = options;
    if (looks !== this.looks) {
      this.plot?.destroy();
      this.plot = null;
      this.looks = looks;
    }
    if (!anew) return this.draw();
    this.asked = asked;
    this.asking?.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    try {
      const points = Math.min(1600, Math.max(300, Math.round((this.place.clientWidth || 400) * devicePixelRatio)));
      this.series = await fetchSeries(this.key, runs, { ...options, points }, signal);
    } catch (error) {
      if (error.name === "AbortError" || signal.aborted) return;
      this.asked = null;
      fill(this.note, error.message);
      return;
    }
    this.element.dataset.drawn = String(Number(this.element.dataset.drawn ?? 0) + 1); // tests wait for it
    this.draw();
  }

  draw() {
    const { options } = this;
    const drawn = lines(
      this.series.filter((one) => !options.hidden.has(one.run)),
      options,
    );
    const inside = drawn
      .flatMap((line) => [line.x[0], line.x.at(-1), ...line.special.map(([at]) => at)])
      .filter((at) => at !== undefined && (!options.logX || at > 0));
    const left = drawn.reduce((sum, line) => sum + line.left, 0);
    this.lines = drawn;
    fill(this.note, left ? `${plural(left, "point")} at or below 0 cannot be shown on a log axis.` : "");
    if (!inside.length) {
      this.plot?.destroy();
      this.plot = null;
      fill(
        this.place,
        h(
          "p",
          { class: "chart-empty muted" },
          this.zoomed() ? "No points here: double-click to see all." : "No points yet.",
        ),
      );
    } else {
      this.plot ??= new Plot(this.place, {
        x: options.x,
        logX: options.logX,
        logY: options.logY,
        height: this.height,
        onZoom: this.onZoom,
        onMove: (u, at) => this.point(u, at),
      });
      this.plot.draw(drawn, this.range(inside));
    }
    this.place.setAttribute(
      "aria-label",
      `${this.key}: ${drawn.map((line) => this.said(line)).join("; ") || "no points"}`,
    );
    this.tell();
  }

  zoomed() {
    return this.options.from !== null || this.options.to !== null;
  }

  range(inside) {
    let low = inside.reduce((a, b) => Math.min(a, b));
    let high = inside.reduce((a, b) => Math.max(a, b));
    if (low === high) [low, high] = this.options.logX ? [low / 2, high * 2] : [low - 1, high + 1];
    return [this.options.from ?? low, this.options.to ?? high];
  }

  said(line) {
    return `${this.names(line.id)}: last ${number(line.y.at(-1))}, from ${number(least(line.low))} to ${number(most(line.high))}`;
  }

  highlight(id) {
    this.plot?.highlight(id);
  }

  // The values of all runs at the pointer.
  point(u, at) {
    if (at === null || !this.lines.length) {
      this.tip.hidden = true;
      return;
    }
    const rows = [];
    for (const line of this.lines) {
      const index = nearest(line.x, at);
      const odd = line.special.find(([place]) => Math.abs(u.valToPos(place, "x") - u.cursor.left) < 5);
      if (odd) rows.push({ line, text: number(odd[1]), y: -Infinity, far: Infinity });
      else if (index >= 0 && Math.abs(u.valToPos(line.x[index], "x") - u.cursor.left) < 40) {
        const y = line.y[index];
        rows.push({ line, text: number(y), y, x: line.x[index], far: Math.abs(u.valToPos(y, "y") - u.cursor.top) });
      }
    }
    const close = rows.reduce((a, b) => (b.far < (a?.far ?? Infinity) ? b : a), null);
    rows.sort((a, b) => b.y - a.y);
    fill(
      this.tip,
      h("div", { class: "tip-x" }, this.shownX(close?.x ?? at)),
      rows
        .slice(0, ROWS)
        .map((row) =>
          h(
            "div",
            { class: `tip-row ${row === close ? "tip-close" : ""}` },
            h("span", { class: "swatch", style: { background: colorOf(row.line.id) } }),
            h("span", { class: "tip-name" }, this.names(row.line.id)),
            h("span", { class: "tip-value" }, row.text),
          ),
        ),
      rows.length > ROWS ? h("div", { class: "muted" }, `and ${rows.length - ROWS} more`) : null,
    );
    this.tip.hidden = !rows.length;
    const over = u.over.getBoundingClientRect();
    const area = this.place.getBoundingClientRect();
    const left = over.left - area.left + u.cursor.left;
    const right = left > area.width / 2;
    this.tip.style.left = right ? "auto" : `${left + 14}px`;
    this.tip.style.right = right ? `${area.width - left + 14}px` : "auto";
  }

  shownX(at) {
    const { x } = this.options;
    if (x === "time") return time(new Date(at * 1000).toISOString());
    return x === "relative" ? `${lasting(at)} after the start` : `${x} ${number(at)}`;
  }

  // The same as a table, for who does not see the picture or wants the numbers.
  tell() {
    if (!this.details.open) return;
    const head = ["Run", "Last", "Min", "Max", "Points"].map((word, index) =>
      h("th", { scope: "col", class: index ? "num" : "" }, word),
    );
    const rows = this.lines.map((line) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, this.names(line.id)),
        [(line.raw ?? line.y).at(-1), least(line.low), most(line.high), line.count].map((one) =>
          h("td", { class: "num" }, number(one)),
        ),
      ),
    );
    fill(this.table, append(h("table", { class: "plain" }), h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)));
  }

  keyed(event) {
    if (event.target !== this.element || !this.plot || event.ctrlKey || event.metaKey) return;
    const [low, high] = this.plot.range;
    const part = (high - low) / 4;
    const moves = {
      "+": [low + part, high - part],
      "=": [low + part, high - part],
      "-": [low - part, high + part],
      ArrowLeft: [low - part, high - part],
      ArrowRight: [low + part, high + part],
      0: [null, null],
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    this.onZoom(...moves[event.key]);
  }
}

const least = (list) => (list.length ? list.reduce((a, b) => Math.min(a, b)) : null);
const most = (list) => (list.length ? list.reduce((a, b) => Math.max(a, b)) : null);
