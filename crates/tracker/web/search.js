// Files by prefix, and the peers of one for whoever has the operator's token.

import * as format from "./format.js";
import { row } from "./tables.js";

const PAGE = 20;
const TYPING_MS = 200;
/** Counts of peers in the list are at most so old. */
const RENEW_MS = 5_000;
const at = (id) => document.getElementById(id);

// Only here: never in an address, never in storage.
let token = "";
let next = null;
let file = null;
let listing = new AbortController();
let showing = new AbortController();

async function ask(path, query, { signal }, headers = {}) {
  const address = `${path}?${new URLSearchParams(query)}`;
  const answer = await fetch(address, { headers, signal, cache: "no-store", credentials: "omit" });
  const body = await answer.json();
  if (answer.ok) return body;
  const detail = Array.isArray(body.detail) ? body.detail.map((error) => error.msg).join("; ") : body.detail;
  throw Object.assign(new Error(detail), { status: answer.status });
}

/** Does it, and says where it says its errors. What was given up is no error. */
async function attempt(place, work) {
  try {
    await work();
  } catch (error) {
    if (error.name === "AbortError") return;
    place.textContent = error.status ? `The tracker says: ${error.message}` : "The tracker cannot be reached. Try again.";
    place.classList.add("alarm");
  }
}

function list(prefix, isMore) {
  listing.abort();
  listing = new AbortController();
  const found = at("found");
  found.classList.remove("alarm");
  return attempt(found, async () => {
    const query = { prefix, limit: PAGE, ...(isMore ? { cursor: next } : {}) };
    const page = await ask("v1/files", query, listing);
    const body = at("listing").tBodies[0];
    if (!isMore) body.replaceChildren();
    body.append(...page.files.map(fileRow));
    next = page.next;
    at("more").hidden = !next;
    at("listing").hidden = !body.rows.length;
    const text = summary(body.rows.length, prefix);
    // Said aloud when it changes only.
    if (found.textContent !== text) found.textContent = text;
  });
}

function summary(files, prefix) {
  if (files) return `${format.count(files)}${next ? " and more" : ""} ${files === 1 && !next ? "file" : "files"}`;
  return prefix ? `No file starts with “${prefix}”.` : "No peer has published a file yet.";
}

function fileRow({ filename, peers }) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Addresses";
  button.setAttribute("aria-label", `Addresses of the peers of ${filename}`);
  button.addEventListener("click", () => open(filename));
  return row([filename, format.count(peers), button]);
}

function open(filename) {
  file = filename;
  at("holders-title").textContent = `Peers of ${filename}`;
  at("holders").hidden = false;
  at("holders").focus();
  show();
}

async function show() {
  const state = at("holders-state");
  const region = at("addresses").parentElement;
  state.classList.remove("alarm");
  region.hidden = true;
  at("token-form").hidden = Boolean(token);
  state.textContent = token ? "Loading…" : "Addresses are shown with the token of the operator.";
  showing.abort();
  showing = new AbortController();
  if (!token) return;
  await attempt(state, async () => {
    try {
      const proof = { Authorization: `Bearer ${token}` };
      const { peers, total } = await ask("v1/operator/peers", { filename: file }, showing, proof);
      at("addresses").tBodies[0].replaceChildren(...peers.map(peerRow));
      region.hidden = !peers.length;
      state.textContent = peers.length ? `${format.count(peers.length)} of ${format.count(total)}` : "No living peer has it.";
    } catch (error) {
      if (error.status === 401) {
        token = "";
        at("token-form").hidden = false;
        at("token").focus();
      }
      throw error;
    }
  });
}

function peerRow({ ip, port, id, hash, size, last_seen }) {
  const address = port ? (ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`) : ip;
  return row([address, id ?? "–", hash, format.count(size), format.clock(last_seen * 1_000)], { numbers: [3] });
}

export function begin() {
  let typing;
  const prefix = at("prefix");
  prefix.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => list(prefix.value), TYPING_MS);
  });
  at("search").addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typing);
    list(prefix.value);
  });
  at("more").addEventListener("click", () => list(prefix.value, true));
  at("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    token = at("token").value;
    at("token").value = "";
    show();
  });
  // Rows are not taken away under anybody's fingers, nor pages that were asked for.
  const isInUse = () => at("listing").contains(document.activeElement) || at("listing").tBodies[0].rows.length > PAGE;
  setInterval(() => document.hidden || isInUse() || list(prefix.value), RENEW_MS);
  list("");
  return () => list(prefix.value);
}
