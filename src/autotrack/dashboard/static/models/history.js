// The log of a registered model, newest first: who did what, when and why, what became of it, and what the gates said.
import { h } from "/static/lib/dom.js";
import { number, plural, time } from "/static/lib/format.js";
import { address, section, table } from "/static/run/bits.js";

const AT_FIRST = 40;

export function history(model) {
  const newest = [...model.log].reverse();
  const list = h("ol", { class: "history", reversed: true }, newest.slice(0, AT_FIRST).map(entry));
  const rest = newest.slice(AT_FIRST);
  const more = rest.length ? h("button", { type: "button", onclick: (event) => {
    list.append(...rest.map(entry));
    event.target.remove();
    list.children[AT_FIRST]?.querySelector("summary, a")?.focus();
  } }, `Show ${plural(rest.length, "earlier step")}`) : null;
  return section(`History (${plural(model.log.length, "step")})`, newest.length ? list : h("p", { class: "hint" }, "No step yet."), more);
}

function entry(step) {
  const evidence = Array.isArray(step.record.evidence) ? step.record.evidence : [];
  return h("li", { class: `step step-${step.effect}` },
    h("div", { class: "what" }, h("span", {}, said(step)), effect(step), step.record.forced ? h("span", { class: "chip bad" }, "forced") : null, step.record.rollback ? h("span", { class: "chip" }, "rollback") : null),
    h("div", { class: "hint" }, h("span", { title: step.time }, time(step.time)), ` by ${step.who ?? "unknown"}`, step.run ? [" from ", h("a", { href: address(step.run) }, "its run")] : null),
    step.why ? h("blockquote", {}, step.why) : null,
    step.because ? h("p", { class: "because" }, `Without effect: ${step.because}.`) : null,
    evidence.length ? gates(step, evidence) : null, details(step));
}

// What a step says, in words.
function said(step) {
  const { record } = step;
  const version = step.version ? `version ${step.version}` : step.digest ? "a version" : "the model";
  const alias = record.alias ?? "an alias";
  const done = step.effect === "done";
  const words = {
    register: `${version} registered`,
    alias: `${alias} ${done ? "moved" : "was to be moved"} to ${version}`,
    unalias: `${alias} ${done ? "taken away" : "was to be taken away"}${step.version ? ` from ${version}` : ""}`,
    stage: record.stage ? `${version} is now ${record.stage}` : `${version} has no stage any more`,
    annotate: `${version} annotated: ${Object.entries(record).map(([key, value]) => (value === null ? `${key} removed` : `${key} = ${plain(value)}`)).join(", ")}`,
    approve: `${version} approved`,
    disapprove: `${version} objected to`,
    sign: `${version} signed`,
    protect: `${alias} protected`,
    unprotect: `${alias} no longer protected`,
    retire: `${version} ${done ? "retired" : "was to be retired"}`,
    restore: `${version} taken back from retirement`,
    refuse: `${alias} was refused to ${version}`,
  };
  return words[step.action] ?? `${step.action} (${version})`;
}

function effect(step) {
  if (step.effect === "done") return null;
  if (step.effect === "conflict") return h("span", { class: "chip warn" }, "conflict");
  return h("span", { class: "chip bad" }, step.effect);
}

// Each gate with its verdict; what it looked at can be opened.
function gates(step, evidence) {
  const refused = evidence.filter((one) => !one.passed).length;
  const title = refused ? `${plural(refused, "gate")} of ${evidence.length} said no` : `${plural(evidence.length, "gate")} passed`;
  return h("details", { class: "gates", open: refused > 0 }, h("summary", {}, title), h("ul", { class: "plain" }, evidence.map((one) => h("li", {},
    h("span", { class: `chip ${one.passed ? "good" : "bad"}` }, one.passed ? (one.verdict === "not-applicable" ? "does not apply" : "passed") : "refused"), " ",
    h("strong", {}, String(one.gate ?? "a gate")), one.why ? `: ${one.why}` : "", looked(one)))));
}

function looked(one) {
  const told = one.evidence && typeof one.evidence === "object" ? one.evidence : null;
  const options = one.options && Object.keys(one.options).length ? one.options : null;
  if (!told && !options) return null;
  const rows = [...flat(told ?? {}), ...flat(options ?? {}, "asked for: ")].slice(0, 60);
  return rows.length ? h("details", {}, h("summary", {}, "Evidence"), table(`Evidence of ${one.gate}`, ["What", { name: "Value", class: "wrap" }], rows)) : null;
}

// Nested evidence as rows of a dotted name and a value.
function flat(told, before = "") {
  return Object.entries(told).flatMap(([key, value]) => {
    if (value && typeof value === "object" && !Array.isArray(value)) return flat(value, `${before}${key}.`);
    if (Array.isArray(value) && value.some((one) => one && typeof one === "object")) return value.slice(0, 20).flatMap((one, index) => (one && typeof one === "object" ? flat(one, `${before}${key}[${index}].`) : [[`${before}${key}[${index}]`, plain(one)]]));
    return [[`${before}${key}`, plain(value)]];
  });
}

function plain(value) {
  if (typeof value === "number") return number(value);
  if (Array.isArray(value)) return value.map(plain).join(", ");
  return value === null ? "none" : typeof value === "object" ? JSON.stringify(value) : String(value);
}

function details(step) {
  if (step.action !== "protect") return null;
  const { gates: asked = {}, approvals } = step.record.rules ?? {};
  const named = Array.isArray(asked) ? asked : Object.keys(asked);
  return h("p", { class: "hint" }, `Asks for ${[named.join(", "), approvals ? plural(approvals, "approval") : ""].filter(Boolean).join(" and ") || "nothing"}.`);
}
