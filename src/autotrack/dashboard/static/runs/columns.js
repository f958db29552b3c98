// Which columns the table has, in which order: a dialog with what is shown (dragged, or moved by Alt+arrows) and what more
// there is.
import { fill, h } from "/static/lib/dom.js";
import { field, HEADER, label, minor, parts, ranked } from "/static/lib/fields.js";
import { plural } from "/static/lib/format.js";

const CANDIDATES = 24;

// The columns of somebody who has chosen none: the header's, then the metrics that most runs have, and the params that
// vary most among the `sample`, which are the newest runs with the values of `candidates(known)`.
export function usual(known, projects, sample) {
  const metrics = common(known.metrics)
    .filter((key) => !minor(key))
    .slice(0, 4);
  const kinds = (key) => new Set(sample.map((run) => JSON.stringify(run.values[field("params", key)] ?? null))).size;
  const params = common(known.params)
    .slice(0, CANDIDATES)
    .map((key) => [key, kinds(key)])
    .filter(([, count]) => count > 1 || sample.length < 2)
    .sort((a, b) => b[1] - a[1])
    .slice(0, 4)
    .map(([key]) => key);
  return [
    "name",
    "status",
    "started_at",
    ...metrics.map((key) => field("metrics", key, "last")),
    ...params.map((key) => field("params", key)),
    "duration",
    ...(projects > 1 ? ["project"] : []),
    "integration",
  ];
}

// The params whose values tell which of them vary.
export function candidates(known) {
  return common(known.params)
    .slice(0, CANDIDATES)
    .map((key) => field("params", key));
}

// Keys that a good part of the runs have.
function common(counts) {
  const most = Math.max(0, ...Object.values(counts ?? {}));
  return ranked(counts).filter((key) => counts[key] >= most / 5);
}

// Every column that there is: [{id, group, count}].
function all(known) {
  const of = (group, aspects) =>
    Object.entries(known[group] ?? {})
      .sort((a, b) => a[0].localeCompare(b[0]))
      .flatMap(([key, count]) => aspects.map((aspect) => ({ id: field(group, key, aspect), group, count })));
  return [
    ...Object.keys(HEADER).map((id) => ({ id, group: "run", count: null })),
    ...of("metrics", ["last", "min", "max"]),
    ...of("params", [""]),
    ...of("tags", [""]),
  ];
}

// Open the dialog. `onChange(columns)` is called with every change.
export function chooseColumns(known, columns, usualOnes, onChange) {
  let shown = [...columns];
  const search = h("input", {
    type: "search",
    placeholder: "Find a field",
    "aria-label": "Find a field",
    oninput: () => draw(),
  });
  const mine = h("ol", { class: "columns-list columns-mine", "aria-label": "Columns shown" });
  const more = h("ul", { class: "columns-list", "aria-label": "More fields" });
  const said = h("p", { class: "sr-only", "aria-live": "polite" });
  const dialog = h(
    "dialog",
    { class: "dialog columns", "aria-labelledby": "columns-title" },
    h("h2", { id: "columns-title" }, "Columns"),
    h("p", { class: "muted" }, "Drag to reorder, or press Alt with ↑ or ↓ on a column."),
    mine,
    search,
    more,
    said,
    h(
      "form",
      { method: "dialog" },
      h("button", { type: "button", class: "quiet", onclick: () => change([...usualOnes]) }, "As at first"),
      h("span", { class: "spring" }),
      h("button", { class: "primary" }, "Done"),
    ),
  );

  function change(next, focus = null) {
    shown = next;
    draw();
    onChange(shown);
    if (focus) mine.querySelector(`[data-id="${CSS.escape(focus)}"]`)?.focus();
  }

  function moved(id, to) {
    const rest = shown.filter((one) => one !== id);
    rest.splice(Math.max(0, to), 0, id);
    said.textContent = `${label(id)}: place ${rest.indexOf(id) + 1} of ${rest.length}`;
    change(rest, id);
  }

  function row(id, index) {
    return h(
      "li",
      {
        tabindex: "0",
        draggable: "true",
        data: { id },
        class: "columns-row",
        ondragstart: (event) => event.dataTransfer.setData("text/x-column", id),
        ondragover: (event) => event.preventDefault(),
        ondrop: (event) => moved(event.dataTransfer.getData("text/x-column"), index),
        onkeydown: (event) => {
          if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
            event.preventDefault();
            moved(id, index + (event.key === "ArrowUp" ? -1 : 1));
          }
        },
      },
      h("span", { class: "grip", "aria-hidden": "true" }, "⠿"),
      named(id),
      h(
        "button",
        {
          type: "button",
          class: "quiet small",
          "aria-label": `Take ${label(id)} out`,
          onclick: () => change(shown.filter((one) => one !== id)),
        },
        "×",
      ),
    );
  }

  function draw() {
    const sought = search.value.toLowerCase();
    fill(mine, shown.map(row));
    const found = all(known).filter((one) => !shown.includes(one.id) && one.id.toLowerCase().includes(sought));
    fill(
      more,
      found
        .slice(0, 150)
        .map((one) =>
          h(
            "li",
            {},
            h(
              "label",
              { class: "columns-row" },
              h("input", { type: "checkbox", onchange: () => change([...shown, one.id]) }),
              named(one.id),
              h("span", { class: "muted" }, one.count === null ? one.group : plural(one.count, "run")),
            ),
          ),
        ),
      found.length > 150 ? h("li", { class: "muted" }, `and ${found.length - 150} more: type to find them`) : null,
    );
  }

  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  draw();
  document.body.append(dialog);
  dialog.showModal();
  search.focus();
}

function named(id) {
  const { group, aspect } = parts(id);
  return h(
    "span",
    { class: "columns-name" },
    label(id),
    group ? h("span", { class: "muted" }, ` ${aspect || group.replace(/s$/, "")}`) : null,
  );
}
