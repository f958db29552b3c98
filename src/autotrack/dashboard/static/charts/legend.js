// The runs of a page's charts: hover lets one stand out, a click hides or shows it, the cross takes it out.
import { h, svg } from "/static/lib/dom.js";
import { short } from "/static/lib/format.js";
import { colorOf, dashOf } from "/static/charts/palette.js";

// The sample of a run's line, with its dashes.
export function sample(id) {
  return svg(
    "svg",
    { class: "sample", viewBox: "0 0 22 8", width: "22", height: "8", "aria-hidden": "true" },
    svg("line", {
      x1: 1,
      x2: 21,
      y1: 4,
      y2: 4,
      stroke: colorOf(id),
      "stroke-width": 2.4,
      "stroke-dasharray": dashOf(id).join(" ") || null,
    }),
  );
}

// told: {hidden: Set, onHover(id | null), onToggle(id), onRemove(id) | undefined, title: what a click does, if not hide}
export function legend(runs, names, told) {
  return h(
    "ul",
    { class: "legend", "aria-label": "Runs in the charts" },
    runs.map((run) => {
      const off = told.hidden.has(run.id);
      return h(
        "li",
        { onmouseenter: () => told.onHover(run.id), onmouseleave: () => told.onHover(null) },
        h(
          "button",
          {
            type: "button",
            class: "quiet small legend-run",
            "aria-pressed": told.title ? null : !off,
            title: told.title ?? (off ? "Show its lines" : "Hide its lines"),
            onclick: () => told.onToggle(run.id),
            onfocus: () => told.onHover(run.id),
            onblur: () => told.onHover(null),
          },
          sample(run.id),
          h("span", { class: "legend-name" }, names(run.id)),
        ),
        h(
          "a",
          { href: `/run/${encodeURIComponent(run.id)}`, "aria-label": `Open ${names(run.id)}`, title: "Open the run" },
          "→",
        ),
        told.onRemove
          ? h(
              "button",
              {
                type: "button",
                class: "quiet small",
                "aria-label": `Take ${names(run.id)} out`,
                title: "Take out",
                onclick: () => told.onRemove(run.id),
              },
              "×",
            )
          : null,
      );
    }),
  );
}

// How each run is called: its name, with the beginning of its id where several have that name.
export function namer(runs) {
  const counts = new Map();
  for (const run of runs) counts.set(run.name, (counts.get(run.name) ?? 0) + 1);
  const names = new Map(
    runs.map((run) => [
      run.id,
      counts.get(run.name) > 1 ? `${run.name} ${short(run.id, 6)}` : run.name || short(run.id),
    ]),
  );
  return (id) => names.get(id) ?? short(id);
}
