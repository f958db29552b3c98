// Names of fields in the query language: params.lr, metrics."train/loss".last, tags.team, and the header's own.

const WORD = /^[A-Za-z_][A-Za-z0-9_]*$/;

// What the header of every run has, with its label.
export const HEADER = {
  name: "Name",
  status: "Status",
  started_at: "Started",
  duration: "Duration",
  ended_at: "Ended",
  project: "Project",
  integration: "Integration",
  id: "Id",
  parent_id: "Parent",
};

// The field of a key: field("params", "a b") is params."a b".
export function field(group, key, aspect = "") {
  const quoted = WORD.test(key) ? key : `"${key.replace(/[\\"]/g, "\\$&")}"`;
  return `${group}.${quoted}${aspect ? `.${aspect}` : ""}`;
}

// The parts of a field: {group, key, aspect}; for a field of the header the group is "".
export function parts(name) {
  const found =
    /^(params|tags|metrics)\.(?:"((?:\\.|[^"\\])*)"|(.+?))(?:\.(last|min|max|best|count|first_step|last_step))?$/.exec(
      name,
    );
  if (!found) return { group: "", key: name, aspect: "" };
  const key = found[2] !== undefined ? found[2].replace(/\\(.)/g, "$1") : found[3];
  if (found[1] === "metrics") return { group: "metrics", key, aspect: found[4] ?? "last" };
  return { group: found[1], key: found[4] ? `${key}.${found[4]}` : key, aspect: "" };
}

// What the column is called for people.
export function label(name) {
  const { group, key } = parts(name);
  return group ? key : (HEADER[name] ?? name);
}

// A text as the query language quotes it.
export function quoted(text) {
  return `"${String(text).replace(/[\\"]/g, "\\$&")}"`;
}

// Both conditions at once; an empty one holds always.
export function both(first, second) {
  if (!first || !second) return first || second || "";
  return `(${first}) and (${second})`;
}

const MORE = /(acc|auc|f1|score|r2|precision|recall|iou|dice|map|ndcg|bleu|rouge|reward|return|hit)/i;
const LESS = /(loss|err|rmse|mae|mse|perplexity)/i;

// Whether more is better, told from the metric's name; wrong guesses can be turned around by the person.
export function higherIsBetter(key) {
  return MORE.test(key) && !LESS.test(key);
}

// Of metrics in the order of `ranked`, the one that runs are most likely judged by: on data that were held out, if any is.
export function goal(ranked) {
  const judged = ranked.filter((key) => MORE.test(key) || LESS.test(key));
  return (
    judged.find((key) => /(^|[^a-z])(val|valid|validation|eval|test)([^a-z]|$)/i.test(key)) ??
    judged[0] ??
    ranked[0] ??
    ""
  );
}

// Metrics in the order in which they are worth looking at: those of most runs first; epochs and learning rates, which are
// no results, and the system's own metrics last. `counts`: {key: number of runs}.
export function ranked(counts) {
  return Object.entries(counts ?? {})
    .sort((a, b) => minor(a[0]) - minor(b[0]) || b[1] - a[1] || a[0].localeCompare(b[0], undefined, { numeric: true }))
    .map(([key]) => key);
}

// 0 for what may be a result.
export function minor(key) {
  return key.startsWith("system/") ? 2 : /(^|\/)(epochs?$|lr\b|lr-|learning_rate)/i.test(key) ? 1 : 0;
}
