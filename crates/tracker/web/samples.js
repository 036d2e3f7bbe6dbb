// The samples of the last minutes, and what is worked out of them.

export const WINDOW_MS = 300_000;

export const sum = (counts) => Object.values(counts).reduce((all, n) => all + n, 0);
export const perSecond = (sample, n) => (n == null ? null : (n * 1_000) / sample.elapsed_ms);
export const requests = (sample) => perSecond(sample, sum(sample.answers));
export const tried = (sample) => perSecond(sample, sample.matchmaker?.tried);
export const introduced = (sample) => perSecond(sample, sample.matchmaker?.introduced);

export class Samples {
  all = [];

  replace(samples) {
    this.all = samples;
  }

  /** Takes one in, unless it is there already. False where it was. */
  add(sample) {
    if (this.latest && sample.at_ms <= this.latest.at_ms) return false;
    this.all.push(sample);
    while (this.all[0].at_ms < sample.at_ms - WINDOW_MS) this.all.shift();
    return true;
  }

  get latest() {
    return this.all[this.all.length - 1];
  }

  /** Answers by status over the whole window. */
  answers() {
    const counts = {};
    for (const sample of this.all) {
      for (const [status, n] of Object.entries(sample.answers)) counts[status] = (counts[status] ?? 0) + n;
    }
    return counts;
  }

  /** A count of the matchmaker over the whole window. */
  meetings(name) {
    return this.all.reduce((all, sample) => all + (sample.matchmaker?.[name] ?? 0), 0);
  }

  /** The window in parts of so many ms, the newest first. */
  parts(ms) {
    const parts = new Map();
    for (const sample of this.all) {
      const start = Math.floor(sample.at_ms / ms) * ms;
      if (!parts.has(start)) parts.set(start, []);
      parts.get(start).push(sample);
    }
    return [...parts].reverse();
  }
}
