// Any param or metric against any other: one point a run, drawn with uPlot.
import { color, fill, h } from "/static/lib/dom.js";
import { label } from "/static/lib/fields.js";
import { decades, tick } from "/static/charts/plot.js";
import { axis } from "/static/compare/fields.js";
import uPlot from "/static/vendor/uplot/uPlot.esm.js";

const HEIGHT = 300;
const FONT = '11.5px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

// Draw into `place`; `told` is the comparison, `names(id)` and `tint(id)` name and colour a run, `onOpen(id)` is a click.
export function scatter(place, told, [xName, yName], { names, tint, onOpen }) {
  const x = axis(told, xName);
  const y = axis(told, yName);
  const points = told.runs
    .map((run, index) => ({ run, x: x.values[index], y: y.values[index] }))
    .filter((one) => one.x !== null && one.y !== null);
  fill(place);
  if (!points.length) {
    fill(place, h("p", { class: "chart-empty muted" }, "No run has both of these."));
    return () => {};
  }
  const tip = h("div", { class: "chart-tip", hidden: true, "aria-hidden": "true" });
  const canvas = h("div", { role: "img", "aria-label": `${label(yName)} over ${label(xName)}: ${points.length} runs` });
  fill(place, canvas, tip);
  let near = null;
  const wide = (one) => {
    if (one.log) return [one.low / 1.4, one.high * 1.4];
    const air = (one.high - one.low) * 0.07 || (one.ticks ? 0.5 : Math.abs(one.high) * 0.1 || 1);
    return [one.low - air, one.high + air];
  };
  const look = (one, name, size) => ({
    stroke: color("--muted"),
    font: FONT,
    label: label(name),
    labelFont: FONT,
    labelSize: 20,
    size,
    ticks: { show: false },
    grid: { stroke: color("--line"), width: 1 },
    ...(one.ticks
      ? {
          splits: () => one.ticks.map(([at]) => at),
          values: () => one.ticks.map(([, text]) => (text.length > 14 ? `${text.slice(0, 13)}…` : text)),
        }
      : {
          ...(one.log ? { splits: decades } : {}),
          values: (u, at) => at.map((place) => (place === null ? "" : tick(place))),
        }),
  });
  const u = new uPlot(
    {
      width: place.clientWidth || 400,
      height: HEIGHT,
      legend: { show: false },
      scales: {
        x: { time: false, distr: x.log ? 3 : 1, range: () => wide(x) },
        y: { distr: y.log ? 3 : 1, range: () => wide(y) },
      },
      axes: [look(x, xName, 28), look(y, yName, y.ticks ? 100 : 60)],
      series: [{}, { points: { show: false }, paths: () => null }],
      cursor: { drag: { x: false, y: false }, points: { show: false }, y: false, x: false },
      hooks: {
        draw: [(u) => draw(u)],
        setCursor: [(u) => hover(u)],
      },
    },
    [
      [x.low, x.high],
      [null, null],
    ],
    canvas,
  );

  function draw(u) {
    const { ctx } = u;
    ctx.save();
    for (const one of points) {
      ctx.beginPath();
      ctx.arc(
        u.valToPos(one.x, "x", true),
        u.valToPos(one.y, "y", true),
        (one === near ? 7 : 5) * devicePixelRatio,
        0,
        2 * Math.PI,
      );
      ctx.fillStyle = tint(one.run.id);
      ctx.globalAlpha = one === near ? 1 : 0.8;
      ctx.fill();
      ctx.strokeStyle = color("--bg");
      ctx.stroke();
    }
    ctx.restore();
  }

  function hover(u) {
    const { left, top } = u.cursor;
    const far = (one) => Math.hypot(u.valToPos(one.x, "x") - left, u.valToPos(one.y, "y") - top);
    const found = left < 0 ? null : points.reduce((a, b) => (!a || far(b) < far(a) ? b : a), null);
    const next = found && far(found) < 30 ? found : null;
    tip.hidden = !next;
    if (next) {
      fill(
        tip,
        h("strong", {}, names(next.run.id)),
        h("div", {}, `${label(xName)} ${x.show(next.x)}`),
        h("div", {}, `${label(yName)} ${y.show(next.y)}`),
      );
      const over = u.over.getBoundingClientRect();
      const right = left > over.width / 2;
      const base = over.left - place.getBoundingClientRect().left + left;
      tip.style.left = right ? "auto" : `${base + 14}px`;
      tip.style.right = right ? `${place.clientWidth - base + 14}px` : "auto";
    }
    if (next === near) return;
    near = next;
    u.over.style.cursor = near ? "pointer" : "default";
    u.redraw(false);
  }

  u.over.addEventListener("click", () => near && onOpen(near.run.id));
  const sized = new ResizeObserver(() => place.clientWidth && u.setSize({ width: place.clientWidth, height: HEIGHT }));
  sized.observe(place);
  return () => {
    sized.disconnect();
    u.destroy();
  };
}
