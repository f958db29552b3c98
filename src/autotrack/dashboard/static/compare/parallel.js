// Parallel coordinates: one upright axis a param or metric, one line a run. Drag along an axis to keep the runs that pass
// there; click it to let go. uPlot gives the canvas and the scales: x is the axis's place, y its share from low to high.
import { color, fill, h } from "/static/lib/dom.js";
import { number } from "/static/lib/format.js";
import { label } from "/static/lib/fields.js";
import { axis } from "/static/compare/fields.js";
import uPlot from "/static/vendor/uplot/uPlot.esm.js";

const HEIGHT = 340;
const FONT = 'px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

// Draw into `place`; `onKept(ids | null)` is told which runs pass all brushes.
export function parallel(place, told, names, { tint, title, onKept }) {
  const axes = names.map((name) => ({ name, ...axis(told, name) }));
  fill(place);
  if (axes.length < 2) {
    fill(place, h("p", { class: "chart-empty muted" }, "Choose at least two axes."));
    return () => {};
  }
  const scaled = (one, value) => (one.log ? Math.log(value) : value);
  const share = (one, value) => {
    if (value === null) return null;
    const [low, high] = [scaled(one, one.low), scaled(one, one.high)];
    return high > low ? (scaled(one, value) - low) / (high - low) : 0.5;
  };
  const lines = told.runs.map((run, index) => ({ run, y: axes.map((one) => share(one, one.values[index])) }));
  const brushes = new Map();
  const tip = h("div", { class: "chart-tip", hidden: true, "aria-hidden": "true" });
  const canvas = h("div", {
    class: "parallel",
    role: "img",
    "aria-label": `Parallel coordinates of ${lines.length} runs over ${names.map(label).join(", ")}`,
  });
  fill(place, canvas, tip);
  let near = null;
  const kept = (line) =>
    [...brushes].every(([at, [low, high]]) => line.y[at] !== null && line.y[at] >= low && line.y[at] <= high);
  const u = new uPlot(
    {
      width: place.clientWidth || 400,
      height: HEIGHT,
      legend: { show: false },
      padding: [34, 70, 14, 70],
      scales: { x: { time: false, range: () => [0, axes.length - 1] }, y: { range: () => [0, 1] } },
      axes: [{ show: false }, { show: false }],
      series: [{}, { points: { show: false }, paths: () => null }],
      cursor: { drag: { x: false, y: false }, points: { show: false }, x: false, y: false },
      hooks: { draw: [(u) => draw(u)], setCursor: [(u) => hover(u)] },
    },
    [
      [0, axes.length - 1],
      [null, null],
    ],
    canvas,
  );

  function draw(u) {
    const { ctx } = u;
    ctx.save();
    ctx.lineJoin = "round";
    const order = [...lines].sort(
      (a, b) => Number(kept(a)) - Number(kept(b)) || Number(a === near) - Number(b === near),
    );
    for (const line of order) {
      const on = kept(line);
      ctx.strokeStyle = on ? tint(line.run.id) : color("--line");
      ctx.lineWidth = (line === near ? 3.2 : 1.6) * devicePixelRatio;
      ctx.globalAlpha = !on ? 0.6 : near && line !== near ? 0.3 : 0.85;
      ctx.beginPath();
      let pen = false;
      line.y.forEach((value, at) => {
        if (value === null) {
          pen = false;
          return;
        }
        const spot = [u.valToPos(at, "x", true), u.valToPos(value, "y", true)];
        if (pen) ctx.lineTo(...spot);
        else ctx.moveTo(...spot);
        pen = true;
      });
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
    axes.forEach((one, at) => upright(u, one, at));
    ctx.restore();
  }

  function upright(u, one, at) {
    const { ctx } = u;
    const x = u.valToPos(at, "x", true);
    const [top, bottom] = [u.valToPos(1, "y", true), u.valToPos(0, "y", true)];
    ctx.strokeStyle = color("--strong-line");
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, top);
    ctx.lineTo(x, bottom);
    ctx.stroke();
    if (brushes.has(at)) {
      const [low, high] = brushes.get(at);
      ctx.fillStyle = color("--accent");
      ctx.globalAlpha = 0.25;
      ctx.fillRect(
        x - 8 * devicePixelRatio,
        u.valToPos(high, "y", true),
        16 * devicePixelRatio,
        u.valToPos(low, "y", true) - u.valToPos(high, "y", true),
      );
      ctx.globalAlpha = 1;
    }
    const room = u.bbox.width / Math.max(1, axes.length - 1);
    const cut = (text, width) => {
      let kept = text;
      while (kept.length > 2 && ctx.measureText(kept).width > width) kept = kept.slice(0, -1);
      return kept === text ? text : `${kept}…`;
    };
    ctx.textAlign = "center";
    ctx.fillStyle = color("--text");
    ctx.font = `600 ${12 * devicePixelRatio}${FONT}`;
    ctx.fillText(cut(label(one.name), room - 12 * devicePixelRatio), x, top - 16 * devicePixelRatio);
    const ticks =
      one.ticks && one.ticks.length <= 12
        ? one.ticks
        : [one.low, one.log ? Math.sqrt(one.low * one.high) : (one.low + one.high) / 2, one.high].map((value) => [
            value,
            one.ticks ? one.show(Math.round(value)) : number(value, 3),
          ]);
    ctx.font = `${11 * devicePixelRatio}${FONT}`;
    ctx.textAlign = "left";
    for (const [value, text] of one.high > one.low ? ticks : ticks.slice(0, 1)) {
      const y = u.valToPos(share(one, value), "y", true);
      const said = cut(text, Math.min(room, 90 * devicePixelRatio) - 14 * devicePixelRatio);
      ctx.lineWidth = 3 * devicePixelRatio;
      ctx.strokeStyle = color("--bg"); // a rim, so that lines do not run through the letters
      ctx.strokeText(said, x + 6 * devicePixelRatio, y + 4 * devicePixelRatio);
      ctx.fillStyle = color("--muted");
      ctx.fillText(said, x + 6 * devicePixelRatio, y + 4 * devicePixelRatio);
    }
  }

  function hover(u) {
    const { left, top } = u.cursor;
    const at = left < 0 ? -1 : u.posToVal(left, "x");
    const first = Math.max(0, Math.min(axes.length - 2, Math.floor(at)));
    const far = (line) => {
      const [a, b] = [line.y[first], line.y[first + 1]];
      if (a === null || b === null) return Infinity;
      return Math.abs(u.valToPos(a + (b - a) * (at - first), "y") - top);
    };
    const found = at < 0 ? null : lines.filter(kept).reduce((a, b) => (!a || far(b) < far(a) ? b : a), null);
    const next = found && far(found) < 14 ? found : null;
    tip.hidden = !next;
    if (next) {
      const index = lines.indexOf(next);
      fill(
        tip,
        h("strong", {}, title(next.run.id)),
        axes.map((one) =>
          h("div", {}, `${label(one.name)} ${one.values[index] === null ? "–" : one.show(one.values[index])}`),
        ),
      );
      const right = left > u.over.clientWidth / 2;
      tip.style.left = right ? "auto" : `${left + 90}px`;
      tip.style.right = right ? `${place.clientWidth - left - 56}px` : "auto";
    }
    if (next === near) return;
    near = next;
    u.redraw(false);
  }

  u.over.addEventListener("pointerdown", (event) => {
    const box = u.over.getBoundingClientRect();
    const at = Math.round(u.posToVal(event.clientX - box.left, "x"));
    if (at < 0 || at >= axes.length || Math.abs(u.valToPos(at, "x") - (event.clientX - box.left)) > 26) return;
    event.preventDefault();
    const valueAt = (now) => Math.max(-0.02, Math.min(1.02, u.posToVal(now.clientY - box.top, "y")));
    const start = valueAt(event);
    const had = brushes.has(at);
    const move = (now) => {
      const end = valueAt(now);
      if (Math.abs(end - start) > 0.01) brushes.set(at, [Math.min(start, end), Math.max(start, end)]);
      u.redraw(false);
    };
    const end = (now) => {
      document.removeEventListener("pointermove", move);
      document.removeEventListener("pointerup", end);
      if (had && Math.abs(valueAt(now) - start) <= 0.01) brushes.delete(at);
      u.redraw(false);
      onKept(brushes.size ? lines.filter(kept).map((line) => line.run.id) : null);
    };
    document.addEventListener("pointermove", move);
    document.addEventListener("pointerup", end);
  });
  const sized = new ResizeObserver(() => place.clientWidth && u.setSize({ width: place.clientWidth, height: HEIGHT }));
  sized.observe(place);
  return () => {
    sized.disconnect();
    u.destroy();
  };
}
