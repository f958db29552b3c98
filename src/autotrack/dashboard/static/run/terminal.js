// Text as a terminal shows it: carriage returns, backspaces and cursor movements of progress bars are followed, colours
// and everything else with an escape are left out. Rows of {stream, text} leave; only text, never markup.

// eslint-disable-next-line no-control-regex
const PART = /\x1b\[([0-9;?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.?|\n|\r|\x08+|[^\x1b\n\r\x08]+/gs;

// Rows and a cursor for each of the two streams' texts, in the order of writing.
export class Terminal {
  constructor(most = 20000) {
    this.rows = [];
    this.most = most;
    this.dropped = 0;
    this.first = 0; // the first row that changed since `taken`
    this.open = {}; // by stream: the row that its next text goes to, and the column
  }

  // Write a piece of text of a stream.
  write(stream, text) {
    for (const [part, numbers, letter] of text.matchAll(PART)) {
      const place = this.place(stream);
      if (part === "\n") this.open[stream] = null;
      else if (part === "\r") place.column = 0;
      else if (part[0] === "\b") place.column = Math.max(0, place.column - part.length);
      else if (part[0] === "\x1b") {
        if (letter) this.control(stream, place, numbers, letter);
      } else this.put(place, part);
      if (part === "\n" && place.row.text === "") this.changed(place.row);
    }
    this.trim();
  }

  // Rows that are new or changed since the last call: {from, rows, dropped}.
  taken() {
    const from = Math.min(this.first, this.rows.length);
    this.first = this.rows.length;
    return { from, rows: this.rows.slice(from) };
  }

  place(stream) {
    if (!this.open[stream]) {
      const row = { stream, text: "" };
      this.rows.push(row);
      this.open[stream] = { row, column: 0 };
    }
    return this.open[stream];
  }

  put(place, part) {
    const { row, column } = place;
    row.text = row.text.slice(0, column).padEnd(column) + part + row.text.slice(column + part.length);
    place.column = column + part.length;
    this.changed(row);
  }

  control(stream, place, numbers, letter) {
    const first = Number.parseInt(numbers, 10);
    const count = Math.min(Number.isNaN(first) ? 1 : first, 1000);
    const { row } = place;
    if (letter === "K" || letter === "J") {
      row.text = first === 1 ? " ".repeat(place.column) + row.text.slice(place.column) : first === 2 ? "" : row.text.slice(0, place.column);
      this.changed(row);
    } else if (letter === "G") place.column = count - 1;
    else if (letter === "C") place.column += count;
    else if (letter === "D") place.column = Math.max(0, place.column - count);
    else if (letter === "A" || letter === "F") this.move(stream, place, -count, letter === "F");
    else if (letter === "B" || letter === "E") this.move(stream, place, count, letter === "E");
  }

  // To a row of the same stream above or below, if there is one within sight.
  move(stream, place, by, toStart) {
    const at = this.rows.indexOf(place.row, Math.max(0, this.rows.length - 200));
    let left = Math.abs(by);
    let index = at;
    while (left && index > 0 && index < this.rows.length) {
      index += Math.sign(by);
      if (this.rows[index]?.stream === stream) left -= 1;
    }
    const row = this.rows[index];
    if (row?.stream === stream) this.open[stream] = { row, column: toStart ? 0 : place.column };
  }

  changed(row) {
    const index = this.rows.lastIndexOf(row);
    if (index >= 0) this.first = Math.min(this.first, index);
  }

  trim() {
    const over = this.rows.length - this.most;
    if (over <= 0) return;
    this.rows.splice(0, over);
    this.dropped += over;
    this.first = 0;
  }
}
