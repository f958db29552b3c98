// The lineage of a run as a graph, datasets → run → models → other runs, with the same as a list for who does not see it.
import { get } from "/static/lib/api.js";
import { fill, h, svg } from "/static/lib/dom.js";
import { bytes, number, plural, short } from "/static/lib/format.js";
import { empty } from "/static/lib/parts.js";
import { address, section } from "/static/run/bits.js";
import { layout } from "/static/run/graph.js";

const MARGIN = 10;
const WORDS = { input: "went into", output: "made", child: "has the part", reproduces: "was reproduced by" };

export async function show(root, { run, signal, navigate }) {
  const told = await get(`/api/run/${encodeURIComponent(run.id)}/lineage`, {}, signal);
  if (told.nodes.length < 2) {
    fill(root, empty("Nothing is known of where it came from.", "Datasets, models that were loaded or saved, parts and reruns appear here."));
    return;
  }
  const order = (node) => node.started_at ?? "";
  const graph = layout([...told.nodes].sort((one, other) => order(one).localeCompare(order(other))), told.edges);
  const names = new Map(told.nodes.map((node) => [node.id, title(node)]));
  const drawing = draw(graph, told.root, navigate);
  fill(root,
    h("p", { class: "hint legend" }, ["dataset", "run", "model"].map((kind) => h("span", { class: `key-${kind}` }, kind)),
      told.left_out ? ` ${plural(told.left_out, "more run")} further away or beyond 100 of one kind: autotrack show ${run.id} --lineage --depth 9` : ""),
    h("div", { class: "scroll graph", tabindex: "0", role: "group", "aria-label": "Graph of the lineage" }, drawing),
    section("The same as a list", h("ul", { class: "plain relations" }, told.edges.map((edge) => h("li", {},
      item(told.nodes, edge.source, names, run), ` ${WORDS[edge.relation] ?? edge.relation} `, item(told.nodes, edge.target, names, run), how(edge))))));
  const own = graph.nodes.find((node) => node.id === told.root);
  const box = root.querySelector(".graph");
  if (own) box.scrollLeft = own.x + own.width / 2 + MARGIN - box.clientWidth / 2;
}

function title(node) {
  return node.name ?? short(node.id.replace(/^\w+:/, ""), 14);
}

// Where a node leads to; nothing where there is no page for it.
function target(node, run) {
  if (node.kind === "run") return node.known === false ? null : address(node.id.slice(4));
  if (node.kind === "dataset") return address(run, "datasets");
  return address(run, "models");
}

function under(node) {
  if (node.kind === "run") return [node.status, node.project].filter(Boolean).join(" · ") || (node.removed ? "removed for good" : "not in this store");
  if (node.kind === "dataset") return [node.n_rows !== undefined ? `${number(node.n_rows)} rows` : null, node.value ? short(node.value, 11) : "not looked at"].filter(Boolean).join(" · ");
  return [node.format, node.bytes ? bytes(node.bytes) : null, node.digest ? short(node.digest, 8) : null].filter(Boolean).join(" · ");
}

function item(nodes, id, names, run) {
  const node = nodes.find((one) => one.id === id);
  const words = `${node?.kind ?? "run"} ${names.get(id) ?? short(id, 20)}`;
  const to = node?.kind === "run" ? target(node, run.id) : null;
  return to ? h("a", { href: to }, words) : h("span", {}, words);
}

function how(edge) {
  const more = [edge.role, edge.by ? `by ${edge.by}` : null, edge.step !== undefined ? `at step ${edge.step}` : null].filter(Boolean).join(", ");
  return more ? h("span", { class: "hint" }, ` (${more})`) : null;
}

function draw(graph, root, navigate) {
  const width = graph.width + 2 * MARGIN;
  const height = graph.height + 2 * MARGIN;
  const owner = root.slice(4);
  const picture = svg("svg", { viewBox: `${-MARGIN} ${-MARGIN} ${width} ${height}`, width, height, role: "group", "aria-label": "Lineage, from left to right" });
  const lines = svg("g", { "aria-hidden": "true" }, graph.edges.map((edge) => line(edge)));
  picture.append(lines, ...graph.nodes.map((node) => box(node, root, nearest(graph, node, owner), navigate)));
  return picture;
}

// A dataset or a model is shown on the page of a run that has it: this one, or the next one that is joined with it.
function nearest(graph, node, owner) {
  const joined = graph.edges.flatMap((edge) => (edge.source === node.id ? [edge.target] : edge.target === node.id ? [edge.source] : [])).filter((id) => id.startsWith("run:")).map((id) => id.slice(4));
  return joined.includes(owner) || !joined.length ? owner : joined[0];
}

function line({ from, to, relation }) {
  const x1 = from.x + from.width;
  const y1 = from.y + from.height / 2;
  const x2 = to.x;
  const y2 = to.y + to.height / 2;
  const bend = Math.max(28, Math.abs(x2 - x1) / 2);
  const tip = 6;
  return svg("g", { class: `edge edge-${relation}` },
    svg("path", { class: "way", d: `M${x1},${y1} C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2 - tip},${y2}` }),
    svg("path", { class: "tip", d: `M${x2 - tip},${y2 - 4} L${x2},${y2} L${x2 - tip},${y2 + 4}z` }));
}

function box(node, root, owner, navigate) {
  const own = node.id === root;
  const to = own ? null : target(node, owner);
  const words = `${node.kind} ${title(node)}, ${under(node)}`;
  const shape = svg("g", { class: `node node-${node.kind}${own ? " own" : ""}`, transform: `translate(${node.x},${node.y})` },
    svg("title", {}, words),
    svg("rect", { width: node.width, height: node.height, rx: node.kind === "dataset" ? 2 : node.kind === "model" ? 20 : 8 }),
    svg("text", { x: node.width / 2, y: 18, class: "name" }, short(title(node), 24)),
    svg("text", { x: node.width / 2, y: 34, class: "more" }, short(under(node), 30)));
  if (!to) return shape;
  return svg("a", { href: to, "aria-label": words, onclick: (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    navigate(to);
  } }, shape);
}
