// What the server is asked: `get` for JSON, `live` for the news of a store that changes. Everything is read only.

// An answer that is no success: `message` says what to do, `status` is HTTP's (0: not reached), `position` and
// `length` the place in a query where it went wrong.
export class ApiError extends Error {
  constructor(message, status, position, length) {
    super(message);
    this.status = status;
    this.position = position;
    this.length = length;
  }
}

// GET path with params (null and undefined are left out; lists are joined by commas). Throws ApiError, or AbortError.
export async function get(path, params = {}, signal = undefined) {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value === null || value === undefined || value === "") continue;
    asked.set(name, Array.isArray(value) ? value.join(",") : String(value));
  }
  const search = asked.toString();
  let answer;
  try {
    answer = await fetch(search ? `${path}?${search}` : path, { signal, headers: { Accept: "application/json" } });
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new ApiError("The dashboard's server does not answer. Start it again with: autotrack dashboard", 0);
  }
  let body = null;
  try {
    body = await answer.json();
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
  }
  if (!answer.ok)
    throw new ApiError(
      body?.error ?? `The server answered ${answer.status}.`,
      answer.status,
      body?.position,
      body?.length,
    );
  if (body === null)
    throw new ApiError("The server's answer is no JSON. Is another program on this address?", answer.status);
  return body;
}

const listeners = new Set();
let source = null;
let state = "connecting";
let version = null;

// Call `heard({version, runs})` whenever the store took something in: `runs` are ids, or null where any may have changed.
// `signal` ends it.
export function live(heard, signal) {
  listeners.add(heard);
  signal?.addEventListener("abort", () => listeners.delete(heard));
  connect();
  return () => listeners.delete(heard);
}

function connect() {
  if (source || document.hidden) return;
  source = new EventSource("/api/changes");
  source.addEventListener("open", () => tell("live"));
  source.addEventListener("error", () => {
    tell("offline");
    if (source.readyState === EventSource.CLOSED) {
      source = null; // the browser gave up: try anew, it does so by itself otherwise
      setTimeout(connect, 3000);
    }
  });
  source.addEventListener("changed", (event) => {
    const told = JSON.parse(event.data);
    const away = version !== null && told.runs?.length === 0 && told.version !== version; // connected anew, and missed some
    const first = told.runs?.length === 0 && !away;
    version = told.version;
    if (first) return;
    if (away) told.runs = null;
    for (const heard of [...listeners]) heard(told);
  });
}

// A browser keeps six connections to one server: pages that nobody sees give theirs back, and ask anew when they are seen.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    source?.close();
    source = null;
  } else if (listeners.size) connect();
});

function tell(now) {
  state = now;
  window.dispatchEvent(new CustomEvent("livestate", { detail: now }));
}

// "connecting", "live" or "offline".
export function liveState() {
  return state;
}
