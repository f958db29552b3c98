// Laying out a graph in layers, from left to right the way of the data: the layer of a node is the longest way to it,
// and within layers nodes stand near those that they are joined with. Plain data enters and leaves.

const WIDTH = 190;
const HEIGHT = 44;
const GAP_X = 74;
const GAP_Y = 14;
const SWEEPS = 6;

// `nodes` have an id, `edges` source and target. {width, height, nodes: [{…node, x, y}], edges: [{…edge, from, to}]}.
export function layout(nodes, edges) {
  const known = new Map(nodes.map((node) => [node.id, node]));
  const real = edges.filter((edge) => known.has(edge.source) && known.has(edge.target) && edge.source !== edge.target);
  const layers = layered(nodes, real);
  ordered(layers, real);
  const tallest = Math.max(...layers.map((layer) => layer.length));
  const height = tallest * (HEIGHT + GAP_Y) - GAP_Y;
  const placed = new Map();
  layers.forEach((layer, column) => {
    const own = layer.length * (HEIGHT + GAP_Y) - GAP_Y;
    layer.forEach((id, row) => placed.set(id, {
      ...known.get(id), x: column * (WIDTH + GAP_X), y: (height - own) / 2 + row * (HEIGHT + GAP_Y), width: WIDTH, height: HEIGHT,
    }));
  });
  return {
    width: layers.length * (WIDTH + GAP_X) - GAP_X,
    height,
    nodes: [...placed.values()],
    edges: real.map((edge) => ({ ...edge, from: placed.get(edge.source), to: placed.get(edge.target) })),
  };
}

// Longest way from a source. Edges of a circle that lead back are not followed.
function layered(nodes, edges) {
  const after = new Map(nodes.map((node) => [node.id, []]));
  for (const edge of edges) after.get(edge.source).push(edge.target);
  const order = [];
  const state = new Map();
  const back = new Set();
  for (const node of nodes) visit(node.id);

  function visit(start) {
    const path = [[start, 0]];
    if (state.has(start)) return;
    state.set(start, "open");
    while (path.length) {
      const top = path[path.length - 1];
      const next = after.get(top[0])[top[1]++];
      if (next === undefined) {
        state.set(top[0], "done");
        order.push(top[0]);
        path.pop();
      } else if (!state.has(next)) {
        state.set(next, "open");
        path.push([next, 0]);
      } else if (state.get(next) === "open") back.add(`${top[0]}\n${next}`);
    }
  }

  const depth = new Map(nodes.map((node) => [node.id, 0]));
  for (const id of order.reverse()) {
    for (const next of after.get(id)) if (!back.has(`${id}\n${next}`)) depth.set(next, Math.max(depth.get(next), depth.get(id) + 1));
  }
  // Data without anything before it stands right before what uses it, not at the far left.
  for (const id of [...order].reverse()) {
    const below = after.get(id).filter((next) => !back.has(`${id}\n${next}`)).map((next) => depth.get(next));
    if (below.length && !edges.some((edge) => edge.target === id)) depth.set(id, Math.max(depth.get(id), Math.min(...below) - 1));
  }
  const layers = [];
  for (const node of nodes) (layers[depth.get(node.id)] ??= []).push(node.id);
  return layers.filter(Boolean);
}

// Sort each layer by the mean place of what its nodes are joined with in the others, to and fro.
function ordered(layers, edges) {
  const near = new Map();
  for (const { source, target } of edges) {
    for (const [one, other] of [[source, target], [target, source]]) near.set(one, [...(near.get(one) ?? []), other]);
  }
  const place = new Map();
  const note = (layer) => layer.forEach((id, index) => place.set(id, (index + 0.5) / layer.length));
  layers.forEach(note);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (const layer of sweep % 2 ? [...layers].reverse() : layers) {
      const weight = new Map(layer.map((id) => {
        const others = near.get(id) ?? [];
        return [id, others.length ? others.reduce((sum, other) => sum + place.get(other), 0) / others.length : place.get(id)];
      }));
      layer.sort((one, other) => weight.get(one) - weight.get(other));
      note(layer);
    }
  }
}
