// One plot, drawn with uPlot. Every line has x of its own, so the paths are made here; uPlot does the scales, the axes, the
// canvas and the dragging.
import { color, fill, h } from "/static/lib/dom.js";
import { number } from "/static/lib/format.js";
import { colorOf, dashOf } from "/static/charts/palette.js";
import uPlot from "/static/vendor/uplot/uPlot.esm.js";

const FONT = '11.5px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

// told: {x, logX, logY, height, onZoom(from, to), onMove(u, at | null)}; a Plot is made anew when these change.
export class Plot {
  constructor(place, told) {
    this.place = place;
    this.told = told;
    this.lines = [];
    this.range = [0, 1];
    this.bright = null;
    this.u = null;
    this.sized = new ResizeObserver(() => {
      if (this.u && place.clientWidth) this.u.setSize({ width: place.clientWidth, height: told.height });
    });
    this.sized.observe(place);
    this.themed = () => this.draw(this.lines, this.range);
    window.addEventListener("themechange", this.themed);
  }

  destroy() {
    this.sized.disconnect();
    window.removeEventListener("themechange", this.themed);
    this.u?.destroy();
  }

  // Draw these lines (as series.js makes them) over [from, to].
  draw(lines, range) {
    this.lines = lines;
    this.range = range;
    this.u?.destroy();
    fill(this.place);
    const both = lines.flatMap((line) =>
      line.raw ? [this.series(line, true), this.series(line, false)] : [this.series(line, false)],
    );
    const { x, logX, logY } = this.told;
    const axis = {
      stroke: color("--muted"),
      font: FONT,
      grid: { stroke: color("--line"), width: 1 },
      ticks: { stroke: color("--line"), width: 1, size: 4 },
    };
    this.u = new uPlot(
      {
        width: this.place.clientWidth || 300,
        height: this.told.height,
        legend: { show: false },
        scales: {
          x: { time: x === "time", distr: logX ? 3 : 1, range: () => this.range },
          y: { distr: logY ? 3 : 1, range: () => this.high() },
        },
        axes: [
          {
            ...axis,
            space: 60,
            size: 30,
            ...(logX ? { splits: decades } : {}),
            ...(x === "time"
              ? {}
              : {
                  values: (u, at) => at.map((one) => (one === null ? "" : x === "relative" ? lasting(one) : tick(one))),
                }),
          },
          {
            ...axis,
            space: 34,
            ...(logY ? { splits: decades } : {}),
            size: (u, texts) => 16 + Math.max(18, ...(texts ?? []).map((text) => (text ?? "").length * 6.4)),
            values: (u, at) => at.map((one) => (one === null ? "" : tick(one))),
          },
        ],
        series: [{}, ...both],
        padding: [10, 14, 0, 0],
        cursor: {
          points: { show: false },
          y: false,
          drag: { x: true, y: false, setScale: false, dist: 4 },
          bind: {
            dblclick: () => () => {
              this.told.onZoom(null, null);
              return null;
            },
            mousedown: (u, over, usual) => (event) => (event.shiftKey ? this.pan(event) : usual(event)),
          },
        },
        hooks: {
          setSelect: [
            (u) => {
              if (u.select.width < 4) return;
              const edges = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")];
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              this.told.onZoom(...edges);
            },
          ],
          setCursor: [(u) => this.told.onMove(u, u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : null)],
          draw: [(u) => this.marks(u)],
        },
      },
      [[...this.range], ...both.map(() => [null, null])],
      this.place,
    );
  }

  series(line, faint) {
    const stroke = colorOf(line.id);
    return {
      id: line.id,
      faint,
      stroke,
      width: faint ? 1 : 1.6,
      dash: dashOf(line.id),
      alpha: this.alpha(line.id, faint),
      fill: `${stroke}26`,
      points: { show: false },
      paths: (u) => this.path(u, line, faint ? line.raw : line.y, faint || !line.raw),
    };
  }

  alpha(id, faint) {
    return (faint ? 0.28 : 1) * (this.bright && this.bright !== id ? 0.15 : 1);
  }

  // Let one run stand out (null: none).
  highlight(id) {
    if (this.bright === id || !this.u) return;
    this.bright = id;
    for (const one of this.u.series) if (one.id) one.alpha = this.alpha(one.id, one.faint);
    this.u.redraw(false);
  }

  seen(line) {
    let first = 0;
    let last = line.x.length - 1;
    while (first < last && line.x[first + 1] < this.range[0]) first += 1;
    while (last > first && line.x[last - 1] > this.range[1]) last -= 1;
    return [first, last];
  }

  path(u, line, y, band) {
    const [first, last] = this.seen(line);
    const stroke = new Path2D();
    if (last < first) return { stroke };
    const at = (value, scale) => u.valToPos(value, scale, true);
    const dots = last - first < 40 ? 1.8 * devicePixelRatio : 0;
    for (let index = first; index <= last; index += 1) {
      const [left, top] = [at(line.x[index], "x"), at(y[index], "y")];
      if (index === first) stroke.moveTo(left, top);
      else stroke.lineTo(left, top);
      if (dots) {
        stroke.moveTo(left + dots, top);
        stroke.arc(left, top, dots, 0, 2 * Math.PI);
        stroke.moveTo(left, top);
      }
    }
    if (!band || !line.low.some((low, index) => low < line.high[index])) return { stroke };
    const area = new Path2D();
    for (let index = first; index <= last; index += 1) area.lineTo(at(line.x[index], "x"), at(line.high[index], "y"));
    for (let index = last; index >= first; index -= 1) area.lineTo(at(line.x[index], "x"), at(line.low[index], "y"));
    area.closePath();
    return { stroke, fill: area };
  }

  // The range of y: what is seen, bands included, with some air.
  high() {
    let low = Infinity;
    let high = -Infinity;
    for (const line of this.lines) {
      const [first, last] = this.seen(line);
      for (let index = first; index <= last; index += 1) {
        if (line.low[index] < low) low = line.low[index];
        if (line.high[index] > high) high = line.high[index];
      }
    }
    if (low > high) return this.told.logY ? [0.1, 10] : [0, 1];
    if (this.told.logY) return [low / 1.15, high * 1.15];
    const air = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
    return [low - air, high + air];
  }

  // NaN at the lower edge as a cross, infinities at the edge that they go to as a triangle.
  marks(u) {
    const { ctx, bbox } = u;
    const size = 4 * devicePixelRatio;
    ctx.save();
    for (const line of this.lines) {
      ctx.strokeStyle = ctx.fillStyle = colorOf(line.id);
      ctx.lineWidth = 1.6 * devicePixelRatio;
      for (const [at, what] of line.special) {
        if (at < this.range[0] || at > this.range[1]) continue;
        const left = u.valToPos(at, "x", true);
        const up = what === "Infinity";
        const top = up ? bbox.top + size : bbox.top + bbox.height - size;
        ctx.beginPath();
        if (what === "NaN") {
          ctx.moveTo(left - size, top - size);
          ctx.lineTo(left + size, top + size);
          ctx.moveTo(left + size, top - size);
          ctx.lineTo(left - size, top + size);
          ctx.stroke();
        } else {
          const tip = up ? -size : size;
          ctx.moveTo(left, top + tip);
          ctx.lineTo(left - size, top - tip);
          ctx.lineTo(left + size, top - tip);
          ctx.fill();
        }
      }
    }
    ctx.restore();
  }

  // Shift and drag moves what is seen.
  pan(event) {
    const start = event.clientX;
    const before = this.range;
    const { logX } = this.told;
    const edges = logX ? before.map(Math.log) : before;
    const move = (now) => {
      const by = ((start - now.clientX) / this.u.over.clientWidth) * (edges[1] - edges[0]);
      this.range = edges.map((edge) => (logX ? Math.exp(edge + by) : edge + by));
      this.u.setData([[...this.range], ...this.u.data.slice(1)]);
    };
    const end = () => {
      document.removeEventListener("mousemove", move);
      document.removeEventListener("mouseup", end);
      if (this.range !== before) this.told.onZoom(...this.range);
    };
    document.addEventListener("mousemove", move);
    document.addEventListener("mouseup", end);
  }
}

// Where a log axis has its ticks: 1, 2 and 5 of each power of ten, or only powers where there are many.
export function decades(u, place, low, high) {
  const found = [];
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const every = Math.max(1, Math.ceil((last - first) / 6));
  for (let power = first; power <= last; power += every) {
    for (const digit of last - first > 3 ? [1] : [1, 2, 5]) {
      const at = Number(`${digit}e${power}`);
      if (at >= low && at <= high) found.push(at);
    }
  }
  return found;
}

function tick(value) {
  const size = Math.abs(value);
  if (size >= 1e9 || (size && size < 1e-3))
    return value
      .toExponential(2)
      .replace(/\.?0+e/, "e")
      .replace("e+", "e")
      .replace("-", "\u2212");
  for (const [unit, name] of [
    [1e6, "M"],
    [1e4, "k"],
  ])
    if (size >= unit) return number(value / (name === "M" ? 1e6 : 1e3), 4) + name;
  return number(value, 5);
}

function lasting(seconds) {
  if (Math.abs(seconds) < 120) return `${number(seconds, 4)} s`;
  if (Math.abs(seconds) < 7200) return `${number(seconds / 60, 4)} min`;
  return `${number(seconds / 3600, 4)} h`;
}

export { lasting, tick };
