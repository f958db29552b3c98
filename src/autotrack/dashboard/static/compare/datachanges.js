// What changed between the data of two runs: asked for by a button, shown below the row.
import { get } from "/static/lib/api.js";
import { fill, h } from "/static/lib/dom.js";

export class DataChanges {
  constructor(told, names, signal) {
    Object.assign(this, { told, names, signal });
    this.element = h("div", { class: "data-changes", "aria-live": "polite" });
  }

  // Between the first run and the run at `index`, of the dataset `key` (role/name).
  async show(key, index) {
    const { told, names, signal } = this;
    const [first, other] = [told.runs[0], told.runs[index]];
    fill(this.element, h("p", { class: "muted" }, "Comparing…"));
    try {
      const diff = await get("/api/datadiff", { a: `${first.id}:${key}`, b: `${other.id}:${key}` }, signal);
      fill(this.element, h("h3", {}, `${key}: ${names(first.id)} → ${names(other.id)}`), said(diff));
    } catch (error) {
      if (error.name !== "AbortError") fill(this.element, h("p", { class: "note" }, error.message));
    }
  }
}

function said(diff) {
  if (diff.same) return h("p", {}, "The same data.");
  const columns = (diff.columns ?? []).filter((one) => one.change && one.change !== "same");
  const list = columns
    .slice(0, 100)
    .map((one) => h("li", {}, h("code", {}, one.name), ` ${one.change}`, ranges(one.row_ranges)));
  return list.length ? h("ul", {}, list) : h("p", {}, "The data differ, though no single column tells where.");
}

function ranges(rows) {
  if (!rows?.length) return null;
  return ` in rows ${rows
    .slice(0, 6)
    .map(([from, to]) => `${from}–${to}`)
    .join(", ")}${rows.length > 6 ? " and more" : ""}`;
}
