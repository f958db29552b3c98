// Overview of a run: how it went, its error, its main figures, what belongs to it, and what its record lacks.
import { fill, h } from "/static/lib/dom.js";
import { duration, number, plural, time, took } from "/static/lib/format.js";
import { runLink, status } from "/static/lib/parts.js";
import { address, facts, section, table } from "/static/run/bits.js";

const SHOWN = 8;

export function show(root, { run }) {
  let known = "";
  const update = (now) => {
    const text = JSON.stringify(now);
    if (text === known) return;
    known = text;
    const focused = root.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    draw(root, now);
    if (focused) root.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  };
  update(run);
  return { update };
}

function draw(root, run) {
  fill(root,
    outcome(run),
    h("div", { class: "columns" },
      section("Run", facts([
        ["Status", status(run.status)],
        ["Started", time(run.started_at)],
        ["Ended", run.ended_at ? time(run.ended_at) : "not yet"],
        ["Duration", duration(took(run))],
        ["Project", run.project],
        ["Integration", run.integration],
        ["Part of", run.parent ? runLink(run.parent) : run.parent_id],
        ["Command", command(run.environment)],
        ["On", host(run.environment)],
        ["Code", code(run)],
        ["Seeded", seeded(run.randomness ?? {})],
      ])),
      figures(run)),
    tags(run), children(run), lacks(run));
}

function outcome(run) {
  const killed = run.status === "killed" ? h("p", {}, "What it logged until then is all here.") : null;
  if (!run.error) return killed ? h("div", { class: "note bad" }, killed) : null;
  const { type, message, traceback } = run.error;
  return h("section", { class: "note bad", "aria-label": "Error" },
    h("h2", {}, type, message ? `: ${message}` : ""), killed,
    traceback ? h("details", { open: true }, h("summary", {}, "Traceback"),
      h("pre", { class: "trace", tabindex: "0", "aria-label": "Traceback" }, traceback)) : null);
}

function command(environment) {
  const given = environment.command;
  if (!Array.isArray(given) || !given.length) return null;
  const words = given.map((word, index) => (index === 0 ? String(word).split(/[\\/]/).pop() : String(word)));
  return h("code", { title: given.join(" ") }, words.join(" "));
}

function host(environment) {
  const gpus = (environment.gpu ?? []).map((one) => (typeof one === "string" ? one : one.name)).join(", ");
  return [environment.host, environment.system, gpus].filter(Boolean).join(" · ") || null;
}

function code(run) {
  const { commit, branch, dirty, changes = [] } = run.code;
  if (!commit) return null;
  const words = `${String(commit).slice(0, 10)}${branch ? ` on ${branch}` : ""}`;
  const more = dirty ? ` with ${plural(changes.length, "uncommitted file")}` : dirty === false ? ", nothing uncommitted" : "";
  return h("span", {}, h("a", { href: address(run.id, "code") }, words), more);
}

function seeded(told) {
  if (told.seeded === true) return "yes";
  const lacking = [...(told.not_seeded ?? []), ...(told.unknown ?? [])].join(", ");
  return told.seeded === false ? `no: ${lacking}` : told.seeded === null && lacking ? `unknown: ${lacking}` : null;
}

function figures(run) {
  const all = Object.entries(run.metrics).filter(([key]) => !key.startsWith("system/"));
  const right = (name) => ({ name, right: true });
  const rows = all.slice(0, SHOWN).map(([key, told]) => [
    h("span", { class: "key" }, key), number(told.last), number(told.min), number(told.max), number(told.last_step)]);
  const shown = rows.length ? table("Metrics", ["Metric", right("last"), right("min"), right("max"), right("step")], rows)
    : h("p", { class: "hint" }, run.status === "running" ? "No metric yet: they appear here as they are logged."
      : "No metric was logged. run.log_metrics({\"loss\": 0.1}, step=1) logs one.");
  const link = all.length ? h("p", {}, h("a", { href: address(run.id, "metrics") },
    all.length > SHOWN ? `All ${all.length} metrics` : "Curves")) : null;
  return section("Metrics", shown, link);
}

function tags(run) {
  const all = Object.entries(run.tags);
  if (!all.length) return null;
  return section("Tags", h("ul", { class: "tags" }, all.map(([key, value]) => h("li", {}, h("span", {}, key), " ", h("strong", {}, value)))));
}

function children(run) {
  if (!run.children_total) return null;
  const counts = {};
  for (const one of run.children) counts[one.status] = (counts[one.status] ?? 0) + 1;
  const rows = run.children.slice(0, 100).map((one) => [runLink(one), status(one.status), time(one.started_at), duration(took(one))]);
  const more = run.children_total > rows.length ? h("p", { class: "hint" }, `The first ${rows.length} of ${run.children_total}.`) : null;
  const all = h("a", { href: `/?where=${encodeURIComponent(`parent_id = "${run.id}"`)}` }, "See them as a table of runs");
  return section(`Parts (${run.children_total})`,
    table("Parts of this run", ["Run", "Status", "Started", { name: "Duration", right: true }], rows), more, h("p", {}, all));
}

function lacks(run) {
  if (!run.notes.length) return null;
  const rows = run.notes.map((note) => [note.what, number(note.count), note.why]);
  return section("What the record lacks, or you should know",
    table("Notes", ["What", { name: "Count", right: true }, { name: "Why", class: "wrap" }], rows));
}
