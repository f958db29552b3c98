// What can be put on an axis: params, metrics and tags of the compared runs, as numbers, or as categories with their names.
import { asNumber, number, value } from "/static/lib/format.js";
import { field, parts } from "/static/lib/fields.js";

// The names of the fields that differ between the runs, metrics last: ["params.lr", "metrics.loss.last"].
export function choices(told, which) {
  const differ = (group) => Object.keys(told[group]).filter((key) => told.different[group].includes(key));
  const simple = (key) => told.params[key].every((one) => one === null || typeof one !== "object");
  return {
    params: differ("params")
      .filter(simple)
      .map((key) => field("params", key)),
    tags: differ("tags").map((key) => field("tags", key)),
    metrics: Object.keys(told.metrics).map((key) => field("metrics", key, which)),
  };
}

// An entry of a metric: its last value, or what else is asked for.
export function aspectOf(entry, aspect) {
  return entry === null ? null : (entry[aspect] ?? null);
}

// {values: [number | null per run], ticks: [[place, text]] | null, log, low, high, show(number)} for a field's name. What
// spans two decades or more, as learning rates do, is logarithmic.
export function axis(told, name) {
  const { group, key, aspect } = parts(name);
  const row = told[group]?.[key] ?? told.runs.map(() => null);
  const raw = group === "metrics" ? row.map((entry) => asNumber(aspectOf(entry, aspect))) : row;
  if (raw.every((one) => one === null || typeof one === "number")) {
    const values = raw.map((one) => (Number.isFinite(one) ? one : null));
    const known = values.filter((one) => one !== null);
    const low = known.length ? Math.min(...known) : 0;
    const high = known.length ? Math.max(...known) : 1;
    return { values, ticks: null, log: low > 0 && high / low >= 100, low, high, show: (at) => number(at, 4) };
  }
  const names = [...new Set(raw.filter((one) => one !== null).map(value))].sort((a, b) =>
    a.localeCompare(b, undefined, { numeric: true }),
  );
  const values = raw.map((one) => (one === null ? null : names.indexOf(value(one))));
  return {
    values,
    ticks: names.map((text, place) => [place, text]),
    log: false,
    low: 0,
    high: Math.max(names.length - 1, 0),
    show: (at) => names[at] ?? "",
  };
}

// From a share (0 to 1) to a colour that colour-blind people can order (after cividis), for light and for dark.
const STOPS = {
  light: ["#00306f", "#3f5f8a", "#8a7a56", "#b08a1e", "#c97800"],
  dark: ["#6f9cf5", "#8fb0d8", "#bdb6a0", "#e0c35c", "#ffe14d"],
};

export function shade(share) {
  const stops = STOPS[document.documentElement.dataset.theme] ?? STOPS.light;
  const at = Math.max(0, Math.min(1, share)) * (stops.length - 1);
  const first = Math.min(Math.floor(at), stops.length - 2);
  const part = (hex, place) => parseInt(hex.slice(1 + place * 2, 3 + place * 2), 16);
  const mixed = [0, 1, 2].map((place) =>
    Math.round(part(stops[first], place) * (1 - at + first) + part(stops[first + 1], place) * (at - first)),
  );
  return `rgb(${mixed.join(",")})`;
}
