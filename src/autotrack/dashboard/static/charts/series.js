// From the server's series to the lines of a chart: relative times, smoothing, what a log axis cannot show.
import { get } from "/static/lib/api.js";
import { asNumber } from "/static/lib/format.js";

// The series of `runs` (records with id, name, started_at) for a metric. `x` is step, epoch, time or relative; `from` and `to`
// bound what is asked for (a zoom), so that it comes in finer points.
export async function fetchSeries(key, runs, { x, from, to, points }, signal) {
  if (!runs.length) return [];
  const relative = x === "relative";
  const bounded = from !== null || to !== null;
  const asked = { key, x: relative ? "time" : x, points };
  if (!relative || !bounded) {
    const told = await get("/api/series", { ...asked, from, to, runs: runs.map((run) => run.id) }, signal);
    return told.series.map((one) => (relative ? shifted(one, one.started) : one));
  }
  // Each run's own clock: what is zoomed into lies at another time for each of them.
  const all = await Promise.all(
    runs.map((run) => {
      const start = began(runs, run.id);
      const at = (edge) => (edge === null ? null : start + edge);
      return get("/api/series", { ...asked, runs: run.id, from: at(from), to: at(to) }, signal);
    }),
  );
  return all.flatMap((told) => told.series.map((one) => shifted(one, began(runs, one.run))));
}

function began(runs, id) {
  return new Date(runs.find((run) => run.id === id).started_at).getTime() / 1000;
}

function shifted(one, start) {
  return {
    ...one,
    x: one.x.map((at) => at - start),
    special: (one.special ?? []).map(([at, what]) => [at - start, what]),
  };
}

// Lines to draw: {id, x, y, raw, low, high, special, left}: `y` is smoothed where it is wanted (then `raw` is what was
// logged), `left` the number of points that a log axis cannot show.
export function lines(series, { smooth, logX, logY }) {
  return series.map((one) => {
    const line = {
      id: one.run,
      count: one.count,
      x: [],
      y: [],
      low: [],
      high: [],
      raw: null,
      special: one.special ?? [],
      left: 0,
    };
    one.x.forEach((at, index) => {
      const value = asNumber(one.y[index]);
      if (!Number.isFinite(value) || (logX && at <= 0) || (logY && value <= 0)) {
        line.left += Number.isFinite(value) ? 1 : 0;
        return;
      }
      const low = asNumber(one.min?.[index]) ?? value;
      const high = asNumber(one.max?.[index]) ?? value;
      line.x.push(at);
      line.y.push(value);
      line.low.push(Number.isFinite(low) && !(logY && low <= 0) ? low : value);
      line.high.push(Number.isFinite(high) ? high : value);
    });
    if (smooth > 0 && line.y.length > 1) {
      line.raw = line.y;
      line.y = smoothed(line.y, smooth);
    }
    return line;
  });
}

// Exponential moving average with bias correction, as in Adam (Kingma and Ba, 2015): the first values are not pulled to 0.
export function smoothed(values, weight) {
  let average = 0;
  let rest = 1;
  return values.map((value) => {
    average = average * weight + value * (1 - weight);
    rest *= weight;
    return average / (1 - rest);
  });
}

// The index of the x nearest to `at` in a rising list; -1 where it is empty.
export function nearest(x, at) {
  if (!x.length) return -1;
  let low = 0;
  let high = x.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] < at) low = middle + 1;
    else high = middle;
  }
  return low > 0 && at - x[low - 1] <= x[low] - at ? low - 1 : low;
}
