// The filter box: the query language, with field names completed and errors that point at the word.
import { append, debounce, fill, h } from "/static/lib/dom.js";
import { field, HEADER, quoted } from "/static/lib/fields.js";

const FIELDS = ["name", "status", "started_at", "ended_at", "project", "integration", "id", "parent_id"];
const STATUSES = ["running", "finished", "failed", "killed", "pruned"];
const EXAMPLES = 'status = "finished" and params.lr >= 0.001';

// A filter box over `known()` ({params, metrics, tags}); `onChange(where)` is called when the person has typed a query.
export class Filter {
  constructor(where, known, onChange) {
    this.known = known;
    this.onChange = onChange;
    this.told = where;
    this.at = -1;
    this.input = h("input", {
      type: "text",
      class: "filter-input mono",
      value: where,
      placeholder: `Filter, such as: ${EXAMPLES}`,
      spellcheck: "false",
      autocomplete: "off",
      autocapitalize: "off",
      role: "combobox",
      "aria-label": "Filter",
      "aria-expanded": "false",
      "aria-controls": "filter-list",
      "aria-autocomplete": "list",
      "aria-describedby": "filter-error",
    });
    this.list = h("ul", {
      id: "filter-list",
      role: "listbox",
      class: "filter-list",
      "aria-label": "Completions",
      hidden: true,
    });
    this.error = h("div", { id: "filter-error", class: "filter-error", "aria-live": "polite" });
    this.clear = h(
      "button",
      { type: "button", class: "quiet small filter-clear", onclick: () => this.write("") },
      "Clear",
    );
    this.element = h(
      "div",
      { class: "filter" },
      h("div", { class: "filter-box" }, this.input, this.clear, this.list),
      this.error,
    );
    const later = debounce(() => this.tell(), 450);
    this.input.addEventListener("input", () => {
      this.complete();
      later();
    });
    this.input.addEventListener("focus", () => this.input.value === "" && this.complete());
    this.input.addEventListener("blur", () => this.close());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.clear.hidden = !where;
  }

  tell() {
    this.clear.hidden = !this.input.value;
    const now = this.input.value.trim();
    if (now === this.told) return;
    this.told = now;
    this.onChange(now);
  }

  // Set the query as if it had been typed.
  write(where) {
    this.input.value = where;
    this.close();
    this.tell();
    this.input.focus();
  }

  // Show what the server says of the query, with the word that it means; null: the query is good.
  problem(error) {
    this.input.setAttribute("aria-invalid", error !== null);
    fill(this.error);
    if (!error) return;
    const text = this.told;
    if (typeof error.position === "number") {
      const from = Math.min(error.position, text.length);
      const word = text.slice(from, from + (error.length || 1));
      append(
        this.error,
        h(
          "code",
          { class: "filter-query" },
          text.slice(0, from),
          h("mark", {}, word || "\u00a0"),
          text.slice(from + word.length),
        ),
      );
    }
    append(this.error, h("span", {}, error.message));
    if (/^[\w .-]+$/.test(text) && !/\b(and|or|not|in|is)\b/.test(text)) {
      const search = `name ~ ${quoted(text)}`;
      append(
        this.error,
        h(
          "button",
          { type: "button", class: "small", onclick: () => this.write(search) },
          "Search names: ",
          h("code", {}, search),
        ),
      );
    }
  }

  key(event) {
    const open = !this.list.hidden;
    if (event.key === "Escape") {
      event.preventDefault();
      if (open) this.close();
      else this.input.blur();
    } else if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      this.choose(this.at + (event.key === "ArrowDown" ? 1 : -1));
    } else if (open && (event.key === "Tab" || event.key === "Enter") && this.at >= 0) {
      event.preventDefault();
      this.take(this.list.children[this.at].dataset.text);
    } else if (event.key === "Enter") {
      this.close();
      this.told = null; // ask again even where nothing changed
      this.tell();
    }
  }

  // The word before the caret, and what it may become.
  complete() {
    const before = this.input.value.slice(0, this.input.selectionStart);
    const word = /[\w."/-]*$/.exec(before)[0];
    const found = this.offers(before.slice(0, before.length - word.length), word).slice(0, 12);
    this.word = word;
    this.at = -1;
    fill(
      this.list,
      found.map(([text, what], index) =>
        h(
          "li",
          {
            role: "option",
            id: `offer-${index}`,
            "aria-selected": "false",
            data: { text },
            onmousedown: (event) => {
              event.preventDefault(); // the box keeps the focus
              this.take(text);
            },
          },
          h("code", {}, text),
          h("span", { class: "muted" }, what),
        ),
      ),
    );
    this.list.hidden = !found.length;
    this.input.setAttribute("aria-expanded", found.length > 0);
    this.input.removeAttribute("aria-activedescendant");
  }

  offers(before, word) {
    const sought = word.toLowerCase().replaceAll('"', "");
    const fits = ([text]) => text.toLowerCase().replaceAll('"', "").includes(sought) && text !== word;
    if (/status\s*(=|!=)\s*$/.test(before)) return STATUSES.map((one) => [quoted(one), "status"]).filter(fits);
    if (/(=|<|>|~)\s*$/.test(before)) return [];
    if (/[\w")]\s+$/.test(before) && !/\b(and|or|not|\()\s+$/i.test(before)) {
      const operators = /(<|>|=|~|\bin|\bnull)[^<>=~]*$/.test(before.split(/\b(?:and|or)\b/).pop())
        ? [
            ["and", "both"],
            ["or", "either"],
          ]
        : [
            ["=", "equals"],
            ["!=", "differs"],
            ["<", "below"],
            [">=", "at least"],
            ["~", "contains"],
            ["is null", "has none"],
          ];
      return operators.filter(fits);
    }
    const { params = {}, metrics = {}, tags = {} } = this.known() ?? {};
    const all = [
      ...FIELDS.map((one) => [one, HEADER[one].toLowerCase()]),
      ...Object.keys(params).map((key) => [field("params", key), "param"]),
      ...Object.keys(metrics).flatMap((key) =>
        ["last", "min", "max"].map((one) => [field("metrics", key, one), "metric"]),
      ),
      ...Object.keys(tags).map((key) => [field("tags", key), "tag"]),
    ].filter(fits);
    return all.sort((a, b) => Number(!a[0].startsWith(word)) - Number(!b[0].startsWith(word)));
  }

  choose(index) {
    const options = [...this.list.children];
    this.at = (index + options.length) % options.length;
    options.forEach((one, place) => one.setAttribute("aria-selected", place === this.at));
    options[this.at].scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", options[this.at].id);
  }

  take(text) {
    const caret = this.input.selectionStart;
    const start = caret - this.word.length;
    this.input.setRangeText(`${text} `, start, caret, "end");
    this.close();
    this.input.dispatchEvent(new Event("input"));
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }
}
