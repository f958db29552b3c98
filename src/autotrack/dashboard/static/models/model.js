// One registered model: its aliases, its versions, the difference of two of them, and its history.
import { live } from "/static/lib/api.js";
import { fill, h } from "/static/lib/dom.js";
import { ago, bytes, number, plural, short, time } from "/static/lib/format.js";
import { copyButton } from "/static/lib/parts.js";
import { address, section, table } from "/static/run/bits.js";
import { difference } from "/static/models/difference.js";
import { history } from "/static/models/history.js";
import { asOf, modelAddress, moment } from "/static/models/page.js";

const METRICS = 3; // columns of metrics beside the versions
const VERSIONS = 100;

export function showModel(root, model, context) {
  const { at, query, navigate, path, signal } = context;
  document.title = `${model.name} · autotrack`;
  const pair = [query.get("a"), query.get("b")].map(Number).map((wanted) => model.versions.find((one) => one.version === wanted));
  const place = h("div", {});
  const choose = (a, b) => navigate(modelAddress(model.name, { at, a, b }), { replace: true });
  const news = h("p", { class: "note", hidden: true }, "The store has news. ", h("button", { type: "button", class: "small", onclick: () => navigate(path + location.search, { replace: true }) }, "Show them"));
  fill(root,
    h("p", { class: "trail" }, h("a", { href: modelsAddress(at) }, "Models")),
    h("div", { class: "section-head" }, h("h1", {}, model.name), h("span", { class: "hint" }, plural(model.versions.length, "version")),
      h("span", { class: "spring" }), moment(at, path, navigate, query)),
    asOf(at), news, aliases(model), versions(model, pair, choose), place, history(model, query));
  if (pair[0] && pair[1] && pair[0] !== pair[1]) difference(place, model, pair[0], pair[1], signal);
  if (!at) watch(model, news, signal);
}

function modelsAddress(at) {
  return at ? `/models?at=${encodeURIComponent(at)}` : "/models";
}

// Steps of the registry come with no run's news of their own: any news may be one, so that it is looked at, seldom.
function watch(model, news, signal) {
  let timer = 0;
  live(() => {
    if (timer) return;
    timer = setTimeout(async () => {
      timer = 0;
      try {
        const answer = await fetch(`/api/models/${encodeURIComponent(model.name)}`, { signal });
        const now = await answer.json();
        if (now.log && now.log.length !== model.log.length) news.hidden = false;
      } catch {
        // the bar says that the server is away
      }
    }, 1000);
  }, signal);
  signal.addEventListener("abort", () => clearTimeout(timer));
}

function aliases(model) {
  const all = Object.entries(model.aliases);
  const guarded = Object.entries(model.protected ?? {}).filter(([alias]) => !model.aliases[alias]);
  if (!all.length && !guarded.length) {
    return section("Aliases", h("p", { class: "hint" }, "No alias points to a version. Give one with: ", h("code", {}, `autotrack models alias ${model.name}/1 production`)));
  }
  const rows = [
    ...all.map(([alias, told]) => [
      h("strong", {}, alias), h("a", { href: `#version-${told.version}` }, `version ${told.version}`), person(told), h("span", { title: told.since }, time(told.since)),
      [told.forced ? [h("span", { class: "chip bad" }, "forced"), " "] : null, told.rollback ? [h("span", { class: "chip" }, "rollback"), " "] : null, told.why || h("span", { class: "absent" }, "no reason given")],
      rules(told.protected),
    ]),
    ...guarded.map(([alias, told]) => [h("strong", {}, alias), h("span", { class: "absent" }, "nothing yet"), person(told), time(told.time), told.why, rules(told)]),
  ];
  return section("Aliases", table("Aliases", ["Alias", "Points to", "By", "Since", { name: "Why", class: "wrap" }, { name: "Protected by", class: "wrap" }], rows));
}

function person(told) {
  return told?.who ?? h("span", { class: "absent" }, "unknown");
}

function rules(told) {
  if (!told) return h("span", { class: "absent" }, "nothing");
  const gates = Array.isArray(told.gates) ? told.gates : Object.keys(told.gates ?? {});
  return [gates.join(", "), told.approvals ? plural(told.approvals, "approval") : ""].filter(Boolean).join("; ") || "a person's decision";
}

function versions(model, pair, choose) {
  const keys = metricKeys(model);
  const right = (name) => ({ name, right: true });
  const columns = ["Version", "Run", ...keys.map(right), "Format", right("Size"), { name: "State", class: "wrap" }, "Digest", "Registered", "Compare"];
  const rows = model.versions.slice(0, VERSIONS).map((one) => ({
    class: one.retired ? "faint" : null,
    cells: [
      h("span", { id: `version-${one.version}` }, String(one.version)), runOf(model, one), ...keys.map((key) => metric(model, one, key)), one.format ?? "", bytes(one.bytes),
      state(one), h("span", { class: "digest" }, h("code", { title: one.digest }, short(one.digest, 8)), copyButton(one.digest)),
      h("span", { title: one.registered_at }, ago(one.registered_at), one.registered_by ? ` by ${one.registered_by}` : ""), choice(one, pair, choose),
    ],
  }));
  const more = model.versions.length > VERSIONS ? h("p", { class: "hint" }, `The newest ${VERSIONS} of ${model.versions.length}.`) : null;
  return section("Versions", table("Versions", columns, rows), more);
}

// The metrics that most versions have.
function metricKeys(model) {
  const counts = new Map();
  for (const one of Object.values(model.runs ?? {})) for (const key of Object.keys(one.metrics)) counts.set(key, (counts.get(key) ?? 0) + 1);
  return [...counts].sort((one, two) => two[1] - one[1]).slice(0, METRICS).map(([key]) => key);
}

function metric(model, one, key) {
  const value = model.runs?.[one.run]?.metrics[key];
  return value === undefined ? h("span", { class: "absent" }, "–") : number(value, 5);
}

function runOf(model, one) {
  if (!one.run) return h("span", { class: "absent" }, "no run");
  return h("a", { href: address(one.run), title: one.run }, model.runs?.[one.run]?.name ?? short(one.run, 10));
}

function state(one) {
  return h("span", { class: "chips" },
    one.aliases.map((alias) => h("span", { class: "chip good" }, alias)),
    one.stage ? h("span", { class: "chip" }, one.stage) : null,
    one.approvals.length ? h("span", { class: "chip", title: one.approvals.map((word) => word.who ?? "unknown").join(", ") }, `approved by ${one.approvals.map((word) => word.who ?? "unknown").join(", ")}`) : null,
    one.objections?.length ? h("span", { class: "chip warn" }, `objected to by ${one.objections.map((word) => word.who ?? "unknown").join(", ")}`) : null,
    one.signed ? h("span", { class: "chip good" }, "signed") : null,
    one.retired ? h("span", { class: "chip warn", title: one.retired.why }, "retired") : null,
    Object.entries(one.annotations ?? {}).map(([key, value]) => h("span", { class: "chip" }, `${key}: ${typeof value === "object" ? JSON.stringify(value) : value}`)));
}

// Two versions are chosen one after the other; a third takes the place of the first.
function choice(one, pair, choose) {
  const chosen = pair.filter(Boolean).map((held) => held.version);
  const input = h("input", { type: "checkbox", checked: chosen.includes(one.version), "aria-label": `Compare version ${one.version}`, onchange: (event) => {
    const rest = chosen.filter((version) => version !== one.version);
    const next = event.target.checked ? [...rest, one.version].slice(-2) : rest;
    choose(next[0], next[1]);
  } });
  return input;
}

