// Runs side by side: one table, one column a run, with a part for params, metrics, data and so on.
import { h } from "/static/lib/dom.js";
import { asNumber, bytes, NONE, number, plural, short, value } from "/static/lib/format.js";
import { status } from "/static/lib/parts.js";
import { sample } from "/static/charts/legend.js";
import { aspectOf } from "/static/compare/fields.js";

export const COLUMNS = 12; // runs side by side; the plots have all
const MOST = 400; // rows of a part

// The table. A part is {title, note, rows, none (a sentence for no rows), after (an element below the rows)}.
export function sideBySide(told, names, parts) {
  const runs = told.runs.slice(0, COLUMNS);
  const head = runs.map((run) =>
    h(
      "th",
      { scope: "col" },
      h(
        "span",
        { class: "compare-run" },
        sample(run.id),
        h("a", { href: `/run/${encodeURIComponent(run.id)}`, title: run.id }, names(run.id)),
      ),
    ),
  );
  const wide = (...content) => h("tr", {}, h("td", { colspan: runs.length + 1 }, content));
  return h(
    "div",
    { class: "scroll section compare-scroll", tabindex: "0", role: "region", "aria-label": "Runs side by side" },
    h(
      "table",
      { class: "plain compare-table" },
      h("thead", {}, h("tr", {}, h("td", {}), head)),
      parts.map((part) =>
        h(
          "tbody",
          {},
          h(
            "tr",
            { class: "compare-part" },
            h(
              "th",
              { colspan: runs.length + 1, scope: "rowgroup" },
              h("div", { class: "part-head" }, h("h2", {}, part.title), h("span", { class: "muted" }, part.note)),
            ),
          ),
          part.rows.length ? part.rows.slice(0, MOST) : wide(h("span", { class: "muted" }, part.none)),
          part.rows.length > MOST ? wide(h("span", { class: "muted" }, `and ${part.rows.length - MOST} more`)) : null,
          part.rows.length && part.after ? wide(part.after) : null,
        ),
      ),
    ),
  );
}

function row(title, cells, same = false) {
  return h("tr", { class: same ? "same" : null }, h("th", { scope: "row" }, title), cells.slice(0, COLUMNS));
}

// What to say of a part without rows.
export function none(told, group) {
  const count = Object.keys(told[group]).length;
  return count ? "The same in these runs." : "These runs have none.";
}

// How the runs stand.
export function overview(told) {
  const plain = (field) => told.runs.map((run) => h("td", {}, value(run[field])));
  const known = told.runs.some((run) => run.integration);
  return [
    row(
      "status",
      told.runs.map((run) => h("td", {}, status(run.status))),
    ),
    row("project", plain("project")),
    ...(known ? [row("recorded by", plain("integration"))] : []),
  ];
}

// Params or tags.
export function plainRows(told, group, all) {
  const keys = all ? Object.keys(told[group]) : told.different[group];
  return keys.map((key) =>
    row(
      h("code", {}, key),
      told[group][key].map((one) => h("td", {}, value(one))),
      !told.different[group].includes(key),
    ),
  );
}

// The place of the best entry of a metric: {index, value} or null. `higher`: whether more is better.
export function best(entries, aspect, higher) {
  let found = null;
  entries.forEach((entry, index) => {
    const told = asNumber(aspectOf(entry, aspect));
    if (told === null || Number.isNaN(told)) return;
    if (!found || (higher ? told > found.value : told < found.value)) found = { index, value: told };
  });
  return found;
}

// Metrics with the best of each row marked; a button turns around which way is better.
export function metricRows(told, { aspect, higher, onFlip, keys }) {
  return keys.map((key) => {
    const entries = told.metrics[key];
    const top = best(entries, aspect, higher(key));
    const several = new Set(entries.filter((entry) => entry !== null).map((entry) => aspectOf(entry, aspect))).size > 1;
    const more = higher(key);
    const flip = h(
      "button",
      {
        type: "button",
        class: "quiet small flip",
        "aria-label": `${key}: ${more ? "higher" : "lower"} is better; turn around`,
        title: `${more ? "Higher" : "Lower"} is better; click to turn around`,
        onclick: () => onFlip(key),
      },
      more ? "↑" : "↓",
    );
    return row(
      [h("code", {}, key), flip],
      entries.map((entry) => {
        const told = asNumber(aspectOf(entry, aspect));
        const wins = several && top && told === top.value;
        return h(
          "td",
          { class: wins ? "best" : null },
          number(told),
          wins
            ? [h("span", { class: "best-mark", "aria-hidden": "true" }, " ★"), h("span", { class: "sr-only" }, " best")]
            : null,
        );
      }),
    );
  });
}

// Datasets by role and name: the same data or not, with how much of it. `onChanges(index, key)` shows what changed.
export function datasetRows(told, all, onChanges) {
  const keys = all ? Object.keys(told.datasets) : told.different.datasets;
  return keys.map((key) => {
    const entries = told.datasets[key];
    const versions = [...new Set(entries.filter(Boolean).map((one) => one.value))];
    const cell = (one, index) =>
      one === null
        ? h("span", { class: "muted" }, "not used")
        : [
            h(
              "span",
              { class: "chip", title: one.value },
              versions.length > 1
                ? `version ${String.fromCharCode(65 + (versions.indexOf(one.value) % 26))}`
                : "the same data",
            ),
            h("span", { class: "data-facts" }, facts(one)),
            index && entries[0] && one.value !== entries[0].value
              ? h("button", { type: "button", class: "small", onclick: () => onChanges(index, key) }, "What changed")
              : null,
          ];
    return row(
      h("code", {}, key),
      entries.map((one, index) => h("td", {}, cell(one, index))),
      !told.different.datasets.includes(key),
    );
  });
}

function facts(one) {
  const columns = one.n_columns ?? (Array.isArray(one.columns) ? one.columns.length : null);
  return [
    Number.isFinite(one.n_rows) ? plural(one.n_rows, "row") : null,
    columns ? plural(columns, "column") : null,
    one.bytes ? bytes(one.bytes) : null,
    one.value ? short(one.value, 12) : null,
  ]
    .filter(Boolean)
    .join(" · ");
}

// What is nested (packages of an environment, files of the code): a row each leaf.
export function nestedRows(told, group, all) {
  const flat = new Map();
  told.runs.forEach((run, index) => {
    for (const key of Object.keys(told[group])) {
      leaves(told[group][key][index], key, (path, leaf) => {
        if (!flat.has(path))
          flat.set(
            path,
            told.runs.map(() => null),
          );
        flat.get(path)[index] = leaf;
      });
    }
  });
  const rows = [...flat].map(([key, entries]) => ({
    key,
    entries,
    same: new Set(entries.map((one) => JSON.stringify(one))).size === 1,
  }));
  return rows
    .filter((one) => all || !one.same)
    .slice(0, MOST + 1)
    .map((one) =>
      row(
        h("code", {}, one.key),
        one.entries.map((leaf) => h("td", {}, leaf === null ? NONE : value(leaf))),
        one.same,
      ),
    );
}

function leaves(any, path, found) {
  if (any === null || any === undefined) return;
  if (typeof any === "object" && !Array.isArray(any))
    for (const [key, one] of Object.entries(any)) leaves(one, `${path}.${key}`, found);
  else found(path, any);
}
