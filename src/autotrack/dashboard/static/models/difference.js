// What differs between two versions of a model: what the registry says of them, and the runs that they came from.
import { get } from "/static/lib/api.js";
import { fill, h } from "/static/lib/dom.js";
import { bytes, number, short, time, value } from "/static/lib/format.js";
import { waiting } from "/static/lib/parts.js";
import { address, section, table } from "/static/run/bits.js";

const SHOWN = 200;

// Into `place`, what differs between versions `one` and `two` of `model`.
export async function difference(place, model, one, two, signal) {
  const [was, now] = one.version < two.version ? [one, two] : [two, one];
  const body = h("div", {}, waiting("Comparing…"));
  fill(place, section(`Version ${was.version} against version ${now.version}`, versionsTable(was, now), body));
  if (!was.run || !now.run || was.run === now.run) {
    fill(body, h("p", { class: "hint" }, was.run && was.run === now.run ? "Both came from one run." : "The run of one is not known, so params and data cannot be compared."));
    return;
  }
  try {
    const told = await get("/api/compare", { runs: [was.run, now.run] }, signal);
    fill(body, groups(told, was, now), h("p", {}, h("a", { href: `/compare?runs=${was.run},${now.run}` }, "Compare their runs")));
  } catch (error) {
    if (!signal.aborted) fill(body, h("p", { class: "note bad", role: "alert" }, error.message));
  }
}

function versionsTable(was, now) {
  const rows = [
    ["Digest", short(was.digest, 24), short(now.digest, 24)], ["Format", was.format, now.format], ["Size", bytes(was.bytes), bytes(now.bytes)], ["Commit", was.code, now.code],
    ["Stage", was.stage, now.stage], ["Approved by", names(was.approvals), names(now.approvals)], ["Aliases", was.aliases.join(", "), now.aliases.join(", ")],
    ["Registered", time(was.registered_at), time(now.registered_at)], ...signature(was, now),
  ].filter(([, one, two]) => (one || two) && one !== two);
  return table("What the registry says", ["What", version(was), version(now)], rows.map(([name, one, two]) => [name, cell(one), cell(two)]), { empty: "The registry says the same of both." });
}

function names(words) {
  return words.map((word) => word.who ?? "unknown").join(", ");
}

function signature(was, now) {
  const [one, two] = [was.signature ?? {}, now.signature ?? {}];
  return [...new Set([...Object.keys(one), ...Object.keys(two)])].map((key) => [`signature: ${key}`, text(one[key]), text(two[key])]);
}

function version(one) {
  return { name: one.run ? h("a", { href: address(one.run) }, `version ${one.version}`) : `version ${one.version}`, class: "wrap" };
}

function cell(held) {
  return held === null || held === undefined || held === "" ? h("span", { class: "absent" }, "none") : h("span", {}, held);
}

function groups(told, was, now) {
  const words = { params: "Params", metrics: "Metrics", datasets: "Data", tags: "Tags", code: "Code" };
  const found = Object.entries(words).map(([group, title]) => {
    const keys = (told.different[group] ?? []).filter((key) => !key.startsWith("system/"));
    if (!keys.length) return null;
    const rows = keys.slice(0, SHOWN).map((key) => [h("span", { class: "key" }, key), ...told[group][key].map((held) => cell(text(held, group)))]);
    return [h("h3", {}, title), table(title, ["Name", version(was), version(now)], rows),
      keys.length > SHOWN ? h("p", { class: "hint" }, `The first ${SHOWN} of ${keys.length}.`) : null];
  }).filter(Boolean);
  return found.length ? found : h("p", { class: "hint" }, "Their runs have the same params, metrics, data and code.");
}

function text(held, group) {
  if (held === null || held === undefined) return null;
  if (group === "metrics") return `${number(held.last)} (min ${number(held.min)}, max ${number(held.max)})`;
  if (group === "datasets") return `${held.value ?? "not looked at"}, ${number(held.n_rows)} rows`;
  return typeof held === "object" ? JSON.stringify(held) : value(held);
}
