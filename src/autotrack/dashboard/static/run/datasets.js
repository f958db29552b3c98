// Datasets of a run: role, name, size, fingerprints, how much was looked at, leakage, and what differs from another run's.
import { get } from "/static/lib/api.js";
import { fill, h } from "/static/lib/dom.js";
import { bytes, number } from "/static/lib/format.js";
import { empty, runLink, waiting } from "/static/lib/parts.js";
import { digest, facts, otherRun, table } from "/static/run/bits.js";

export async function show(root, { run, query, signal, go }) {
  const wanted = query.get("with");
  if (!run.datasets.length) {
    fill(root, empty("This run has no dataset.", "run.log_dataset(frame, role=\"train\") records one; integrations record what is passed to fit."));
    return;
  }
  const other = wanted ? await theOther(wanted, signal) : null;
  if (signal.aborted) return;
  fill(root,
    h("div", { class: "toolbar" }, otherRun(run, wanted, (id) => go({ with: id }), signal)),
    other instanceof Error ? h("p", { class: "note bad", role: "alert" }, other.message) : null,
    run.datasets.map((one) => card(run, one, other instanceof Error ? null : other, signal)));
}

async function theOther(id, signal) {
  try {
    return await get(`/api/run/${encodeURIComponent(id)}`, {}, signal);
  } catch (error) {
    return error;
  }
}

function card(run, one, other, signal) {
  const told = one.fingerprint;
  return h("article", { class: "card", "aria-label": `${one.role} ${one.name}` },
    h("div", { class: "head" }, h("h2", {}, one.name), h("span", { class: "role" }, one.role),
      h("span", { class: "hint" }, size(told))),
    leakage(told.leakage),
    coverage(told),
    facts([
      ["Kind", told.kind],
      ["Values", digest(told.value, 20)],
      ["Schema", digest(told.schema, 20)],
      ["Rows in any order", digest(told.rows, 20)],
      ["Strict", digest(told.strict, 20)],
      ["Read from", source(told.source)],
      ["Bytes", told.bytes ? bytes(told.bytes) : null],
    ]),
    parts(told.parts), columns(told),
    other ? difference(run, one, other, signal) : null);
}

function size(told) {
  const rows = told.n_rows ?? null;
  const wide = told.n_columns ?? null;
  if (rows === null && wide === null) return "size unknown";
  return `${number(rows)} rows × ${number(wide)} ${wide === 1 ? "column" : "columns"}`;
}

// Said plainly where not all of the data was looked at: then equal fingerprints prove less.
function coverage(told) {
  if (!told.value) return h("p", { class: "note warn" }, told.why ? `No fingerprint: ${told.why}.` : "Its values were not looked at, so it cannot be compared with other data.");
  if (told.coverage === undefined || told.coverage === null || told.coverage >= 1) return null;
  return h("p", { class: "note warn" }, h("strong", {}, "partial: "), `${number(told.coverage * 100, 3)} % of the data were looked at`,
    told.why ? ` (${told.why})` : "", ". Two datasets with this fingerprint may differ in the rest.");
}

function leakage(told) {
  if (!told) return null;
  if (told.rows === null || told.rows === undefined) return h("p", { class: "note warn" }, `Whether rows of it were in ${told.with ?? "the training data"} is unknown${told.why ? `: ${told.why}` : ""}.`);
  if (told.rows === 0) return h("p", { class: "fine" }, `None of its ${number(told.of)} rows is in ${told.with}.`);
  const share = told.of ? ` (${number((100 * told.rows) / told.of, 3)} %)` : "";
  return h("p", { class: "note bad" }, h("strong", {}, "Leakage: "), `${number(told.rows)} of its ${number(told.of)} rows${share} are also in ${told.with}. Scores on it say too much.`);
}

function source(told) {
  if (!told) return null;
  if (typeof told === "string") return h("code", {}, told);
  return h("code", {}, told.path ?? told.url ?? told.file ?? told.name ?? JSON.stringify(told));
}

function parts(told) {
  const all = Object.entries(told ?? {});
  if (!all.length) return null;
  return h("details", {}, h("summary", {}, `${all.length} parts`),
    table("Parts", ["Part", "Kind", { name: "Rows", right: true }, { name: "Columns", right: true }, "Values"],
      all.map(([name, part]) => [name, part.kind ?? "", number(part.n_rows), number(part.n_columns), digest(part.value)])));
}

function columns(told) {
  const all = told.columns ?? [];
  if (!all.length) return null;
  const valued = all.some((one) => one.value);
  return h("details", { open: all.length <= 12 }, h("summary", {}, `${all.length} columns`),
    table("Columns", ["Column", "Type", ...(valued ? ["Values"] : [])], all.slice(0, 500).map((one) => [String(one.name), one.dtype ?? one.type ?? "", ...(valued ? [digest(one.value)] : [])])),
    all.length > 500 ? h("p", { class: "hint" }, `The first 500 of ${all.length}.`) : null);
}

// What differs from the dataset of the same role in the other run, and if there are several, of the same name.
function difference(run, one, other, signal) {
  const place = h("div", { class: "difference" }, waiting("Comparing…"));
  const fit = other.datasets.filter((held) => held.role === one.role);
  const chosen = fit.find((held) => held.name === one.name) ?? fit[0];
  if (!chosen) {
    fill(place, h("p", { class: "hint" }, runLink(other), ` has no dataset in the role ${one.role}.`));
    return place;
  }
  compare(place, run, one, other, chosen, signal);
  return place;
}

async function compare(place, run, one, other, chosen, signal) {
  try {
    const asked = { a: `${other.id}:${chosen.role}/${chosen.name}`, b: `${run.id}:${one.role}/${one.name}` };
    const found = await get("/api/datadiff", asked, signal);
    const word = found.same === true ? "the same" : found.same === false ? "different" : "not known";
    const rows = found.columns.map((column) => [column.name ?? "", column.change, ranges(column.row_ranges)]);
    fill(place,
      h("h3", {}, "Against ", runLink(other), ` (${chosen.role}/${chosen.name}): `, h("strong", { class: found.same ? "fine" : "bad-text" }, word)),
      h("ul", { class: "plain" }, (found.told ?? []).map((sentence) => h("li", {}, sentence))),
      rows.length ? table("Columns that differ", ["Column", "Change", { name: "Rows", class: "wrap" }], rows) : null);
  } catch (error) {
    if (!signal.aborted) fill(place, h("p", { class: "note bad", role: "alert" }, error.message));
  }
}

function ranges(told) {
  const all = told ?? [];
  const words = all.slice(0, 20).map(([from, to]) => (to - from <= 1 ? number(from) : `${number(from)}–${number(to - 1)}`));
  return words.join(", ") + (all.length > 20 ? `, and ${all.length - 20} more ranges` : "");
}
