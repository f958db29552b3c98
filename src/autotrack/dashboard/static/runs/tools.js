// The keys and controls of the page of runs, and what it says where there are no rows.
import { fill, h } from "/static/lib/dom.js";
import { field, higherIsBetter, label, parts } from "/static/lib/fields.js";
import { plural } from "/static/lib/format.js";
import { command, empty, problem } from "/static/lib/parts.js";

// The keys of the page of runs.
export function pageKeys(page) {
  const g = page.grid;
  return [
    { keys: ["/"], means: "to the filter", act: () => page.filter.input.focus() },
    { keys: ["j"], means: "next run", act: () => g.move(g.active + 1) },
    { keys: ["k"], means: "previous run", act: () => g.move(g.active - 1) },
    { keys: ["x"], means: "select the run (X: as far as from the last one)", act: () => g.pick(false) },
    { keys: ["X"], means: "select the runs between", act: () => g.pick(true) },
    {
      keys: ["Enter"],
      means: "open the run",
      act: (event) =>
        event.target === g.element || event.target === document.body || event.target.id === "main" ? g.open() : false,
    },
    { keys: ["v"], means: "compare what is selected", act: () => page.navigate(page.panel.told.links().compare) },
    { keys: ["c"], means: "choose columns", act: () => page.choose() },
    { keys: ["Escape"], means: "select nothing", act: () => page.select([]) },
  ];
}

// What runs are grouped by, and whether children are inside their parents.
export function drawControls(page) {
  const { group, nested } = page.state;
  const option = (id, text) => h("option", { value: id, selected: id === group }, text);
  const some = (name, counts) => {
    const found = Object.keys(counts ?? {}).sort();
    return found.length
      ? h(
          "optgroup",
          { label: name },
          found.slice(0, 200).map((key) => option(field(name.toLowerCase(), key), key)),
        )
      : null;
  };
  fill(
    page.grouping,
    option("", "none"),
    ["status", "project", "integration", "name"].map((id) => option(id, label(id).toLowerCase())),
    some("Params", page.known.params),
    some("Tags", page.known.tags),
  );
  if (group && page.grouping.value !== group) page.grouping.append(option(group, group));
  page.nesting.setAttribute("aria-pressed", nested);
}

// Why there are no rows: the query has a fault, or the server.
export function showFailure(page, error) {
  if (error.status === 400) {
    page.filter.problem(error);
    if (!page.rows.known) {
      page.over.hidden = false;
      fill(
        page.over,
        empty(
          "The filter cannot be read",
          "The word that is wrong is marked above.",
          h("button", { type: "button", onclick: () => page.filter.write("") }, "Clear the filter"),
        ),
      );
    }
    return;
  }
  page.over.hidden = false;
  fill(
    page.over,
    problem(
      "The runs cannot be shown.",
      error.message,
      h("button", { type: "button", onclick: () => page.ask() }, "Try again"),
    ),
  );
}

// There are no rows, and what to do about it.
export function showNothing(page) {
  page.over.hidden = false;
  fill(
    page.over,
    page.total() === 0
      ? empty(
          "No runs yet",
          "Train something after autotrack.enable(), and it appears here by itself; or see it at work:",
          command("autotrack demo"),
        )
      : empty(
          "No run fits",
          "Change the filter, or",
          h(
            "button",
            { type: "button", onclick: () => page.filter.write("") },
            `Show all ${plural(page.total(), "run")}`,
          ),
        ),
  );
}

// The sorting after a click on the column `id`; `also`: behind what is sorted by already.
export function sortedBy(sort, id, also) {
  const place = sort.findIndex((one) => one.replace(/^-/, "") === id);
  const { group, key } = parts(id);
  const better = id === "started_at" || (group === "metrics" && higherIsBetter(key)); // the best, or the newest, comes first
  const turned = place < 0 ? (better ? `-${id}` : id) : sort[place].startsWith("-") ? id : `-${id}`;
  if (!also) return [turned];
  return place < 0 ? [...sort, turned] : sort.with(place, turned);
}
