// Which page the address means, and going from one to another without loading the document anew.
//
// A page is a module that exports `async function show(root, {path, parts, query, signal, navigate})`: `parts` is the path
// in decoded pieces, `query` the URLSearchParams, and `signal` ends when the person leaves. It puts the page into `root`.
import { fill, h } from "/static/lib/dom.js";
import { problem } from "/static/lib/parts.js";

const PAGES = [
  [/^\/$/, "Runs", "/static/runs/page.js"],
  [/^\/charts$/, "Charts", "/static/charts/page.js"],
  [/^\/compare$/, "Compare", "/static/compare/page.js"],
  [/^\/run\/./, "Run", "/static/run/page.js"],
  [/^\/models(\/.*)?$/, "Models", "/static/models/page.js"],
];

let leaving = null;
let shown = "";

// Go to an address of this dashboard. `replace` keeps the history as it is.
export function navigate(address, { replace = false } = {}) {
  const target = new URL(address, location.href);
  history[replace ? "replaceState" : "pushState"](null, "", target.pathname + target.search);
  return render();
}

// Show the page's own view in the address, without drawing the page anew: what filter, sort and selection do.
export function remember(query) {
  const search = query.toString();
  history.replaceState(null, "", location.pathname + (search ? `?${readable(search)}` : ""));
  shown = location.pathname + location.search;
}

// Commas, colons, slashes and the like need no escaping in a query; so the address can be read.
function readable(search) {
  return search.replace(/%(2C|3A|2F|40|21|28|29|2A|22)/gi, (code) =>
    code === "%22" ? code : decodeURIComponent(code),
  );
}

// Show what the address says.
export async function render() {
  const root = document.getElementById("main");
  leaving?.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  shown = location.pathname + location.search;
  window.dispatchEvent(new Event("pagechange"));
  const found = PAGES.find(([pattern]) => pattern.test(location.pathname));
  const page = h("div", { class: "page" });
  fill(root, page);
  window.scrollTo(0, 0);
  document.title = `${found?.[1] ?? "Not found"} · autotrack`;
  mark();
  if (!found) {
    fill(page, problem("There is no such page.", "The address may be mistyped.", h("a", { href: "/" }, "All runs")));
    return;
  }
  try {
    const module = await import(found[2]);
    const parts = location.pathname.split("/").filter(Boolean).map(decoded);
    const query = new URLSearchParams(location.search);
    if (!signal.aborted) await module.show(page, { path: location.pathname, parts, query, signal, navigate });
  } catch (error) {
    if (signal.aborted) return;
    console.error(error);
    const retry = h("button", { type: "button", onclick: () => render() }, "Try again");
    fill(page, problem("This page cannot be shown.", error.message, retry));
  }
}

function decoded(piece) {
  try {
    return decodeURIComponent(piece);
  } catch {
    return piece;
  }
}

function mark() {
  for (const link of document.querySelectorAll(".bar nav a")) {
    const own = link.getAttribute("href");
    const here = own === "/" ? /^\/($|run\/)/.test(location.pathname) : location.pathname.startsWith(own);
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// Follow links to our own pages in place; everything else is the browser's.
export function start() {
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
      return;
    const link = event.target.closest?.("a[href]");
    if (!link || link.target || link.hasAttribute("download")) return;
    const target = new URL(link.href, location.href);
    if (target.origin !== location.origin || /^\/(static|api|files)\//.test(target.pathname)) return;
    if (target.hash && target.pathname === location.pathname && target.search === location.search) return;
    event.preventDefault();
    navigate(target.href);
    document.getElementById("main").focus({ preventScroll: true });
  });
  window.addEventListener("popstate", () => {
    if (location.pathname + location.search !== shown) render();
  });
  return render();
}
