// The code of a run: commit and branch, the uncommitted change as a diff, and the files of the capsule.
import { get } from "/static/lib/api.js";
import { fill, h } from "/static/lib/dom.js";
import { bytes, plural } from "/static/lib/format.js";
import { empty, waiting } from "/static/lib/parts.js";
import { digest, facts, fileAddress, matches, search, section, table } from "/static/run/bits.js";
import { parseDiff } from "/static/run/diff.js";

const LONG = 400; // lines of one file that are shown at once

export async function show(root, { run, signal }) {
  const told = await get(`/api/run/${encodeURIComponent(run.id)}/code`, {}, signal);
  if (!told.kind && !told.commit) {
    fill(root, empty("No code was recorded with this run.", told.problem ?? "AUTOTRACK_CODE=0 switches it off; a run that was imported has none."));
    return;
  }
  const kept = told.kind === "git" ? told.bundle : told.archive;
  fill(root,
    section("Where it comes from", facts([
      ["Commit", digest(told.commit, 16)],
      ["Branch", told.branch],
      ["Remote", told.remote],
      ["Script", told.entry ?? told.script],
      ["Folder", told.root ?? told.repository],
      ["Snapshot", digest(told.snapshot, 16)],
      ["Capsule", kept ? h("span", {}, h("a", { href: fileAddress(run.id, kept.digest, told.kind === "git" ? "sources.bundle" : "sources.tar"), download: true }, "Download"),
        ` ${bytes(kept.bytes)}, ${told.kind === "git" ? "a git bundle: git clone it" : "a tar file"}`) : null],
      ["Changed while it ran", list(told.changed_during_run)],
    ]), told.problem ? h("p", { class: "note warn" }, told.problem) : null),
    change(told), files(run, told, signal), missing(told));
}

function list(paths) {
  return paths?.length ? paths.join(", ") : null;
}

function change(told) {
  if (told.kind !== "git") return h("p", { class: "note" }, "There was no git repository: the sources that were imported are kept, and what differed from a commit is not known.");
  if (!told.dirty) return h("p", { class: "note" }, "Nothing was uncommitted: the commit is the code that ran.");
  const parsed = parseDiff(told.diff ?? "");
  const named = new Set(parsed.map((one) => one.path));
  const only = (told.changes ?? []).filter((one) => !named.has(one.path));
  return section(`Uncommitted change (${plural(told.changes.length, "file")})`,
    told.diff_problem ? h("p", { class: "note warn" }, told.diff_problem) : null,
    told.diff_truncated ? h("p", { class: "note warn" }, "The change is longer than what is shown here.") : null,
    parsed.map((file, index) => drawFile(file, index < 10)),
    only.length ? table("Other changed files", ["File", "Change"], only.map((one) => [one.path, one.change])) : null);
}

function drawFile(file, open) {
  const counts = file.binary ? h("span", { class: "hint" }, "binary") : h("span", { class: "counts" },
    h("span", { class: "plus" }, `+${file.added}`), " ", h("span", { class: "minus" }, `\u2212${file.removed}`));
  const lines = file.hunks.reduce((sum, hunk) => sum + hunk.lines.length, 0);
  const place = h("div", {});
  const details = h("details", { class: "diff-file", open: open && lines <= LONG }, h("summary", {},
    h("code", {}, file.was ? `${file.was} \u2192 ${file.path}` : file.path), h("span", { class: "hint" }, file.change), counts), place);
  const draw = () => place.childElementCount || fill(place, hunks(file));
  details.addEventListener("toggle", draw);
  if (details.open) draw();
  return details;
}

function hunks(file) {
  if (file.binary) return h("p", { class: "hint" }, "Its content is no text.");
  if (!file.hunks.length) return h("p", { class: "hint" }, "Its text is the same.");
  const signs = { added: "+", removed: "\u2212", same: "", remark: "" };
  const words = { added: "added", removed: "removed" };
  const row = (line) => h("tr", { class: line.kind },
    h("td", { class: "no", "data-no": line.old ?? "" }), h("td", { class: "no", "data-no": line.now ?? "" }),
    h("td", { class: "sign" }, signs[line.kind], words[line.kind] ? h("span", { class: "sr-only" }, words[line.kind]) : null), h("td", { class: "line" }, line.text || " "));
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `Change of ${file.path}` },
    h("table", { class: "diff" }, file.hunks.map((hunk) => h("tbody", {},
      h("tr", { class: "hunk" }, h("td", { colspan: "4" }, `line ${hunk.start}${hunk.title ? `  ${hunk.title}` : ""}`)),
      hunk.lines.slice(0, 5000).map(row)))));
}

function files(run, told, signal) {
  if (told.listing_problem) return section("Files of the capsule", h("p", { class: "hint" }, `${told.listing_problem}.`));
  if (!told.listing.length) return null;
  const view = h("div", { class: "preview" }, h("p", { class: "hint" }, "Choose a file to read it as it was."));
  const names = h("ul", { class: "files" });
  let text = "";
  const open = async (one, button) => {
    for (const other of names.querySelectorAll("[aria-current]")) other.removeAttribute("aria-current");
    button.setAttribute("aria-current", "true");
    fill(view, waiting());
    try {
      const found = await get(`/api/run/${encodeURIComponent(run.id)}/code`, { path: one.path }, signal);
      fill(view, h("div", { class: "head" }, h("h3", {}, one.path), h("span", { class: "hint" }, bytes(one.bytes))),
        found.text === null ? h("p", { class: "hint" }, "It is no text.") : h("pre", { class: "text", tabindex: "0", "aria-label": one.path }, found.text),
        found.truncated ? h("p", { class: "hint" }, "The beginning of the file.") : null);
    } catch (error) {
      if (!signal.aborted) fill(view, h("p", { class: "note bad", role: "alert" }, error.message));
    }
  };
  const draw = () => fill(names, told.listing.filter((one) => matches(text, one.path)).slice(0, 500).map((one) => {
    const button = h("button", { type: "button", class: "file", onclick: () => open(one, button) }, one.path);
    return h("li", {}, button, h("span", { class: "hint" }, bytes(one.bytes)));
  }));
  draw();
  return section(`Files of the capsule (${told.listing_total})`, h("div", { class: "beside" }, h("div", { class: "side" },
    told.listing.length > 12 ? search("Search files", "", (typed) => {
      text = typed;
      draw();
    }) : null, names), view));
}

function missing(told) {
  const rows = [
    ...(told.left_out ?? []).map((one) => [one.path, one.why]),
    ...(told.not_in_capsule ?? []).map((one) => [one.path, one.why]),
    ...(told.submodules ?? []).map((one) => [one.path, `a submodule at ${String(one.commit).slice(0, 12)}`]),
    ...(told.lfs ?? []).map((one) => [one.path, "kept by Git LFS"]),
  ];
  return rows.length ? section("Not in the capsule", table("Not in the capsule", ["File", { name: "Why", class: "wrap" }], rows)) : null;
}
