// The page: listens to the tracker and hands what it says to charts, tables and figures.

import { Charts } from "./charts.js";
import * as format from "./format.js";
import { Samples, requests, tried } from "./samples.js";
import * as search from "./search.js";
import * as tables from "./tables.js";

/** After so long without a sample the figures are old. */
const SILENT_MS = 5_000;
const RETRY_MS = 2_000;
const at = (id) => document.getElementById(id);

const samples = new Samples();
const charts = new Charts(at("charts"));
const listAgain = search.begin();
let heard = 0;
let source;

const STATES = {
  loading: "Connecting…",
  live: "Live",
  lost: "Connection lost, trying again…",
};

function state(now) {
  const before = document.body.dataset.state;
  if (before === now) return;
  document.body.dataset.state = now;
  at("state").textContent = STATES[now];
  if (before === "lost" && now === "live") listAgain();
}

function show() {
  const now = samples.latest;
  if (!now) return;
  at("peers").textContent = format.count(now.stored?.peers);
  at("files-count").textContent = format.count(now.stored?.files);
  at("mappings").textContent = format.count(now.stored?.mappings);
  at("requests").textContent = format.rate(requests(now));
  at("connects").textContent = now.matchmaker ? format.rate(tried(now)) : "–";
  at("as-of").textContent = format.clock(now.at_ms);
  const notice = at("notice");
  // Said aloud when it appears, not every second.
  if (notice.hidden !== now.store.ready) {
    notice.textContent = "The store is not available. Requests for files and peers are refused until it is back.";
    notice.hidden = now.store.ready;
  }
  charts.update(samples.all);
  tables.update(samples);
}

function listen() {
  source?.close();
  source = new EventSource("v1/stats/live");
  source.addEventListener("history", ({ data }) => {
    samples.replace(JSON.parse(data));
    heard = performance.now();
    state("live");
    show();
  });
  source.addEventListener("sample", ({ data }) => {
    heard = performance.now();
    state("live");
    if (samples.add(JSON.parse(data))) show();
  });
  source.addEventListener("error", () => {
    state("lost");
    // It tries again by itself, unless it was refused.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, RETRY_MS);
  });
}

// A connection may hang without an error, as after a laptop woke up.
setInterval(() => {
  if (document.body.dataset.state === "live" && performance.now() - heard > SILENT_MS) {
    state("lost");
    listen();
  }
}, 1_000);
document.querySelector("details").addEventListener("toggle", () => samples.latest && tables.series(samples));
listen();
