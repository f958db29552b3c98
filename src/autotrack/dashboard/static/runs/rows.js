// The rows of the table, fetched as they come into sight: pages of 200 runs, groups of a field's values, and children
// under their parents. Knows nothing of the page; tells `arrived` whenever more is known.
import { get } from "/static/lib/api.js";
import { both, quoted } from "/static/lib/fields.js";

const PAGE = 200;

// One list of runs that a condition chooses: `total` is known after the first page; opened parents have lists inside.
class List {
  constructor(rows, where, depth, total = null) {
    this.rows = rows;
    this.where = where;
    this.depth = depth;
    this.total = total;
    this.pages = new Map(); // number -> {runs, stale}
    this.asked = new Map(); // number -> whether news came while it was on its way
    this.opened = []; // [{index, id, list}], by index
  }

  get count() {
    return (this.total ?? 0) + this.opened.reduce((sum, one) => sum + one.list.count, 0);
  }

  at(index) {
    let left = index;
    for (const one of this.opened) {
      if (left <= one.index) break;
      if (left <= one.index + one.list.count) return one.list.at(left - one.index - 1);
      left -= one.list.count;
    }
    const run = this.run(left);
    return run
      ? { kind: "run", run, depth: this.depth, list: this, index: left }
      : { kind: "waiting", depth: this.depth };
  }

  run(index) {
    const number = Math.floor(index / PAGE);
    const page = this.pages.get(number);
    if (!page || page.stale) this.fetch(number);
    return page?.runs[index - number * PAGE];
  }

  async fetch(number) {
    if (this.asked.has(number)) return;
    this.asked.set(number, false);
    const { columns, sort, signal } = this.rows.options;
    try {
      const told = await get(
        "/api/runs",
        { where: this.where, sort, columns, limit: PAGE, offset: number * PAGE },
        signal,
      );
      this.pages.set(number, { runs: told.runs, stale: this.asked.get(number) });
      if (this.total !== null && told.total < this.total) this.forgetAfter(told.total);
      this.total = told.total;
      await this.rows.countChildren(told.runs);
      this.rows.arrived(null);
    } catch (error) {
      if (error.name !== "AbortError") this.rows.arrived(error);
    } finally {
      this.asked.delete(number);
    }
  }

  forgetAfter(total) {
    for (const number of [...this.pages.keys()]) if (number * PAGE >= total) this.pages.delete(number);
    this.opened = this.opened.filter((one) => one.index < total);
  }

  renew() {
    for (const page of this.pages.values()) page.stale = true;
    for (const number of this.asked.keys()) this.asked.set(number, true);
    for (const one of this.opened) one.list.renew();
  }

  toggle(index, run) {
    const known = this.opened.findIndex((one) => one.id === run.id);
    if (known >= 0) this.opened.splice(known, 1);
    else {
      const list = new List(this.rows, `parent_id = ${quoted(run.id)}`, this.depth + 1);
      list.fetch(0);
      this.opened = [...this.opened, { index, id: run.id, list }].sort((a, b) => a.index - b.index);
    }
  }

  isOpen(run) {
    return this.opened.some((one) => one.id === run.id);
  }
}

// options: {where, sort: [], columns: [], group, nested, signal}; arrived(error | null).
export class Rows {
  constructor(options, arrived) {
    this.options = options;
    this.arrived = arrived;
    this.children = new Map(); // id -> number of children
    this.groups = null;
    this.list = null;
    if (options.group) this.fetchGroups();
    else {
      this.list = new List(this, this.top(options.where), 0);
      this.list.fetch(0);
    }
  }

  top(where) {
    return this.options.nested ? both(where, "parent_id is null") : where;
  }

  get known() {
    return this.groups !== null || (this.list !== null && this.list.total !== null);
  }

  // Some of the runs that are known already.
  get sample() {
    const lists = this.groups ? this.groups.map((one) => one.list) : [this.list];
    return lists.flatMap((list) => [...list.pages.values()].flatMap((page) => page.runs)).slice(0, 200);
  }

  get runs() {
    return this.groups ? this.groups.reduce((sum, one) => sum + one.count, 0) : (this.list?.total ?? 0);
  }

  get count() {
    if (this.groups) return this.groups.reduce((sum, one) => sum + 1 + (one.open ? one.list.count : 0), 0);
    return this.list?.count ?? 0;
  }

  // What is at this place: {kind: "run", run, depth} | {kind: "group", group} | {kind: "waiting"}.
  at(index) {
    if (!this.groups) return this.list.at(index);
    let left = index;
    for (const group of this.groups) {
      if (left === 0) return { kind: "group", group };
      left -= 1;
      if (group.open) {
        if (left < group.list.count) return group.list.at(left);
        left -= group.list.count;
      }
    }
    return { kind: "waiting", depth: 0 };
  }

  async fetchGroups() {
    const { where, group, signal } = this.options;
    try {
      const told = await get("/api/runs", { where: this.top(where), group }, signal);
      const before = new Map((this.groups ?? []).map((one) => [JSON.stringify(one.value), one]));
      this.groups = told.groups.map((one, index) => {
        const old = before.get(JSON.stringify(one.value));
        if (old) {
          Object.assign(old, { count: one.count });
          if (old.list.total !== null) old.list.total = Math.max(one.count, 0);
          return old;
        }
        return {
          ...one,
          open: index < 1 && before.size === 0,
          list: new List(this, this.top(one.where), 1, one.count),
        };
      });
      this.arrived(null);
    } catch (error) {
      if (error.name !== "AbortError") this.arrived(error);
    }
  }

  async countChildren(runs) {
    if (!this.options.nested || !runs.length) return;
    const halves = [runs.slice(0, PAGE / 2), runs.slice(PAGE / 2)].filter((some) => some.length); // a query has its bounds
    await Promise.all(
      halves.map(async (some) => {
        const where = `parent_id in (${some.map((run) => quoted(run.id)).join(", ")})`;
        const told = await get("/api/runs", { where, group: "parent_id" }, this.options.signal);
        for (const one of told.groups) this.children.set(one.value, one.count);
      }),
    );
  }

  // Something changed in the store: what is seen is fetched anew, and shown as it was until that arrives.
  renew() {
    if (this.options.group) {
      for (const one of this.groups ?? []) one.list.renew();
      this.fetchGroups();
    } else {
      this.list.renew();
      this.list.fetch(0);
    }
  }
}
