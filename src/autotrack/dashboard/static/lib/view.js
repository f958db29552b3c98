// The state of a page's view, kept in the address: so it can be shared, bookmarked, and found again.
import { remember } from "/static/lib/router.js";

// A view over `query` (URLSearchParams). `defaults` name each field and its type: text, a list, a number or a boolean.
// What equals its default is left out of the address. `view.set({sort: ["name"]})` changes, remembers, and tells.
export function view(query, defaults) {
  const state = {};
  const heard = [];
  for (const [name, plain] of Object.entries(defaults))
    state[name] = query.has(name) ? parsed(query.get(name), plain) : copy(plain);

  function address() {
    const kept = new URLSearchParams();
    for (const [name, plain] of Object.entries(defaults)) {
      const text = written(state[name]);
      if (text !== written(plain)) kept.set(name, text);
    }
    return kept;
  }

  return {
    state,
    address,
    set(changes) {
      Object.assign(state, changes);
      remember(address());
      for (const call of heard) call(changes);
    },
    changed(call) {
      heard.push(call);
    },
  };
}

function parsed(text, plain) {
  if (Array.isArray(plain)) return split(text);
  if (typeof plain === "boolean") return text === "1";
  if (typeof plain === "number") return Number.isFinite(Number(text)) ? Number(text) : plain;
  return text;
}

function written(value) {
  if (Array.isArray(value)) return value.map((one) => String(one).replace(/[\\,]/g, "\\$&")).join(",");
  if (typeof value === "boolean") return value ? "1" : "0";
  return value === null || value === undefined ? "" : String(value);
}

// A comma in a name is kept as "\,".
function split(text) {
  if (!text) return [];
  return (text.match(/(?:\\.|[^,\\])*(?:,|$)/g) ?? [])
    .slice(0, -1)
    .concat(text.endsWith(",") ? [""] : [])
    .map((one) => one.replace(/,$/, "").replace(/\\(.)/g, "$1"));
}

function copy(value) {
  return Array.isArray(value) ? [...value] : value;
}
