// What a cell of the table shows: a status, a link, a time, a number with its small curve.
import { h, svg } from "/static/lib/dom.js";
import { HEADER, label, parts } from "/static/lib/fields.js";
import { ago, asNumber, duration, NONE, number, short, time, took, value } from "/static/lib/format.js";
import { runLink, status } from "/static/lib/parts.js";

const WIDTHS = {
  name: 210,
  status: 94,
  started_at: 108,
  ended_at: 150,
  duration: 98,
  project: 110,
  integration: 116,
  id: 150,
  parent_id: 150,
};

// {id, label, aspect, width, numeric, title}: how the column of this field looks; `numbers`: it has nothing but numbers.
export function column(id, numbers = false) {
  const { group, aspect } = parts(id);
  const metric = group === "metrics";
  return {
    id,
    group,
    aspect,
    label: label(id),
    width: WIDTHS[id] ?? (metric ? 158 : 118),
    numeric: metric || numbers || id === "duration",
    title: group ? id : (HEADER[id] ?? id),
  };
}

// The content of a run's cell. `curves(run, key)` gives up to 40 values, or nothing yet.
export function cell(column, run, curves) {
  if (column.group === "metrics") {
    const told = run.values?.[column.id];
    const curve = curves(run.id, parts(column.id).key);
    return [spark(curve), h("span", { class: "cell-number" }, number(told))];
  }
  if (column.group) {
    const told = run.values?.[column.id];
    return h(
      "span",
      { class: typeof told === "number" ? "cell-number" : "cell-text", title: value(told) },
      typeof told === "number" ? number(told) : value(told),
    );
  }
  switch (column.id) {
    case "name":
      return runLink(run, run.name || short(run.id));
    case "status":
      return status(run.status);
    case "started_at":
      return h("time", { datetime: run.started_at, title: time(run.started_at) }, ago(run.started_at));
    case "ended_at":
      return run.ended_at ? time(run.ended_at) : NONE;
    case "duration":
      return duration(took(run));
    case "id":
      return h("span", { class: "mono" }, run.id);
    default:
      return value(run[column.id] ?? run.values?.[column.id]);
  }
}

// A curve as wide as a word. It is decoration: the number beside it tells the value.
export function spark(values) {
  const known = (values ?? []).map(asNumber).map((one) => (Number.isFinite(one) ? one : null));
  const numbers = known.filter((one) => one !== null);
  const box = svg("svg", { class: "spark", viewBox: "0 0 56 18", width: "56", height: "18", "aria-hidden": "true" });
  if (numbers.length < 2) return box;
  const low = Math.min(...numbers);
  const span = Math.max(...numbers) - low || 1;
  const step = 54 / (known.length - 1);
  let path = "";
  let pen = "M";
  known.forEach((one, index) => {
    if (one === null) pen = "M";
    else {
      path += `${pen}${(1 + index * step).toFixed(1)} ${(16 - ((one - low) / span) * 14).toFixed(1)}`;
      pen = "L";
    }
  });
  box.append(svg("path", { d: path, fill: "none" }));
  return box;
}
