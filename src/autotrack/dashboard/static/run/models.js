// Models of a run: format, size, digest, signature, the versions they are registered as, and their tensors.
import { get } from "/static/lib/api.js";
import { fill, h } from "/static/lib/dom.js";
import { bytes, number, plural } from "/static/lib/format.js";
import { empty, waiting } from "/static/lib/parts.js";
import { digest, facts, fileAddress, matches, search, table } from "/static/run/bits.js";

const SHOWN = 300;

export function show(root, { run, signal }) {
  if (!run.models.length) {
    fill(root, empty("This run has kept no model.", "run.log_model(model, name=\"clf\") keeps one; AUTOTRACK_MODELS says which an integration keeps: off, final, best or all."));
    return;
  }
  fill(root, [...run.models].reverse().map((one) => card(run, one, signal)));
}

function card(run, one, signal) {
  const title = h("div", { class: "head" }, h("h2", {}, one.name), h("span", { class: "role" }, one.format), one.bytes ? h("span", { class: "hint" }, bytes(one.bytes)) : null);
  if (!one.digest) {
    return h("article", { class: "card", "aria-label": one.name }, title,
      h("p", { class: "note warn" }, `Not kept: ${one.problem ?? "it is being converted to a safe format"}.`));
  }
  const versions = (one.registered ?? []).map((told, index) => [index ? ", " : "",
    h("a", { href: `/models/${encodeURIComponent(told.model)}` }, `${told.model}/${told.version}`), told.aliases.length ? ` (${told.aliases.join(", ")})` : ""]);
  const { package: from, class: kind, ...signature } = one.signature ?? {};
  return h("article", { class: "card", "aria-label": one.name }, title,
    facts([
      ["Digest", digest(one.digest, 16)],
      ["Step", one.step ?? null],
      ["Class", kind],
      ["Saved by the plugin for", from],
      ["Registered as", versions.length ? versions : null],
      ["File", h("a", { href: fileAddress(run.id, one.digest, `${one.name}.${one.format}`), download: true }, "Download")],
    ]),
    Object.keys(signature).length ? h("details", {}, h("summary", {}, "Signature"), signatureOf(signature)) : null,
    tensors(run, one, signal));
}

function signatureOf(told) {
  return facts(Object.entries(told).map(([key, value]) => [key, h("code", { class: "wrap" }, typeof value === "string" ? value : JSON.stringify(value))]));
}

// The tensors are read from the file when they are asked for.
function tensors(run, one, signal) {
  const place = h("div", {}, waiting());
  const more = h("details", {}, h("summary", {}, "What is in the file"), place);
  more.addEventListener("toggle", async () => {
    if (!more.open || more.dataset.asked) return;
    more.dataset.asked = "yes";
    try {
      draw(place, await get(`/api/run/${run.id}/model`, { digest: one.digest }, signal));
    } catch (error) {
      if (!signal.aborted) fill(place, h("p", { class: "note bad", role: "alert" }, error.message));
      delete more.dataset.asked;
    }
  });
  if (run.models.length === 1) more.open = true;
  return more;
}

function draw(place, told) {
  if (!told.tensors.length) {
    fill(place, h("p", { class: "hint" }, `Its tensors are not listed: ${told.why ?? "it has none"}.`));
    return;
  }
  const list = h("div", {});
  const right = (name) => ({ name, right: true });
  let text = "";
  const rows = () => told.tensors.filter((one) => matches(text, one.name)).map((one) => [
    h("span", { class: "key" }, one.name), one.dtype, one.shape.length ? one.shape.join(" × ") : "scalar", bytes(one.bytes)]);
  const redraw = () => {
    const all = rows();
    fill(list, table("Tensors", ["Tensor", "Type", right("Shape"), right("Size")], all.slice(0, SHOWN), { empty: "No tensor fits." }),
      all.length > SHOWN ? h("p", { class: "hint" }, `The first ${SHOWN} of ${all.length}: search for others.`) : null);
  };
  fill(place, h("p", { class: "hint" }, `${plural(told.total, "tensor")}, ${number(told.parameters)} numbers in all.`),
    told.total > 12 ? search("Search tensors", "", (typed) => {
      text = typed;
      redraw();
    }) : null, list);
  redraw();
}
