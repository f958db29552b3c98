// Parts that the tabs of a run and the pages of models share: facts, tables, a search box, the choice of another run.
import { get } from "/static/lib/api.js";
import { debounce, fill, h } from "/static/lib/dom.js";
import { short, time } from "/static/lib/format.js";
import { copyButton } from "/static/lib/parts.js";

// A heading and what is below it; the section is named by the heading.
export function section(title, ...children) {
  return h("section", { class: "part", "aria-label": title }, h("h2", {}, title), children);
}

// Pairs of a name and a value as a list; what is empty is left out.
export function facts(rows) {
  const given = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "facts" }, given.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

// A table. `columns` are names or {name, right, title, class}; `rows` lists of cells (text or elements), or
// {cells, class} where a row has a look of its own. It scrolls by itself where the page is narrower.
export function table(label, columns, rows, { empty = null } = {}) {
  const told = columns.map((one) => (typeof one === "string" ? { name: one } : one));
  const classes = told.map((one) => [one.right ? "num" : "", one.class ?? ""].join(" ").trim() || null);
  const body = rows.map((row) => {
    const { cells, class: look } = Array.isArray(row) ? { cells: row } : row;
    return h("tr", { class: look }, cells.map((cell, index) => (index ? h("td", { class: classes[index] }, cell)
      : h("th", { scope: "row", class: classes[0] }, cell))));
  });
  if (!body.length && empty) return h("p", { class: "hint" }, empty);
  const head = h("tr", {}, told.map((one, index) => h("th", { scope: "col", class: classes[index], title: one.title }, one.name)));
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label },
    h("table", { class: "plain" }, h("thead", {}, head), h("tbody", {}, body)));
}

// The beginning of a digest or fingerprint, the whole of it to copy.
export function digest(text, length = 12) {
  if (!text) return null;
  return h("span", { class: "digest" }, h("code", { title: text }, short(text, length)), copyButton(text));
}

// A field that narrows down a list as one types; `found` may say how much is left.
export function search(label, value, typed) {
  const input = h("input", { type: "search", placeholder: label, "aria-label": label, value, autocomplete: "off", spellcheck: "false" });
  input.addEventListener("input", () => typed(input.value));
  return h("span", { class: "search" }, input);
}

// Whether all words of `wanted` are in one of the texts.
export function matches(wanted, ...texts) {
  const text = texts.join(" ").toLowerCase();
  return wanted.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

let lists = 0;

// Which other run to look at beside this one: a field with suggestions; `chosen(id)` is called with an id or null.
export function otherRun(run, current, chosen, signal) {
  const list = h("datalist", { id: `runs-${++lists}` });
  const hint = h("span", { class: "hint", role: "status" });
  const input = h("input", {
    type: "search", list: list.id, value: current ?? "", placeholder: "name or id of a run", autocomplete: "off",
    spellcheck: "false", "aria-label": "Compare with run",
  });
  let known = [];
  async function suggest() {
    const quoted = JSON.stringify(input.value.trim());
    const where = input.value.trim() && input.value !== current ? `name ~ ${quoted} or id ~ ${quoted}` : `project = ${JSON.stringify(run.project)}`;
    try {
      known = (await get("/api/runs", { where, limit: 50 }, signal)).runs.filter((one) => one.id !== run.id);
    } catch {
      return; // without suggestions an id can still be typed
    }
    fill(list, known.map((one) => h("option", { value: one.id }, `${one.name} · ${time(one.started_at)}`)));
  }
  function choose() {
    const wanted = input.value.trim();
    const found = known.filter((one) => one.id === wanted || one.name === wanted);
    if (!wanted) chosen(null);
    else if (found.length) chosen(found[0].id);
    else if (/^[\w-]{8,}$/.test(wanted)) chosen(wanted);
    else fill(hint, "No run has this name or id.");
  }
  input.addEventListener("focus", suggest, { once: true });
  input.addEventListener("input", debounce(suggest, 200));
  input.addEventListener("change", choose);
  const clear = current ? h("button", { type: "button", class: "quiet small", onclick: () => chosen(null) }, "Clear") : null;
  return h("span", { class: "other" }, h("span", { class: "hint" }, "Compare with"), input, list, clear, hint);
}

// An address of the run's page: the tab, and what the view keeps.
export function address(id, tab, kept = {}) {
  const query = new URLSearchParams();
  if (tab && tab !== "overview") query.set("tab", tab);
  for (const [name, value] of Object.entries(kept)) if (value) query.set(name, value);
  const text = query.toString();
  return `/run/${encodeURIComponent(id)}${text ? `?${text}` : ""}`;
}

// Where a file of a run is to be had.
export function fileAddress(run, digest, name) {
  return `/files/${[run, digest, name].map(encodeURIComponent).join("/")}`;
}
