// How figures are written.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const rough = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });
const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export const count = (n) => (n == null ? "–" : whole.format(n));
export const rate = (n) => (n == null ? "–" : n >= 100 ? whole.format(n) : fine.format(n));
export const bytes = (n) => (n == null ? "–" : `${fine.format(n / 2 ** 20)} MiB`);
export const share = (part, all) => (all ? `${rough.format((100 * part) / all)} %` : "–");
export const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");

export function duration(us) {
  if (us == null) return "–";
  if (us < 1_000) return `${whole.format(us)} µs`;
  return us < 1_000_000 ? `${fine.format(us / 1_000)} ms` : `${fine.format(us / 1_000_000)} s`;
}
