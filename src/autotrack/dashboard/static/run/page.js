// The page of one run: its head, the tabs (in the address as ?tab=), and following it while it runs.
import { get, live } from "/static/lib/api.js";
import { fill, h, stylesheet } from "/static/lib/dom.js";
import { ago, duration, time, took } from "/static/lib/format.js";
import { keys } from "/static/lib/keys.js";
import { problem, runLink, status, waiting } from "/static/lib/parts.js";
import { address } from "/static/run/bits.js";

// Each tab: its name, its module (imported when it is shown), and how many of its things the run has.
const TABS = [
  ["overview", "Overview"],
  ["params", "Params", (run) => Object.keys(run.params).length],
  ["metrics", "Metrics", (run) => keysOf(run).filter((key) => !key.startsWith("system/")).length],
  ["system", "System", (run) => keysOf(run).filter((key) => key.startsWith("system/")).length],
  ["datasets", "Data", (run) => run.datasets.length],
  ["models", "Models", (run) => run.models.length],
  ["artifacts", "Artifacts", (run) => run.artifacts.length],
  ["lineage", "Lineage"],
  ["console", "Console"],
  ["code", "Code", (run) => (run.code.changes ?? []).length],
  ["environment", "Environment"],
  ["delivery", "Delivery"],
];
const keysOf = (run) => Object.keys(run.metrics);

let held = null; // the last run that was shown, so that going from tab to tab does not wait
let toTab = false; // a tab was chosen: the focus stays there

export async function show(root, { parts, query, signal, navigate }) {
  const id = parts[1];
  const styled = stylesheet("/static/run/run.css");
  const again = held?.id === id; // it may have gone on since
  if (!again) {
    fill(root, waiting());
    held = null;
    try {
      held = await get(`/api/run/${encodeURIComponent(id)}`, {}, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error.status !== 404) throw error;
      fill(root, h("h1", { class: "sr-only" }, "Run"), problem("There is no such run.", error.message, h("a", { href: "/" }, "All runs")));
      return;
    }
  }
  await styled;
  if (signal.aborted) return;
  const named = query.get("tab") ?? "overview";
  const tab = TABS.some(([name]) => name === named) ? named : "overview";
  const head = h("div", {});
  const bar = h("nav", { class: "tabs", "aria-label": "Of this run" });
  const body = h("div", { class: `tab tab-${tab}` }, waiting());
  fill(root, head, bar, body);
  document.title = `${held.name} · autotrack`;
  drawHead(head, held);
  drawTabs(bar, held, tab);
  if (toTab) bar.querySelector("[aria-current]")?.focus();
  toTab = false;
  keepInSight(bar);
  listenToKeys(tab, id, navigate, signal);

  const kept = Object.fromEntries([...query].filter(([name]) => name !== "tab"));
  const go = (changes) => navigate(address(id, tab, { ...kept, ...changes }), { replace: true });
  const module = await import(`/static/run/${tab === "system" ? "metrics" : tab}.js`);
  if (signal.aborted) return;
  const shown = await module.show(body, { run: held, id, tab, query, signal, navigate, go });
  const many = manyOf(tab, held);
  follow(id, again || held.status === "running", signal, (run) => {
    held = run;
    drawHead(head, run);
    drawTabs(bar, run, tab);
    if (shown?.update) shown.update(run);
    else if (manyOf(tab, run) !== many && !body.querySelector(".news")) {
      const button = h("button", { type: "button", class: "small", onclick: () => go({}) }, "Show them");
      body.prepend(h("p", { class: "note news", role: "status" }, "There are new ones. ", button));
    }
  });
}

function manyOf(tab, run) {
  return TABS.find(([name]) => name === tab)[2]?.(run);
}

function drawHead(root, run) {
  const over = run.status !== "running";
  const trail = [h("a", { href: "/" }, "Runs"), run.parent ? runLink(run.parent) : run.parent_id ? h("span", {}, run.parent_id) : null];
  fill(root,
    h("p", { class: "trail" }, trail.filter(Boolean).flatMap((one, index) => (index ? [" › ", one] : [one]))),
    h("div", { class: "head" }, h("h1", {}, run.name), status(run.status)),
    h("p", { class: "under" },
      h("code", {}, run.id), h("span", {}, run.project), run.integration ? h("span", {}, run.integration) : null,
      h("span", { title: run.started_at }, `${time(run.started_at)} (${ago(run.started_at)})`),
      h("span", {}, over ? `took ${duration(took(run))}` : `running for ${duration(took(run))}`)));
}

function drawTabs(bar, run, tab) {
  const wanted = TABS.map(([name, title, count]) => {
    const many = count?.(run);
    const link = h("a", { href: address(run.id, name), "aria-current": name === tab ? "page" : null, class: many === 0 ? "none" : null,
      onclick: () => (toTab = true) }, title, many ? h("span", { class: "count" }, many) : null);
    return link;
  });
  const words = wanted.map((one) => one.textContent).join();
  if (bar.dataset.words === words) return; // nothing new: the focus stays where it is
  const focused = bar.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  bar.dataset.words = words;
  fill(bar, wanted);
  if (focused) bar.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
}

// On a phone the tabs scroll sideways: the chosen one is to be seen.
function keepInSight(bar) {
  const chosen = bar.querySelector("[aria-current]");
  if (chosen) bar.scrollLeft = Math.max(0, chosen.offsetLeft - bar.offsetLeft - 24);
}

function listenToKeys(tab, id, navigate, signal) {
  const step = (by) => () => {
    const at = TABS.findIndex(([name]) => name === tab);
    navigate(address(id, TABS[(at + by + TABS.length) % TABS.length][0]));
  };
  keys([
    { keys: ["]"], means: "next tab", act: step(1) },
    { keys: ["["], means: "previous tab", act: step(-1) },
  ], signal);
}

// Ask for the run again when the store has heard of it, at most once a second; and count the seconds of a run that runs.
function follow(id, now, signal, changed) {
  let asking = false;
  let again = false;
  async function ask() {
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    try {
      const run = await get(`/api/run/${encodeURIComponent(id)}`, {}, signal);
      if (!signal.aborted) changed(run);
    } catch {
      // the next news asks again; the bar says that the server is away
    }
    setTimeout(() => {
      asking = false;
      if (again && !signal.aborted) ask();
      again = false;
    }, 900);
  }
  live((news) => {
    if (!news.runs?.length || news.runs.includes(id)) ask(); // none are named where the connection begins anew
  }, signal);
  if (now) ask();
  const clock = setInterval(() => {
    const told = document.querySelector(".under span:last-child");
    if (told && held?.id === id && held.status === "running") told.textContent = `running for ${duration(took(held))}`;
  }, 1000);
  signal.addEventListener("abort", () => clearInterval(clock));
}
