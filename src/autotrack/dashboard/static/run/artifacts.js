// Artifacts of a run, each with a preview on the page: pictures, texts, tables, and HTML in a frame that runs nothing.
import { get } from "/static/lib/api.js";
import { fill, h } from "/static/lib/dom.js";
import { bytes, number, plural } from "/static/lib/format.js";
import { empty, waiting } from "/static/lib/parts.js";
import { address, digest, fileAddress, matches, search, table } from "/static/run/bits.js";

export async function show(root, { run, query, signal, navigate }) {
  if (!run.artifacts.length) {
    fill(root, empty("This run has no artifact.", "run.log_artifact(\"report.html\") keeps a file, run.log_figure(fig, \"roc.png\") a figure."));
    return;
  }
  const latest = new Map();
  for (const one of run.artifacts) latest.set(one.name, one); // of a name that came again, the last
  const all = [...latest.values()].sort((one, other) => one.name.localeCompare(other.name));
  const chosen = latest.get(query.get("file")) ?? null;
  let text = "";
  const list = h("ul", { class: "files" });
  const view = h("div", { class: "preview" });
  const draw = () => fill(list, all.filter((one) => matches(text, one.name)).map((one) =>
    h("li", {}, h("a", { href: address(run.id, "artifacts", { file: one.name }), "aria-current": one === chosen ? "true" : null,
      onclick: (event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        navigate(address(run.id, "artifacts", { file: one.name }), { replace: true });
      } }, one.name), h("span", { class: "hint" }, bytes(one.bytes)))));
  draw();
  fill(root, h("div", { class: "beside" },
    h("div", { class: "side" }, all.length > 12 ? search("Search artifacts", "", (typed) => {
      text = typed;
      draw();
    }) : null, list, h("p", { class: "hint" }, `${plural(all.length, "file")}, ${bytes(all.reduce((sum, one) => sum + (one.bytes ?? 0), 0))}`)), view));
  if (chosen) await preview(view, run, chosen, signal);
  else fill(view, h("p", { class: "hint" }, "Choose a file to look at it here."));
  list.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
}

async function preview(place, run, one, signal) {
  const file = fileAddress(run.id, one.digest, one.name);
  const head = h("div", { class: "head" }, h("h2", {}, one.name), h("span", { class: "hint" }, bytes(one.bytes)), digest(one.digest),
    h("a", { class: "button", href: file, download: true }, "Download"));
  const body = h("div", {}, waiting());
  fill(place, head, body);
  try {
    const told = await get(`/api/run/${encodeURIComponent(run.id)}/preview`, { digest: one.digest, name: one.name }, signal);
    fill(body, shown(told, file, one.name));
  } catch (error) {
    if (!signal.aborted) fill(body, h("p", { class: "note bad", role: "alert" }, error.message));
  }
}

function shown(told, file, name) {
  if (told.kind === "image") return h("img", { class: "picture", src: file, alt: name });
  if (told.kind === "html") {
    // `sandbox` without a word allows nothing: no script, no form, no way out; the server says the same of the file.
    return [h("p", { class: "hint" }, "Shown without its scripts and without anything from elsewhere. Download it to see all of it."),
      h("iframe", { class: "framed", sandbox: "", src: `${file}?framed=1`, title: `Preview of ${name}`, referrerpolicy: "no-referrer" })];
  }
  if (told.kind === "table") return [cut(told), grid(told, name)];
  if (told.kind === "text" || told.kind === "json") {
    return [told.truncated ? h("p", { class: "hint" }, "The beginning of the file; download it for the rest.") : null,
      h("pre", { class: "text", tabindex: "0", "aria-label": name }, told.text)];
  }
  return h("p", { class: "hint" }, `It cannot be shown: ${told.why}.`);
}

function grid(told, name) {
  const numeric = told.columns.map((_, index) => told.rows.some((row) => isNumber(row[index])) && told.rows.every((row) => row[index] === null || row[index] === "" || isNumber(row[index])));
  const columns = [{ name: "Row", right: true }, ...told.columns.map((column, index) => ({ name: String(column), right: numeric[index], class: numeric[index] ? null : "cell" }))];
  return table(name, columns, told.rows.map((row, index) => [h("span", { class: "hint" }, index + 1), ...row.map((cell) => (typeof cell === "number" ? number(cell, 8) : cell === null ? h("span", { class: "absent" }, "none") : String(cell)))]));
}

function isNumber(value) {
  return typeof value === "number" || (typeof value === "string" && value.trim() !== "" && Number.isFinite(Number(value)));
}

function cut(told) {
  if (!told.truncated) return null;
  const rows = told.total ? `The first ${plural(told.rows.length, "row")} of ${number(told.total)}` : `The first ${plural(told.rows.length, "row")}`;
  return h("p", { class: "hint" }, rows, told.left_out_columns ? `; ${told.left_out_columns} more columns are left out` : "", "; download it for the rest.");
}
