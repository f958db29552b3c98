// The registry: the list of models, or one model, both as they are now or as they were at a moment (?at=).
import { get } from "/static/lib/api.js";
import { fill, h, stylesheet } from "/static/lib/dom.js";
import { ago, bytes, time } from "/static/lib/format.js";
import { command, empty, problem, waiting } from "/static/lib/parts.js";
import { matches, search, table } from "/static/run/bits.js";

export async function show(root, context) {
  const styled = stylesheet("/static/run/run.css");
  fill(root, waiting());
  const { query, signal, navigate, path, parts } = context;
  const at = query.get("at") ?? "";
  const name = parts.slice(1).join("/");
  try {
    if (path.length > "/models/".length) {
      const { showModel } = await import("/static/models/model.js");
      const told = await get(`/api/models/${encodeURIComponent(name)}`, { at }, signal);
      await styled;
      if (!signal.aborted) showModel(root, told, { ...context, at });
    } else {
      const told = await get("/api/models", { at }, signal);
      await styled;
      if (!signal.aborted) list(root, told, { at, query, navigate });
    }
  } catch (error) {
    if (signal.aborted) return;
    await styled;
    const links = [at ? h("a", { href: path }, "As it is now") : null, " ", h("a", { href: "/models" }, "All models")];
    if (error.status === 404) fill(root, h("h1", { class: "sr-only" }, "Model"), problem("There is no such model.", error.message, h("p", {}, links)));
    else if (error.status === 400) fill(root, h("h1", { class: "sr-only" }, "Models"), moment(at, path, navigate, query), problem("This moment is not understood.", error.message, h("p", {}, links)));
    else throw error;
  }
}

function list(root, models, { at, query, navigate }) {
  let text = query.get("q") ?? "";
  const place = h("div", {});
  const draw = () => {
    const shown = models.filter((one) => matches(text, one.name, Object.keys(one.aliases).join(" ")));
    fill(place, table("Models", ["Model", "Aliases", "Latest", "Format", { name: "Size", right: true }, { name: "Versions", right: true }, "Registered"],
      shown.map((one) => row(one, at)), { empty: "No model fits." }));
  };
  fill(root,
    h("div", { class: "section-head" }, h("h1", {}, "Models"), h("span", { class: "spring" }), models.length ? search("Search models", text, (typed) => {
      text = typed;
      draw();
    }) : null, moment(at, "/models", navigate, query)),
    asOf(at), models.length ? place : none(at));
  if (models.length) draw();
}

function none(at) {
  if (at) return empty("No model was registered by then.", null, h("a", { href: "/models" }, "As it is now"));
  return empty("No model is registered yet.", "A registered model has a name, numbered versions, and aliases such as production. Register one while it trains, or later:",
    command("run.log_model(model, register=\"clf\")"), command("autotrack models --help"));
}

function row(one, at) {
  const latest = one.versions[0];
  return [
    h("a", { href: modelAddress(one.name, { at }) }, one.name),
    aliases(one),
    latest ? `version ${latest.version}` : "",
    latest?.format ?? "", bytes(latest?.bytes), one.versions_total ?? one.versions.length,
    latest ? h("span", { title: latest.registered_at }, ago(latest.registered_at), latest.registered_by ? ` by ${latest.registered_by}` : "") : "",
  ];
}

function aliases(one) {
  const all = Object.entries(one.aliases);
  if (!all.length) return h("span", { class: "absent" }, "none");
  return h("span", { class: "chips" }, all.map(([alias, told]) => h("span", { class: "chip" }, `${alias} → ${told.version}`)));
}

// The address of a model's page, with what the view keeps.
export function modelAddress(name, kept = {}) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(kept)) if (value) query.set(key, value);
  const text = query.toString();
  return `/models/${encodeURIComponent(name)}${text ? `?${text}` : ""}`;
}

// A day to look back to; empty is now. A day means its end, in UTC, as in autotrack models --at.
export function moment(at, path, navigate, query) {
  const go = (value) => {
    const next = new URLSearchParams(query);
    if (value) next.set("at", value);
    else next.delete("at");
    const text = next.toString();
    navigate(text ? `${path}?${text}` : path);
  };
  const input = h("input", { type: "date", value: /^\d{4}-\d{2}-\d{2}/.test(at) ? at.slice(0, 10) : "", onchange: (event) => go(event.target.value) });
  return h("span", { class: "toolbar" }, h("label", {}, "As of", input), at ? h("button", { type: "button", class: "small", onclick: () => go("") }, "Now") : null);
}

export function asOf(at) {
  return at ? h("p", { class: "note" }, `As it was ${/^\d{4}-\d{2}-\d{2}$/.test(at) ? `when ${at} was over (UTC)` : `at ${time(at)}`}.`) : null;
}

