// Small parts that several pages show: a status, a link to a run, empty and error states, a spinner, a copy button.
import { h, svg } from "/static/lib/dom.js";
import { short } from "/static/lib/format.js";

const SHAPES = {
  running: "M8 2a6 6 0 1 0 6 6h-2a4 4 0 1 1-4-4z",
  finished: "M6.4 13 2 8.6l1.7-1.7 2.7 2.7 6-6L14 5.3z",
  failed: "M3.7 2 8 6.3 12.3 2 14 3.7 9.7 8l4.3 4.3-1.7 1.7L8 9.7 3.7 14 2 12.3 6.3 8 2 3.7z",
  killed: "M3 3h10v10H3z",
  pruned: "M2 7h12v2.4H2z",
};

// A status as a word and a shape: never by colour alone.
export function status(word) {
  const known = word in SHAPES;
  const shape = svg(
    "svg",
    { viewBox: "0 0 16 16", width: "11", height: "11", "aria-hidden": "true" },
    svg("path", { d: SHAPES[word] ?? "M8 3a5 5 0 1 0 .01 0z" }),
  );
  return h("span", { class: `status ${known ? `status-${word}` : ""}` }, shape, String(word));
}

// A link to the run's own page.
export function runLink(run, text) {
  return h(
    "a",
    { href: `/run/${encodeURIComponent(run.id)}`, class: "run-link", title: run.id },
    text ?? run.name ?? short(run.id),
  );
}

// Nothing is here, and what to do about it.
export function empty(title, text, ...more) {
  return h("div", { class: "empty" }, h("h2", {}, title), text ? h("p", {}, text) : null, more);
}

// Something went wrong, and what to do about it.
export function problem(title, text, ...more) {
  return h("div", { class: "empty problem", role: "alert" }, h("h2", {}, title), text ? h("p", {}, text) : null, more);
}

// A wait that shows itself only if it lasts.
export function waiting(text = "Loading…") {
  return h("p", { class: "waiting", role: "status" }, text);
}

// A command that can be copied.
export function command(text) {
  return h("div", { class: "command" }, h("code", {}, text), copyButton(text));
}

export function copyButton(text, label = "Copy") {
  const button = h(
    "button",
    {
      type: "button",
      class: "quiet small",
      onclick: async () => {
        try {
          await navigator.clipboard.writeText(text);
          button.textContent = "Copied";
        } catch {
          button.textContent = "Select it to copy"; // no clipboard without https on other hosts
        }
        setTimeout(() => (button.textContent = label), 1500);
      },
    },
    label,
  );
  return button;
}
