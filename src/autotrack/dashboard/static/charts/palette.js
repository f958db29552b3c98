// The colours of runs: eight that colour-blind people tell apart, then the same with dashes. A run keeps its colour for as
// long as it is selected, on every page.

const LIGHT = ["#0068b0", "#d1500a", "#00845f", "#b8559b", "#9a6a00", "#3a8fd0", "#6a3fa0", "#555b63"];
const DARK = ["#4ea8f0", "#ff8f4d", "#33c79a", "#ec93cb", "#e6b422", "#9bd1ff", "#b79cff", "#b9c0c9"];
const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]];

const slots = new Map();

// Give each of these runs a colour of its own; those that are not named lose theirs.
export function assign(ids) {
  for (const id of [...slots.keys()]) if (!ids.includes(id)) slots.delete(id);
  const taken = new Set(slots.values());
  for (const id of ids) {
    if (slots.has(id)) continue;
    let free = 0;
    while (taken.has(free)) free += 1;
    taken.add(free);
    slots.set(id, free);
  }
}

export function colorOf(id) {
  const colors = document.documentElement.dataset.theme === "dark" ? DARK : LIGHT;
  return colors[(slots.get(id) ?? 0) % colors.length];
}

// The dashes of its line, in pixels; [] is a whole line.
export function dashOf(id) {
  return DASHES[Math.floor((slots.get(id) ?? 0) / LIGHT.length) % DASHES.length];
}
