// The tables of figures.

import * as format from "./format.js";
import { CHARTS } from "./charts.js";

const PART_MS = 30_000;
const MEANINGS = {
  200: "served", 304: "unchanged", 400: "broken", 401: "not signed, or not by the operator", 403: "from a page elsewhere",
  404: "no such path", 405: "no such method", 408: "too slow", 413: "too large", 415: "not JSON", 422: "refused",
  429: "too often, or full", 500: "our mistake", 503: "not now",
};
const NATS = {
  easy: ["Easy", "one port for all, can be punched"],
  hard: ["Hard", "a port for each, by an easy one only"],
  unknown: ["Unknown", "has not asked"],
};

/** A row whose first cell heads it. Cells are texts, elements, or a text with a small one. */
export function row(cells, { numbers = [1], alarm = false } = {}) {
  const line = document.createElement("tr");
  cells.forEach((content, index) => {
    const cell = document.createElement(index ? "td" : "th");
    if (!index) cell.scope = "row";
    if (numbers.includes(index)) cell.classList.add("number");
    if (index && alarm) cell.classList.add("alarm");
    if (Array.isArray(content)) {
      const small = document.createElement("small");
      small.textContent = content[1];
      cell.append(content[0], small);
    } else {
      cell.append(content);
    }
    line.append(cell);
  });
  return line;
}

const fill = (id, rows) => document.querySelector(`#${id} tbody`).replaceChildren(...rows);

function note(text, columns) {
  const line = document.createElement("tr");
  const cell = line.insertCell();
  cell.colSpan = columns;
  cell.className = "empty";
  cell.textContent = text;
  return line;
}

export function update(samples) {
  const { latest } = samples;
  answers(samples);
  meetings(samples, latest.matchmaker);
  health(latest);
  if (document.querySelector("details").open) series(samples);
}

function answers(samples) {
  const counts = samples.answers();
  const all = Object.values(counts).reduce((sum, n) => sum + n, 0);
  const rows = Object.entries(counts).map(([status, n]) =>
    row([[status, MEANINGS[status] ?? "any other"], format.count(n), format.share(n, all)], { numbers: [1, 2] }),
  );
  fill("answers", rows.length ? rows : [note("No request in the last five minutes.", 3)]);
}

function meetings(samples, now) {
  if (!now) {
    fill("meetings", [note("Not connected: no matchmaker answers at DASHBOARD_MATCHMAKER.", 2)]);
    fill("nats", [note("Not connected.", 2)]);
    return;
  }
  const count = (name) => format.count(samples.meetings(name));
  fill("meetings", [
    row([["Tried", "connects that asked for a peer"], count("tried")]),
    row([["Introduced", "both sides were told of each other"], count("introduced")]),
    row([["Reached", "pairs of version 2 that said so"], count("reached")]),
    row([["Not reached", "pairs of version 2 that said so"], count("failed")]),
  ]);
  fill("nats", [
    ...Object.entries(NATS).map(([kind, [name, meaning]]) => row([[name, meaning], format.count(now.nats[kind] ?? 0)])),
    row([["Legacy peers", "of version 1, which does not ask"], format.count(now.legacy_peers)]),
  ]);
}

function health({ store, memory_bytes, matchmaker, p99_us }) {
  const name = store.kind === "redis" ? "Redis" : "Embedded store";
  fill("health", [
    row([name, store.ready ? `answers in ${format.duration(store.answer_us)}` : "not available"], { alarm: !store.ready }),
    row(["Matchmaker", matchmaker ? "connected" : "not connected"]),
    row(["99 of 100 answers", p99_us == null ? "none asked for" : `within ${format.duration(p99_us)}`]),
    row(["Memory", format.bytes(memory_bytes)]),
  ]);
}

/** Means by half a minute. */
export function series(samples) {
  const columns = CHARTS.flatMap(({ title, series, write }) =>
    series.map(([name, value]) => ({ title: series.length > 1 ? `${title}, ${name}` : title, value, write })),
  );
  const head = row(["From", ...columns.map(({ title }) => title)], { numbers: columns.map((_, index) => index + 1) });
  head.querySelectorAll("td, th").forEach((cell) => {
    const th = document.createElement("th");
    th.scope = "col";
    th.className = cell.className;
    th.textContent = cell.textContent;
    cell.replaceWith(th);
  });
  document.querySelector("#series thead").replaceChildren(head);
  const numbers = columns.map((_, index) => index + 1);
  fill("series", samples.parts(PART_MS).map(([start, part]) => row([format.clock(start), ...columns.map(({ value, write }) => {
    const values = part.map(value).filter((n) => n != null);
    return values.length ? write(values.reduce((all, n) => all + n, 0) / values.length) : "–";
  })], { numbers })));
}
