// The charts: which there are, and how they look.

import * as format from "./format.js";
import * as samples from "./samples.js";

/** A chart is as wide as so much time at least. */
const LEAST_SECONDS = 60;

/** Between two marks of an axis of bytes: 1 MiB and its doubles. */
const MEMORY_STEPS = Array.from({ length: 24 }, (_, power) => 2 ** (20 + power));

/** Title, series with a name and a value of a sample, and how a value is written. */
export const CHARTS = [
  { title: "Peers online", series: [["peers", (s) => s.stored?.peers]], write: format.count },
  { title: "Requests a second", series: [["requests", samples.requests]], write: format.rate },
  {
    title: "Time to answer",
    series: [["half within", (s) => s.p50_us], ["99 of 100 within", (s) => s.p99_us]],
    write: format.duration,
    none: "No request was answered",
  },
  {
    title: "Connects a second",
    series: [["introduced", samples.introduced], ["tried", samples.tried]],
    write: format.rate,
    none: "No matchmaker is connected",
  },
  { title: "Store answers within", series: [["store", (s) => s.store.answer_us]], write: format.duration },
  { title: "Memory", series: [["memory", (s) => s.memory_bytes]], write: format.bytes, steps: MEMORY_STEPS },
];

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

class Chart {
  constructor(spec, place) {
    this.spec = spec;
    this.figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    this.value = document.createElement("output");
    // It changes every second: said aloud, it would never end.
    this.value.setAttribute("aria-live", "off");
    caption.append(spec.title, this.value);
    this.plot = document.createElement("div");
    this.plot.className = "plot";
    this.plot.setAttribute("role", "img");
    this.none = document.createElement("p");
    this.none.className = "none";
    this.none.textContent = "Waiting for the first figures…";
    this.plot.append(this.none);
    this.figure.append(caption, this.plot);
    if (spec.series.length > 1) this.figure.append(this.key());
    place.append(this.figure);
    this.describe([]);
  }

  key() {
    const key = document.createElement("p");
    key.className = "key";
    this.spec.series.forEach(([name], index) => {
      const line = document.createElement("i");
      if (index) line.className = "second";
      key.append(line, name);
    });
    return key;
  }

  /** Anew, in the colours of now. */
  draw() {
    this.chart?.destroy();
    const { write } = this.spec;
    const font = "11px system-ui, sans-serif";
    const axis = { stroke: style("--quiet"), font, ticks: { show: false } };
    const grid = { stroke: style("--line"), width: 1 };
    const lines = this.spec.series.map(([label], index) => ({
      label,
      stroke: style(index ? "--quiet" : "--accent"),
      fill: index || this.spec.series.length > 1 ? undefined : style("--accent") + "1f",
      width: index ? 1.5 : 2,
      dash: index ? [2, 4] : undefined,
      points: { show: false },
      spanGaps: false,
    }));
    this.chart = new uPlot(
      {
        width: this.plot.clientWidth,
        height: this.plot.clientHeight,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, sync: { key: "dashboard" }, points: { size: 7 } },
        scales: { x: { range: (_, low, high) => [Math.min(low, high - LEAST_SECONDS), high] }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.15 : 1] } },
        axes: [
          {
            ...axis,
            grid: { show: false },
            size: 22,
            space: 64,
            incrs: [10, 20, 30, 60, 120],
            values: (_, at, _axis, _space, step) => at.map((s) => format.clock(s * 1_000).slice(0, step < 60 ? 8 : 5)),
          },
          { ...axis, grid, size: 54, gap: 4, space: 34, incrs: this.spec.steps, values: (_, marks) => marks.map(write) },
        ],
        series: [{}, ...lines],
        hooks: { setCursor: [() => this.say()] },
      },
      this.data ?? [[], ...lines.map(() => [])],
      this.plot,
    );
  }

  update(all) {
    const values = this.spec.series.map(([, value]) => all.map((sample) => value(sample) ?? null));
    this.data = [all.map((sample) => sample.at_ms / 1_000), ...values];
    if (this.chart) this.chart.setData(this.data);
    else this.draw();
    const isEmpty = values.every((line) => line.every((value) => value == null));
    this.none.hidden = !isEmpty;
    this.none.textContent = this.spec.none ?? "Nothing to show yet";
    this.describe(values[0].filter((value) => value != null));
    this.say();
  }

  /** The value under the pointer, else the newest. */
  say() {
    const at = this.chart?.cursor.idx ?? this.data[0].length - 1;
    this.value.textContent = this.spec.series
      .map((_, index) => this.data[index + 1][at])
      .map((value) => this.spec.write(value))
      .join(" · ");
  }

  describe(values) {
    const { title, write } = this.spec;
    const said = values.length
      ? `now ${write(values[values.length - 1])}, lowest ${write(Math.min(...values))}, highest ${write(Math.max(...values))}`
      : "no figures";
    this.plot.setAttribute("aria-label", `${title} in the last five minutes: ${said}`);
  }

  fit() {
    this.chart?.setSize({ width: this.plot.clientWidth, height: this.plot.clientHeight });
  }
}

export class Charts {
  constructor(place) {
    this.charts = CHARTS.map((spec) => new Chart(spec, place));
    new ResizeObserver(() => this.charts.forEach((chart) => chart.fit())).observe(place);
    // Canvas does not follow the style sheet by itself.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.charts.forEach((chart) => chart.draw()));
  }

  update(all) {
    this.charts.forEach((chart) => chart.update(all));
  }
}
