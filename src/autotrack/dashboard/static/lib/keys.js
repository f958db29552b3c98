// The keyboard: a page names its keys, what they mean and what they do; `?` shows them all.
import { fill, h } from "/static/lib/dom.js";

let page = [];
const always = [
  { keys: ["?"], means: "show these keys", act: () => help() },
  { keys: ["g r"], means: "go to the runs" },
  { keys: ["g c"], means: "go to the charts" },
  { keys: ["g p"], means: "go to compare" },
  { keys: ["g m"], means: "go to the models" },
  { keys: ["t"], means: "light or dark", act: () => window.toggleTheme() },
];
const places = { r: "/", c: "/charts", p: "/compare", m: "/models" };
let afterG = 0;
let go = null;

// Keys of the page that is shown: a list of {keys: ["j", "ArrowDown"], means: "next run", act(event)}; `signal` ends them.
export function keys(list, signal) {
  page = list;
  signal?.addEventListener("abort", () => {
    if (page === list) page = [];
  });
}

// Listen, once, with the router's `navigate`.
export function startKeys(navigate) {
  go = navigate;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    if (afterG && event.timeStamp - afterG < 1500 && places[event.key]) {
      afterG = 0;
      event.preventDefault();
      go(places[event.key]);
      return;
    }
    afterG = event.key === "g" ? event.timeStamp : 0;
    const found = [...page, ...always].find((one) => one.act && one.keys.includes(event.key));
    if (!found) return;
    if (found.act(event) !== false) event.preventDefault();
  });
}

function typing(element) {
  if (!(element instanceof HTMLElement)) return false;
  if (element instanceof HTMLInputElement) return !["checkbox", "radio", "button", "range"].includes(element.type);
  return element.isContentEditable || ["TEXTAREA", "SELECT"].includes(element.tagName);
}

const NAMES = {
  ArrowDown: "↓",
  ArrowUp: "↑",
  ArrowLeft: "←",
  ArrowRight: "→",
  Enter: "Enter",
  " ": "Space",
  Escape: "Esc",
};

// The dialog that shows the keys.
export function help() {
  const named = (key) => (key.split(" ").length > 1 && key !== " " ? key.split(" ") : [NAMES[key] ?? key]);
  const row = (one) =>
    h(
      "div",
      { class: "key-row" },
      h(
        "dt",
        {},
        one.keys.map((key) => named(key).map((part) => h("kbd", {}, part))),
      ),
      h("dd", {}, one.means),
    );
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "keys-title" });
  fill(
    dialog,
    h("h2", { id: "keys-title" }, "Keys"),
    page.length ? [h("h3", {}, "On this page"), h("dl", { class: "key-list" }, page.map(row))] : null,
    h("h3", {}, "Everywhere"),
    h("dl", { class: "key-list" }, always.map(row)),
    h("form", { method: "dialog" }, h("button", { class: "primary" }, "Close")),
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
}
