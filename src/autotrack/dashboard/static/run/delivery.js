// How far each backend is with this run: what has arrived, what waits, what was refused, what it could not carry.
import { get } from "/static/lib/api.js";
import { fill, h } from "/static/lib/dom.js";
import { number, plural } from "/static/lib/format.js";
import { command, empty } from "/static/lib/parts.js";
import { section, table } from "/static/run/bits.js";

export async function show(root, { run, signal }) {
  const ask = async () => draw(root, await get(`/api/run/${encodeURIComponent(run.id)}/delivery`, {}, signal));
  await ask();
  return { update: () => ask().catch(() => {}) };
}

function draw(root, told) {
  if (!told.length) {
    fill(root, empty("No journal holds this run any more.", "What the store has of it stays; where it was sent is not known."));
    return;
  }
  const names = [...new Set(told.map((one) => one.backend))];
  const open = told.some((one) => one.lag && one.backend !== "local");
  fill(root, names.map((name) => backend(name, told.filter((one) => one.backend === name))),
    open ? h("div", {}, h("p", { class: "hint" }, "What waits is delivered by the forwarder of the run, or by:"), command("autotrack sync")) : null);
}

function backend(name, rows) {
  const lag = rows.reduce((sum, one) => sum + one.lag, 0);
  const dead = rows.reduce((sum, one) => sum + one.dead, 0);
  const problems = [...new Set(rows.map((one) => one.problem).filter(Boolean))];
  const lost = rows.flatMap((one) => one.not_carried);
  const letters = [...new Set(rows.filter((one) => one.dead).map((one) => one.dead_letters))];
  const state = lag ? h("span", { class: "chip warn" }, `${plural(lag, "event")} on the way`) : h("span", { class: "chip good" }, "everything has arrived");
  return h("article", { class: "card", "aria-label": name },
    h("div", { class: "head" }, h("h2", {}, name), state, dead ? h("span", { class: "chip bad" }, `${plural(dead, "event")} refused`) : null),
    problems.map((one) => h("p", { class: "note bad" }, one)),
    letters.length ? h("p", { class: "hint" }, "Refused events lie in ", h("code", {}, letters.join(", "))) : null,
    lost.length ? section("What it could not carry as it was", table(`Not carried by ${name}`, ["What", { name: "Count", right: true }, { name: "Why", class: "wrap" }],
      lost.map((one) => [one.what, number(one.count), one.why]))) : null,
    h("p", { class: "hint" }, `${plural(rows.length, "journal")}: `, h("code", {}, rows.map((one) => one.journal).join(", "))));
}
