// The plots of the page that compares: scatter and parallel coordinates, with what chooses their axes.
import { fill, h } from "/static/lib/dom.js";
import { label, parts } from "/static/lib/fields.js";
import { plural } from "/static/lib/format.js";
import { legend } from "/static/charts/legend.js";
import { colorOf } from "/static/charts/palette.js";
import { aspectOf, axis, choices, shade } from "/static/compare/fields.js";
import { parallel } from "/static/compare/parallel.js";
import { scatter } from "/static/compare/scatter.js";

// Draw the plots of `page` into `place`; gives what takes them away again.
export function drawPlots(page, place) {
  const undraw = [];
  const { told, names, state, ids, navigate, chosen: best } = page;
  const some = choices(told, state.value);
  const everything = [...some.params, ...some.tags, ...some.metrics];
  if (everything.length < 2) {
    fill(place);
    return [];
  }
  const goal = some.metrics.find((one) => parts(one).key === best);
  const kinds = (one) => new Set(axis(told, one).values).size;
  const numeric =
    some.params.filter((one) => !axis(told, one).ticks).sort((a, b) => kinds(b) - kinds(a))[0] ?? some.params[0];
  const x = everything.includes(state.x)
    ? state.x
    : (numeric ?? some.metrics.find((one) => one !== goal) ?? everything[0]);
  const y = everything.includes(state.y) ? state.y : (goal ?? everything[1]);
  const chosen = state.axes.filter((one) => everything.includes(one));
  const axes = chosen.length
    ? chosen
    : [...some.params.filter((one) => varied(axis(told, one))).slice(0, 5), ...(goal ? [goal] : [])];
  const select = (name, now) => {
    const group = (title, list) =>
      list.length
        ? h(
            "optgroup",
            { label: title },
            list.map((one) => h("option", { value: one, selected: one === now }, label(one))),
          )
        : null;
    const made = h(
      "select",
      {
        "aria-label": `${name.toUpperCase()} axis of the scatter plot`,
        onchange: () => page.view.set({ [name]: made.value }),
      },
      group("Params", some.params),
      group("Tags", some.tags),
      group("Metrics", some.metrics),
    );
    return made;
  };
  const box = (one) =>
    h(
      "label",
      { class: "axis-choice" },
      h("input", {
        type: "checkbox",
        checked: axes.includes(one),
        onchange: () =>
          page.view.set({ axes: axes.includes(one) ? axes.filter((other) => other !== one) : [...axes, one] }),
      }),
      h("span", {}, label(one)),
    );
  const dots = h("div", { class: "chart-area" });
  const strands = h("div", { class: "chart-area" });
  const kept = h("span", { class: "muted", role: "status" });
  const tint = tints(page);
  fill(
    place,
    h(
      "div",
      { class: "plots" },
      h(
        "section",
        { class: "chart", "aria-label": "Scatter plot" },
        h(
          "div",
          { class: "toolbar plot-head" },
          h("h2", {}, "Scatter"),
          select("y", y),
          h("span", { class: "muted" }, "over"),
          select("x", x),
        ),
        dots,
      ),
      h(
        "section",
        { class: "chart", "aria-label": "Parallel coordinates" },
        h(
          "div",
          { class: "toolbar plot-head" },
          h("h2", {}, "Parallel coordinates"),
          kept,
          h(
            "details",
            { class: "axes-menu" },
            h("summary", {}, "Axes"),
            h("div", { class: "axes-list" }, everything.slice(0, 200).map(box)),
          ),
        ),
        strands,
      ),
    ),
    ids.length <= 8
      ? legend(told.runs, names, {
          title: "Open the run",
          hidden: new Set(),
          onHover: () => {},
          onToggle: (id) => navigate(`/run/${encodeURIComponent(id)}`),
        })
      : h(
          "p",
          { class: "muted scale" },
          "Colour: ",
          label(goal ?? ""),
          h("span", {}, " low "),
          [0, 0.25, 0.5, 0.75, 1].map((at) => h("span", { class: "swatch", style: { background: shade(at) } })),
          " high",
        ),
  );
  undraw.push(scatter(dots, told, [x, y], { names, tint, onOpen: (id) => navigate(`/run/${encodeURIComponent(id)}`) }));
  undraw.push(
    parallel(strands, told, axes, {
      tint,
      title: names,
      onKept: (ids) =>
        fill(
          kept,
          ids === null
            ? ""
            : [`${plural(ids.length, "run")} kept: `, h("a", { href: `/?runs=${ids.join(",")}` }, "select them")],
        ),
    }),
  );
  return undraw;
}

// Few runs have the colours that they have elsewhere; many are shaded by the metric.
function tints(page) {
  const { told, ids, state, chosen: best } = page;
  if (ids.length <= 8 || !best) return colorOf;
  const values = told.metrics[best].map((entry) => aspectOf(entry, state.value));
  const known = values.filter(Number.isFinite);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  return (id) => {
    const value = values[ids.indexOf(id)];
    return Number.isFinite(value) ? shade(high > low ? (value - low) / (high - low) : 0.5) : "#888";
  };
}

const varied = (one) => one.high > one.low;
