// One series in a small chart, drawn with uPlot (vendored): a line within its min/max band, NaN and infinities as marks.
import { color, fill, h, stylesheet } from "/static/lib/dom.js";
import { number } from "/static/lib/format.js";
import uPlot from "/static/vendor/uplot/uPlot.esm.js";

const HEIGHT = 130;
const SPARSE = 30; // so few points are marked one by one

// A chart in `place`, empty at first: {draw(series, x), destroy()}. `series` is as /api/series has it.
export function smallChart(place, label) {
  stylesheet("/static/vendor/uplot/uPlot.min.css");
  let plot = null;
  let last = null;
  const sized = new ResizeObserver(() => {
    if (plot && place.clientWidth) plot.setSize({ width: place.clientWidth, height: HEIGHT });
  });
  sized.observe(place);
  const anew = () => {
    if (!last) return;
    plot?.destroy();
    plot = null;
    draw(...last);
  };
  window.addEventListener("themechange", anew);

  function draw(series, x) {
    const again = last !== null && last[1] === x;
    last = [series, x];
    const data = columns(series);
    if (!data[0].length) {
      plot?.destroy();
      plot = null;
      fill(place, h("p", { class: "hint" }, "No finite values to draw."));
      return;
    }
    if (plot && again) {
      plot.setData(data);
      return;
    }
    plot?.destroy();
    fill(place);
    plot = new uPlot(options(place.clientWidth || 300, x, label, data[0].length < SPARSE, () => last[0].special ?? []), data, place);
    plot.root.setAttribute("role", "img");
    plot.root.setAttribute("aria-label", described(series, x, label));
  }

  return { draw, destroy() {
    sized.disconnect();
    window.removeEventListener("themechange", anew);
    plot?.destroy();
    plot = null;
  } };
}

function columns(series) {
  return [series.x, series.y, series.min ?? series.y, series.max ?? series.y];
}

const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

function onAxis(value) {
  return Math.abs(value) >= 10000 ? short.format(value) : number(value, 4);
}

// A time since the start of the run, in the unit that suits it.
function since(seconds) {
  const [unit, name] = seconds >= 7200 ? [3600, "h"] : seconds >= 120 ? [60, "min"] : [1, "s"];
  return `${number(seconds / unit, 4)} ${name}`;
}

function options(width, x, label, sparse, special) {
  const [line, text, rule] = [color("--accent"), color("--muted"), color("--line")];
  const axis = { stroke: text, grid: { stroke: rule, width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  return {
    width, height: HEIGHT, legend: { show: false }, cursor: { drag: { x: false, y: false }, points: { size: 6 } }, padding: [6, 8, 0, 0],
    scales: { x: { time: false } },
    series: [{}, { stroke: line, width: 1.5, points: { show: sparse, size: 4, fill: line, stroke: line } }, { stroke: null, points: { show: false } }, { stroke: null, points: { show: false } }],
    bands: [{ series: [3, 2], fill: transparent(line) }],
    axes: [
      { ...axis, size: 24, space: x === "time" ? 64 : 45, values: (plot, ticks) => ticks.map(x === "time" ? since : onAxis) },
      { ...axis, size: 52, space: 28, values: (plot, ticks) => ticks.map(onAxis) },
    ],
    hooks: { draw: [(plot) => marks(plot, special())], setCursor: [(plot) => told(plot, label, x)] },
  };
}

function transparent(hex) {
  return /^#[0-9a-f]{6}$/i.test(hex) ? `${hex}33` : "rgba(100, 116, 139, 0.2)";
}

// At the upper or lower edge, where the value would be; NaN below.
function marks(plot, special) {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  const size = 4 * devicePixelRatio;
  ctx.save();
  ctx.fillStyle = color("--bad");
  for (const [at, what] of special) {
    const px = plot.valToPos(at, "x", true);
    if (px < left || px > left + width) continue;
    const up = what === "Infinity";
    const y = up ? top + size : top + height - size;
    ctx.beginPath();
    if (what === "NaN") ctx.rect(px - size / 2, y - size / 2, size, size);
    else {
      ctx.moveTo(px - size, y);
      ctx.lineTo(px + size, y);
      ctx.lineTo(px, up ? y - size : y + size);
    }
    ctx.fill();
  }
  ctx.restore();
}

function told(plot, label, x) {
  const index = plot.cursor.idx;
  const [xs, ys] = plot.data;
  plot.root.title = index === null || index === undefined || ys[index] === undefined ? "" : `${label}: ${number(ys[index])} at ${x === "time" ? since(xs[index]) : number(xs[index])}`;
}

function described(series, x, label) {
  const { x: xs, y } = series;
  return `${label} by ${x}: ${series.count ?? y.length} points, from ${number(y[0])} to ${number(y[y.length - 1])}` +
    (x === "step" ? `, steps ${number(xs[0])} to ${number(xs[xs.length - 1])}` : "");
}
