// Where a run ran: Python, system, processor, GPU, variables and packages, beside those of another run.
import { get } from "/static/lib/api.js";
import { fill, h } from "/static/lib/dom.js";
import { bytes } from "/static/lib/format.js";
import { empty, runLink } from "/static/lib/parts.js";
import { matches, otherRun, search, section, table } from "/static/run/bits.js";

const LEFT = new Set(["lock", "variables"]);
const NAMES = { python: "Python", system: "System", cpu: "Processor", gpu: "GPU", cuda: "CUDA", blas: "Linear algebra" };

export async function show(root, { run, query, signal, go }) {
  if (!Object.keys(run.environment).length) {
    fill(root, empty("No environment was recorded with this run.", "A run that was imported from elsewhere may have none."));
    return;
  }
  const wanted = query.get("with");
  const ask = (id) => Promise.all([get(`/api/run/${encodeURIComponent(id)}`, {}, signal), get(`/api/run/${encodeURIComponent(id)}/packages`, {}, signal)]);
  const own = await get(`/api/run/${encodeURIComponent(run.id)}/packages`, {}, signal);
  let other = null;
  let trouble = null;
  if (wanted) {
    try {
      const [record, held] = await ask(wanted);
      other = { run: record, packages: held.packages };
    } catch (error) {
      if (signal.aborted) return;
      trouble = error.message;
    }
  }
  fill(root,
    h("div", { class: "toolbar" }, otherRun(run, wanted, (id) => go({ with: id }), signal)),
    trouble ? h("p", { class: "note bad", role: "alert" }, trouble) : null,
    machine(run, other), packages(own, other, query.get("q") ?? ""), variables(run, other));
}

function machine(run, other) {
  const keys = [...new Set([...Object.keys(run.environment), ...Object.keys(other?.run.environment ?? {})])].filter((key) => !LEFT.has(key));
  const told = (environment, key) => (key === "command" && Array.isArray(environment[key]) ? environment[key].join(" ") : said(environment[key]));
  const pairs = keys.map((key) => [key, told(run.environment, key), other ? told(other.run.environment, key) : null]).filter(([, one, two]) => one || two);
  return section("Machine and Python", beside("Machine and Python", "", pairs.map(([key, ...rest]) => [NAMES[key] ?? key.replaceAll("_", " "), ...rest]), other));
}

function beside(label, first, pairs, other) {
  const columns = [first || "What", { name: other ? "This run" : "Value", class: "wrap" }, ...(other ? [{ name: runLink(other.run), class: "wrap" }] : [])];
  return table(label, columns, pairs.map(([key, one, two]) => ({
    class: other && one !== two ? "changed" : null,
    cells: [h("span", { class: "nowrap" }, key), one || h("span", { class: "absent" }, "none"), ...(other ? [two || h("span", { class: "absent" }, "none")] : [])],
  })));
}

// Anything of the record in a line: nothing of what is empty.
function said(value) {
  if (value === null || value === undefined || value === "") return "";
  if (Array.isArray(value)) return value.map(said).filter(Boolean).join(", ");
  if (typeof value === "object") {
    return Object.entries(value).map(([key, one]) => {
      const text = key === "bytes" && typeof one === "number" ? bytes(one) : said(one);
      return text ? (key === "name" || key === "bytes" || key === "file" ? text : `${key} ${text}`) : "";
    }).filter(Boolean).join(", ");
  }
  return typeof value === "boolean" ? (value ? "yes" : "no") : String(value);
}

function packages(own, other, first) {
  let text = first;
  let only = Boolean(other);
  const list = h("div", {});
  const theirs = new Map((other?.packages ?? []).map((one) => [one.name, one.version]));
  const ours = new Map(own.packages.map((one) => [one.name, one]));
  const names = [...new Set([...ours.keys(), ...theirs.keys()])].sort((one, two) => one.localeCompare(two));
  const draw = () => {
    const shown = names.filter((name) => matches(text, name, ours.get(name)?.version ?? "") && (!only || ours.get(name)?.version !== theirs.get(name)));
    const rows = shown.map((name) => {
      const one = ours.get(name);
      const changed = other && one?.version !== theirs.get(name);
      const version = one ? [one.version, one.from ? h("span", { class: "hint" }, ` from ${one.from}`) : null] : h("span", { class: "absent" }, "not installed");
      return { class: changed && !only ? "changed" : null, cells: [name, version, ...(other ? [theirs.get(name) ?? h("span", { class: "absent" }, "not installed")] : [])] };
    });
    const none = other && only && !text ? "Both runs had the same packages." : text ? "No package fits." : own.problem ?? "No package was installed.";
    fill(list, table("Packages", ["Package", { name: "Version", class: "wrap" }, ...(other ? [runLink(other.run)] : [])], rows, { empty: none }));
  };
  draw();
  return section(`Packages (${own.packages.length})`, h("div", { class: "toolbar" }, search("Search packages", text, (typed) => {
    text = typed;
    draw();
  }), other ? h("label", {}, h("input", { type: "checkbox", checked: true, onchange: (event) => {
    only = event.target.checked;
    draw();
  } }), "only what differs") : null), list);
}

function variables(run, other) {
  const one = run.environment.variables ?? {};
  const two = other?.run.environment.variables ?? {};
  const keys = [...new Set([...Object.keys(one), ...Object.keys(two)])].sort();
  if (!keys.length) return null;
  return section("Variables", beside("Variables", "Variable", keys.map((key) => [h("code", {}, key), said(one[key]), said(two[key])]), other));
}
