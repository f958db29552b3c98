// What the run wrote to stdout and stderr, as its terminal showed it; follows a run that runs.
import { get } from "/static/lib/api.js";
import { append, fill, h } from "/static/lib/dom.js";
import { plural } from "/static/lib/format.js";
import { empty } from "/static/lib/parts.js";
import { Terminal } from "/static/run/terminal.js";

export async function show(root, { run: first, query, signal }) {
  let run = first;
  const terminal = new Terminal();
  let after = 0;
  let asking = false;
  let wanted = query.get("stream") ?? "both";
  const lines = h("pre", { class: "console", tabindex: "0", role: "log", "aria-label": "Console", "aria-live": "off" });
  const followed = h("input", { type: "checkbox", checked: true });
  const choice = h("select", { "aria-label": "Stream", onchange: (event) => {
    wanted = event.target.value;
    lines.dataset.only = wanted;
  } }, [["both", "stdout and stderr"], ["stdout", "stdout alone"], ["stderr", "stderr alone"]].map(([value, name]) => h("option", { value, selected: value === wanted }, name)));
  lines.dataset.only = wanted;
  const left = h("p", { class: "hint" });
  const bar = h("div", { class: "toolbar" }, choice, h("label", {}, followed, "stay at the end"), h("span", { class: "hint" }, "Lines of stderr are marked with a bar."));

  async function ask() {
    if (asking) return;
    asking = true;
    try {
      for (;;) {
        const told = await get(`/api/run/${encodeURIComponent(run.id)}/console`, { after }, signal);
        after = told.after;
        for (const piece of told.pieces) terminal.write(piece.stream, piece.text);
        if (told.pieces.length || !told.more) draw();
        if (!told.more) break;
      }
    } catch (error) {
      if (!signal.aborted && !lines.isConnected) throw error;
    } finally {
      asking = false;
    }
  }

  function draw() {
    if (!terminal.rows.length) {
      const why = run.status === "running" ? "Nothing is written yet: it appears here as it comes." : "It printed nothing, or its console was not recorded (AUTOTRACK_CONSOLE).";
      fill(root, empty("The console is empty.", why));
      return;
    }
    if (!lines.isConnected) fill(root, bar, left, lines);
    const before = terminal.dropped;
    const { from, rows } = terminal.taken();
    while (lines.childElementCount > from) lines.lastElementChild.remove();
    append(lines, rows.map((row) => h("span", { class: row.stream === "stderr" ? "stderr" : "stdout" }, row.text, "\n")));
    if (before) fill(left, `${plural(before, "line")} before these are left out here.`);
    if (followed.checked) lines.scrollTop = lines.scrollHeight;
  }

  await ask();
  if (run.status === "running") lines.scrollTop = lines.scrollHeight;
  return { update: (now) => {
    run = now;
    ask();
  } };
}
