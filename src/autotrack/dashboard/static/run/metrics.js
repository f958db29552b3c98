// All series of a run as small charts, with last, min and max; system metrics are the same under another tab.
// A chart asks for its points when it comes into sight, and again when a live run has logged more.
import { get } from "/static/lib/api.js";
import { debounce, fill, h } from "/static/lib/dom.js";
import { bytes, number, plural } from "/static/lib/format.js";
import { empty } from "/static/lib/parts.js";
import { matches, search } from "/static/run/bits.js";
import { smallChart } from "/static/run/smallchart.js";

const POINTS = 300;
const AT_FIRST = 60;

export function show(root, context) {
  const { tab, signal, query } = context;
  let { run } = context;
  let x = query.get("x") ?? (tab === "system" ? "time" : "step");
  let text = query.get("q") ?? "";
  let most = AT_FIRST;
  const cards = new Map();
  const grid = h("div", { class: "charts" });
  const more = h("p", {});
  const place = h("div", {});
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      entry.target.card.visible = entry.isIntersecting;
      if (entry.isIntersecting) load(entry.target.card);
    }
  }, { rootMargin: "200px" });
  signal.addEventListener("abort", () => {
    seen.disconnect();
    for (const card of cards.values()) card.chart.destroy();
  });

  const axes = () => ["step", "time", ...("epoch" in run.metrics ? ["epoch"] : [])];
  const mine = (key) => key.startsWith("system/") === (tab === "system");
  const keys = () => Object.keys(run.metrics).filter(mine).sort();

  function frame() {
    if (!keys().length) {
      fill(place, nothing(run, tab));
      return;
    }
    if (grid.isConnected) return;
    const choice = h("select", { "aria-label": "Horizontal axis", onchange: (event) => {
      x = event.target.value;
      for (const card of cards.values()) card.stale = true;
      draw();
    } }, axes().map((one) => h("option", { value: one, selected: one === x }, one === "time" ? "by time since the start" : `by ${one}`)));
    fill(place, h("div", { class: "toolbar" }, search("Search metrics", text, debounce((typed) => {
      text = typed;
      draw();
    }, 100)), choice, h("a", { href: `/charts?runs=${encodeURIComponent(run.id)}` }, "Open in charts")), grid, more);
  }

  function draw() {
    frame();
    const fit = keys().filter((key) => matches(text, key));
    const shown = fit.slice(0, most);
    for (const [key, card] of cards) if (!shown.includes(key)) drop(key, card);
    shown.forEach((key) => {
      let card = cards.get(key);
      if (!card) {
        card = newCard(key);
        cards.set(key, card);
        seen.observe(card.element);
      }
      figures(card);
      if (card.visible) load(card);
    });
    if (!same(grid, shown.map((key) => cards.get(key).element))) grid.replaceChildren(...shown.map((key) => cards.get(key).element));
    fill(more, fit.length > most ? h("button", { type: "button", onclick: () => {
      most += AT_FIRST;
      draw();
    } }, `Show more of ${plural(fit.length, "metric")}`) : fit.length ? null : keys().length ? "No metric fits." : null);
  }

  function drop(key, card) {
    seen.unobserve(card.element);
    card.element.remove();
    card.chart.destroy();
    cards.delete(key);
  }

  function newCard(key) {
    const figure = h("dl", { class: "figures" });
    const canvas = h("div", { class: "canvas" });
    const specials = h("p", { class: "hint" });
    const element = h("article", { class: "chart-card", "aria-label": key }, h("h2", { title: key }, key), canvas, figure, specials);
    const card = { key, element, figure, specials, chart: smallChart(canvas, key), count: -1, stale: true, visible: false };
    element.card = card;
    return card;
  }

  function figures(card) {
    const told = run.metrics[card.key];
    if (told.count !== card.count) card.stale = true;
    const pair = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
    const digits = (value) => (isBytes(card.key) && typeof value === "number" ? bytes(value) : number(value, 5));
    fill(card.figure, pair("last", digits(told.last)), pair("min", digits(told.min)), pair("max", digits(told.max)), pair("points", number(told.count)));
  }

  async function load(card) {
    if (!card.stale || card.loading) return;
    card.loading = true;
    card.stale = false;
    const count = run.metrics[card.key]?.count;
    try {
      const asked = { runs: run.id, key: card.key, x: x === "time" ? "relative" : x, points: POINTS };
      const told = (await get("/api/series", asked, signal)).series[0];
      card.count = count;
      if (told && !signal.aborted) {
        card.chart.draw(told, x);
        fill(card.specials, told.special?.length ? unusual(told, x) : null);
      }
    } catch (error) {
      if (!signal.aborted) fill(card.specials, error.message);
    }
    card.loading = false;
    if (card.stale && card.visible && !signal.aborted) load(card);
  }

  fill(root, place);
  draw();
  return { update: (now) => {
    run = now;
    draw();
  } };
}

function same(grid, wanted) {
  return grid.children.length === wanted.length && wanted.every((one, index) => grid.children[index] === one);
}

// Of the system metrics, those that are counted in bytes (docs/system-metrics.md).
function isBytes(key) {
  return /^system\/(.*_used|disk_read|disk_written|network_sent|network_received|process\/memory)$/.test(key);
}

// NaN and infinities are no points of a line: they are marked at the edge, and told.
function unusual({ special, special_counts: counted }, x) {
  const counts = counted ?? special.reduce((sums, [, what]) => ({ ...sums, [what]: (sums[what] ?? 0) + 1 }), {});
  const told = Object.entries(counts).filter(([, count]) => count).map(([what, count]) => `${count} × ${number(what)}`).join(", ");
  return `${told}, first at ${number(special[0][0])}${x === "time" ? " s" : ""}`;
}

function nothing(run, tab) {
  const waits = run.status === "running" ? " They appear here as they come." : "";
  if (tab === "system") {
    return empty("No system metrics.", `They are recorded where one asks for them.${waits}`,
      h("p", {}, h("code", {}, "AUTOTRACK_SYSTEM_METRICS=15 python train.py")));
  }
  return empty("No metrics.", `run.log_metrics({"loss": 0.1}, step=1) logs one; integrations log what their framework does.${waits}`);
}
