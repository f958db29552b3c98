// Values as people read them. Everything returns text; nothing of a run is interpreted.

const MINUS = "\u2212";
export const NONE = "\u2013"; // what stands for "no value"

// A number to `digits` significant digits; "NaN" and the infinities, which JSON carries as text, as ∞ signs.
export function number(value, digits = 6) {
  if (value === null || value === undefined) return NONE;
  if (value === "Infinity" || value === Infinity) return "+\u221e";
  if (value === "-Infinity" || value === -Infinity) return MINUS + "\u221e";
  if (typeof value !== "number") return String(value);
  if (Number.isNaN(value)) return "NaN";
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return grouped(value);
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-4 || size >= 1e9) ? exponent(value, digits) : plain(value, digits);
  return text.replace("-", MINUS);
}

function grouped(value) {
  const text = String(Math.abs(value));
  const shown = text.length > 4 ? text.replace(/\B(?=(\d{3})+$)/g, "\u2009") : text;
  return value < 0 ? MINUS + shown : shown;
}

function plain(value, digits) {
  const text = value.toPrecision(digits);
  return text.includes("e") ? String(Number(text)) : text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function exponent(value, digits) {
  const [mantissa, power] = value.toExponential(Math.max(digits - 3, 0)).split("e");
  return `${mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa}e${power.replace("+", "")}`;
}

// The number that JSON means: "NaN" and the infinities are text there. null where there is none.
export function asNumber(value) {
  if (typeof value === "number") return value;
  if (value === "NaN") return NaN;
  if (value === "Infinity") return Infinity;
  if (value === "-Infinity") return -Infinity;
  return null;
}

// Any value of a param or tag: text as it is, numbers exactly, the rest as JSON.
export function value(any) {
  if (any === null || any === undefined) return NONE;
  if (typeof any === "number") return Number.isInteger(any) ? String(any) : number(any, 8);
  if (typeof any === "string") return any;
  return JSON.stringify(any);
}

// A time (ISO 8601) by the local clock: 2026-05-01 14:03:07.
export function time(iso) {
  if (!iso) return NONE;
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return String(iso);
  const two = (part) => String(part).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

// How long ago: "5 min ago".
export function ago(iso, now = Date.now()) {
  if (!iso) return NONE;
  const seconds = Math.max(0, (now - new Date(iso).getTime()) / 1000);
  const steps = [
    [60, 1, "s"],
    [3600, 60, "min"],
    [86400, 3600, "h"],
    [86400 * 60, 86400, "d"],
  ];
  for (const [below, unit, name] of steps) if (seconds < below) return `${Math.floor(seconds / unit)} ${name} ago`;
  return time(iso).slice(0, 10);
}

// Seconds in words: "3.21 s", "4 min 05 s", "2 h 03 min".
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return NONE;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  const two = (part) => String(part).padStart(2, "0");
  return hours ? `${hours} h ${two(minutes)} min` : `${minutes} min ${two(whole % 60)} s`;
}

// The time that a run took, or takes so far.
export function took(run) {
  const end = run.ended_at ? new Date(run.ended_at).getTime() : run.status === "running" ? Date.now() : NaN;
  return Math.max(0, (end - new Date(run.started_at).getTime()) / 1000);
}

// Bytes in words: "1.2 MB".
export function bytes(count) {
  if (count === null || count === undefined) return NONE;
  let amount = count;
  for (const unit of ["B", "kB", "MB", "GB", "TB"]) {
    if (amount < 1000 || unit === "TB") return unit === "B" ? `${amount} B` : `${amount.toFixed(1)} ${unit}`;
    amount /= 1000;
  }
  return NONE;
}

// "1 run", "12 345 runs".
export function plural(count, word) {
  return `${grouped(count)} ${word}${count === 1 ? "" : "s"}`;
}

// The beginning of an id or a digest, enough to tell it from others.
export function short(text, length = 10) {
  const whole = String(text ?? "");
  return whole.length > length + 1 ? `${whole.slice(0, length)}\u2026` : whole;
}
