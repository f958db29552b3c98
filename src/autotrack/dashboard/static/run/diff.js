// A unified diff as data: files with their hunks and numbered lines, to be shown as text.

// [{path, was, change, binary, added, removed, hunks: [{title, lines: [{kind, old, now, text}]}]}]
export function parseDiff(text) {
  const files = [];
  let file = null;
  let hunk = null;
  let old = 0;
  let now = 0;
  for (const line of text.split("\n")) {
    if (line.startsWith("diff --git ")) {
      file = { path: pathOf(line), was: null, change: "modified", binary: false, added: 0, removed: 0, hunks: [] };
      files.push(file);
      hunk = null;
    } else if (!file) continue;
    else if (!hunk || !inside(line)) {
      const head = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@(.*)$/.exec(line);
      if (head) {
        old = Number(head[1]);
        now = Number(head[2]);
        hunk = { title: head[3].trim(), start: now, lines: [] };
        file.hunks.push(hunk);
      } else header(file, line);
    } else if (line[0] === "+") {
      hunk.lines.push({ kind: "added", old: null, now: now++, text: line.slice(1) });
      file.added += 1;
    } else if (line[0] === "-") {
      hunk.lines.push({ kind: "removed", old: old++, now: null, text: line.slice(1) });
      file.removed += 1;
    } else if (line[0] === " ") hunk.lines.push({ kind: "same", old: old++, now: now++, text: line.slice(1) });
    else if (line[0] === "\\") hunk.lines.push({ kind: "remark", old: null, now: null, text: line.slice(2) });
  }
  return files;
}

function inside(line) {
  return line[0] === "+" || line[0] === "-" || line[0] === " " || line[0] === "\\";
}

function header(file, line) {
  if (line.startsWith("new file")) file.change = "added";
  else if (line.startsWith("deleted file")) file.change = "deleted";
  else if (line.startsWith("rename from ")) {
    file.change = "renamed";
    file.was = plain(line.slice(12));
  } else if (line.startsWith("rename to ")) file.path = plain(line.slice(10));
  else if (/^\+\+\+ "?b\//.test(line)) file.path = plain(line.slice(4)).slice(2);
  else if (/^--- "?a\//.test(line) && file.change === "deleted") file.path = plain(line.slice(4)).slice(2);
  else if (line.startsWith("Binary files ")) file.binary = true;
}

function pathOf(line) {
  const both = line.slice(11);
  const half = plain(both.slice(0, (both.length - 1) / 2));
  return half.startsWith("a/") ? half.slice(2) : both;
}

// A name as git writes it: in quotes, as in C, where it holds signs that are unusual.
function plain(name) {
  const text = name.replace(/\t$/, "");
  if (!text.startsWith('"')) return text;
  const named = { t: "\t", n: "\n", r: "\r" };
  return text.slice(1, -1).replace(/\\(\d{3}|.)/g, (_, sign) => (sign.length === 3 ? String.fromCharCode(parseInt(sign, 8)) : named[sign] ?? sign));
}
