// Params of a run: all of them, searchable, beside those of another run, with the values that were replaced.
import { get } from "/static/lib/api.js";
import { fill, h } from "/static/lib/dom.js";
import { value } from "/static/lib/format.js";
import { empty, runLink } from "/static/lib/parts.js";
import { matches, otherRun, search, table } from "/static/run/bits.js";

const MOST = 2000;

export async function show(root, context) {
  const { query, signal, go } = context;
  let { run } = context;
  const wanted = query.get("with");
  let other = null;
  let trouble = null;
  if (wanted) {
    try {
      other = await get(`/api/run/${encodeURIComponent(wanted)}`, {}, signal);
    } catch (error) {
      if (signal.aborted) return null;
      trouble = error.message;
    }
  }
  if (!Object.keys(run.params).length && !wanted && run.status !== "running") {
    fill(root, empty("This run has no params.", "run.log_params({\"lr\": 0.1}) logs some; integrations log those of the model."));
    return null;
  }
  let text = query.get("q") ?? "";
  let only = Boolean(other);
  // What the params would have been, of those that are something else; null where the framework was not asked.
  const defaults = run.defaults?.changed ?? null;
  const usual = new Set(run.defaults?.unchanged ?? []);
  let unusual = defaults !== null;
  const list = h("div", {});
  const tools = h("div", { class: "toolbar" },
    search("Search params", text, (typed) => {
      text = typed;
      draw();
    }),
    otherRun(run, wanted, (id) => go({ with: id, q: text }), signal),
    other ? h("label", { class: "check" }, h("input", { type: "checkbox", checked: only, onchange: (event) => {
      only = event.target.checked;
      draw();
    } }), "only what differs") : defaults ? h("label", { class: "check" }, h("input", { type: "checkbox", checked: unusual, onchange: (event) => {
      unusual = event.target.checked;
      draw();
    } }), "only what is not the default") : null);
  fill(root, tools, trouble ? h("p", { class: "note bad", role: "alert" }, trouble) : null, list);

  function draw() {
    const own = run.params;
    const names = [...new Set([...Object.keys(own), ...Object.keys(other?.params ?? {})])].sort();
    const differs = (key) => other && JSON.stringify(own[key]) !== JSON.stringify(other.params[key]);
    const shown = names.filter((key) => matches(text, key, value(own[key])) && (other ? !only || differs(key) : !unusual || !usual.has(key)));
    const columns = ["Param", { name: "Value", class: "wrap" }];
    if (defaults && !other) columns.push({ name: "Default", class: "wrap" });
    if (other) columns.push({ name: runLink(other), class: "wrap" });
    const rows = shown.slice(0, MOST).map((key) => ({
      class: differs(key) && !only ? "changed" : null,
      cells: [h("span", { class: "key" }, key), [cell(own, key), replaced(key)], ...(other ? [cell(other.params, key)] : defaults ? [key in defaults ? cell(defaults, key) : ""] : [])],
    }));
    const none = other && only && !text ? "Both runs have the same params." : text ? "No param fits." : "No params yet.";
    fill(list, table("Params", columns, rows, { empty: none }),
      h("p", { class: "hint" }, `${Math.min(shown.length, MOST)} of ${names.length} params${run.integration ? ", as the framework had them" : ""}.`));
  }

  function replaced(key) {
    const before = run.params_history?.[key];
    if (!before?.length) return null;
    return h("span", { class: "hint" }, ` (before: ${before.map((one) => value(one?.value ?? one)).join(", ")})`);
  }

  draw();
  return { update: (now) => {
    const same = JSON.stringify(now.params) === JSON.stringify(run.params);
    run = now;
    if (!same) draw();
  } };
}

function cell(params, key) {
  if (!(key in params)) return h("span", { class: "absent" }, "not set");
  const held = params[key];
  return h("span", { class: typeof held === "number" ? "figure" : held === null ? "absent" : null }, held === null ? "None" : held === "" ? "(empty text)" : value(held));
}
