// The small curves beside metrics: asked for in one request a metric, only for runs that are seen.
import { get } from "/static/lib/api.js";
import { debounce } from "/static/lib/dom.js";

export class Sparklines {
  constructor(signal, arrived) {
    this.signal = signal;
    this.arrived = arrived;
    this.known = new Map(); // key -> Map(run -> values)
    this.asked = new Set(); // "key\0run"
    this.ask = debounce(() => this.fetch(), 60);
    this.ids = [];
    this.keys = [];
  }

  of(run, key) {
    return this.known.get(key)?.get(run);
  }

  // These runs are seen, with these metrics.
  want(ids, keys) {
    this.ids = ids;
    this.keys = keys;
    if (keys.some((key) => ids.some((id) => !this.asked.has(`${key}\0${id}`)))) this.ask();
  }

  // These runs have new points: asked for again when seen; until then the old curve stays.
  forget(runs) {
    if (runs === null) this.asked.clear();
    for (const key of this.known.keys()) for (const run of runs ?? []) this.asked.delete(`${key}\0${run}`);
  }

  fetch() {
    for (const key of this.keys) {
      const missing = this.ids.filter((id) => !this.asked.has(`${key}\0${id}`));
      for (const id of missing) this.asked.add(`${key}\0${id}`);
      if (missing.length) this.one(key, missing);
    }
  }

  async one(key, runs) {
    try {
      const told = await get("/api/sparklines", { key, runs }, this.signal);
      const mine = this.known.get(key) ?? new Map();
      this.known.set(key, mine);
      for (const [run, values] of Object.entries(told)) mine.set(run, values);
      this.arrived();
    } catch {
      for (const run of runs) this.asked.delete(`${key}\0${run}`); // seen again, asked again
    }
  }
}
