// Numbers as people read them, and what follows from two samples of counters.

const THIN = "\u202f";

/** A count, such as `12 345` or `1.23 M`. */
export function count(value) {
  if (value == null) return "–";
  if (value >= 1e9) return `${(value / 1e9).toFixed(2)}${THIN}G`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)}${THIN}M`;
  const digits = value > 0 && value < 10 && !Number.isInteger(value) ? 1 : 0;
  return value.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))/g, THIN);
}

/** A rate: a count per second. */
export const rate = (value) => (value == null ? "–" : `${count(value)}/s`);

/** Microseconds as `[number, unit]`. */
export function timeParts(us) {
  if (us == null) return ["–", ""];
  if (us < 1000) return [us.toFixed(0), "µs"];
  if (us < 1e6) return [(us / 1e3).toFixed(us < 1e4 ? 2 : us < 1e5 ? 1 : 0), "ms"];
  return [(us / 1e6).toFixed(2), "s"];
}

/** Bytes as `[number, unit]`. */
export function byteParts(bytes) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  for (; bytes >= 1024 && unit < units.length - 1; unit += 1) bytes /= 1024;
  return [bytes.toFixed(unit > 0 && bytes < 100 ? 1 : 0), units[unit]];
}

export const time = (us) => timeParts(us).join(THIN).trim();
export const bytes = (value) => byteParts(value).join(THIN);

/** A span such as `3 d 4 h`. */
export function span(ms) {
  let seconds = Math.floor(ms / 1000);
  const parts = [];
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    const value = Math.floor(seconds / length);
    seconds -= value * length;
    if (value > 0 || (unit === "s" && parts.length === 0)) parts.push(`${value}${THIN}${unit}`);
  }
  return parts.slice(0, 2).join(" ");
}

/** What a counter has grown by per second. A counter that began anew has grown by its value. */
export function growth(now, before, seconds) {
  return (now >= before ? now - before : now) / seconds;
}

/** The requests in each bin since an earlier sample of the same histogram: `[bound, count]`. */
export function binsSince(now, before) {
  const counts = new Map(before);
  const fresh = now.map(([bound, total]) => [bound, growth(total, counts.get(bound) ?? 0, 1)]);
  return fresh.filter(([, grown]) => grown > 0);
}

/** The latency that a share of the requests did not exceed, or null when there were none. */
export function quantile(bins, share) {
  const total = bins.reduce((sum, [, grown]) => sum + grown, 0);
  let seen = 0;
  for (const [bound, grown] of bins) {
    seen += grown;
    if (seen >= total * share) return bound;
  }
  return null;
}
