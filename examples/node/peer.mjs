#!/usr/bin/env node
// A peer in JavaScript for Node 18 or newer, without packages: publishes a file, looks one up, punches through NATs.
//
//   peer.mjs share NAME FILE         gives FILE (1,000 bytes at most) to whoever asks for NAME, until it is interrupted
//   peer.mjs get NAME [IP:PORT]      prints the file that a peer has under NAME; asks the tracker which, or takes that one
//
// TRACKER (http://127.0.0.1:8000) and MATCHMAKER (127.0.0.1:12345) say where the servers are. docs/PROTOCOL.md is the contract.
// What a whole client adds: an id with a key, further attempts from fresh ports, the kind of NAT, files of more than a datagram.

import { createHash, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { setTimeout as wait } from "node:timers/promises";

const TRACKER = process.env.TRACKER ?? "http://127.0.0.1:8000";
const MATCHMAKER = process.env.MATCHMAKER ?? "127.0.0.1:12345";

const FILE_BYTES_MAX = 1000;
const PAD_BYTES = 192; // Least size of a datagram that asks for a token.
const [RESEND_MS, TRIES] = [500, 6];
const [KEEPALIVE_MS, ALIVE_MS, PUNCH_MS, SILENT_MS] = [20_000, 15_000, 2_000, 65_000];
const PREFIX = Buffer.from("\x05p2");
const [HELLO, HEARD, CONFIRMED, ALIVE, BYE] = [0, 1, 2, 3, 4];

/** An end that the user has to hear of. */
class Failure extends Error {}

const text = ([ip, port]) => (isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`);
const sha256 = (content) => createHash("sha256").update(content).digest("hex");

async function address(written) {
  const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(written) ?? [];
  if (!host) throw new Failure(`${written} is not HOST:PORT`);
  return [(await lookup(host)).address, Number(port)];
}

/** Asks the tracker: POST where there is a body, else GET. */
async function call(path, body) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(TRACKER + path, { ...(body && post), signal: AbortSignal.timeout(10_000) }).catch((error) => {
    throw new Failure(`${TRACKER}: ${error.cause?.message ?? error.message}`);
  });
  if (!answer.ok) throw new Failure(`${TRACKER}${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

/** What is known of one peer that we punch with. */
class Pair {
  constructor(said, asked) {
    this.id = said.pair;
    this.asked = asked;
    this.key = Buffer.from(said.key, "base64url");
    // By address: how far we are with it (HELLO, HEARD or CONFIRMED), and of which kind it is.
    this.known = new Map(said.candidates.map(([ip, port, kind]) => [text([ip, port]), { to: [ip, port], state: HELLO, kind }]));
    this.met = this.heard = Date.now();
    this.begin = this.met + said.start_ms;
    this.interval = said.interval_ms;
    this.path = new Promise((open) => (this.open = open));
  }
}

class Peer {
  pairs = new Map();
  answers = new Map();
  onDatagram = () => {};

  static async register() {
    const peer = new Peer();
    peer.server = await address(MATCHMAKER);
    const type = isIPv6(peer.server[0]) ? "udp6" : "udp4";
    peer.socket = createSocket(type);
    peer.socket.bind(0);
    await once(peer.socket, "listening");
    const probe = createSocket(type);
    probe.connect(peer.server[1], peer.server[0]); // Sends nothing; tells our address on the way there.
    await once(probe, "connect");
    peer.lan = [[probe.address().address, peer.socket.address().port]];
    probe.close();
    peer.socket.on("message", (datagram, from) => peer.hear(datagram, [from.address, from.port]));
    peer.socket.on("error", () => {}); // A candidate may be in a network that we have no route to.
    await peer.keepAlive();
    return peer;
  }

  send(datagram, [ip, port]) {
    this.socket.send(datagram, port, ip, () => {});
  }

  tell(message) {
    this.send(JSON.stringify({ v: 2, ...message }), this.server);
  }

  /** The server's answer. The same tid makes a request that is sent again the same request. */
  async ask(message) {
    const tid = randomBytes(4).toString("hex");
    const answer = new Promise((heard) => this.answers.set(tid, heard));
    for (let tries = 0; tries < TRIES; tries++) {
      this.tell({ tid, ...message });
      const timer = new AbortController();
      const said = await Promise.race([answer, wait(RESEND_MS, null, { signal: timer.signal }).catch(() => null)]);
      timer.abort();
      if (said) return said;
    }
    throw new Failure(`${MATCHMAKER} does not answer`);
  }

  /** Twice at first: the first answer brings the token that shows that we are where we say. */
  async keepAlive() {
    for (let status; status !== "ok"; ) {
      const proof = this.token ? { token: this.token, lan: this.lan } : { pad: "0".repeat(PAD_BYTES) };
      const said = await this.ask({ type: "register", ...proof });
      if (said.code === "bad_token" && this.token) {
        this.token = undefined;
        continue;
      }
      if (said.type === "error") throw new Failure(`not registered: ${said.code}`);
      ({ status, token: this.token, addr: this.public } = said);
    }
  }

  /** Where the path to this peer leads, once it is open. */
  async connect([ip, port]) {
    const said = await this.ask({ type: "connect", token: this.token, target_ip: ip, target_port: port });
    if (said.type === "error") throw new Failure(`cannot connect to ${text([ip, port])}: ${said.code}`);
    const pair = this.pairs.get(said.key);
    if (!pair) throw new Failure("that peer speaks the legacy protocol only");
    const path = await Promise.race([pair.path, wait(said.start_ms + PUNCH_MS, null)]);
    if (path) return path;
    this.tell({ type: "result", pair: pair.id, ok: false });
    throw new Failure("no way through the NATs");
  }

  say(pair, what, to) {
    const byte = what | (pair.asked ? 0x80 : 0);
    this.send(Buffer.concat([PREFIX, Buffer.from([byte]), pair.key]), to);
  }

  /** Punches for two seconds from the agreed time on, and keeps what is open alive. */
  async punch(name, pair) {
    await wait(Math.max(0, pair.begin - Date.now()));
    while (Date.now() < pair.begin + PUNCH_MS && this.pairs.has(name)) {
      for (const { to, state } of pair.known.values()) this.say(pair, state, to);
      await wait(pair.interval);
    }
    while (this.pairs.has(name) && Date.now() < pair.heard + SILENT_MS) {
      if (pair.at) this.say(pair, ALIVE, pair.at);
      await wait(ALIVE_MS);
    }
    this.pairs.delete(name);
  }

  hear(datagram, from) {
    if (text(from) === text(this.server)) this.hearServer(JSON.parse(datagram));
    else if (datagram.length === 20 && datagram.subarray(0, 3).equals(PREFIX)) this.hearPeer(datagram, from);
    else this.hearMore(datagram, from);
  }

  hearServer(said) {
    if (said.type === "peer") {
      this.tell({ type: "ack", pair: said.pair });
      if (said.key && !this.pairs.has(said.key)) {
        const pair = new Pair(said, said.tid !== undefined);
        this.pairs.set(said.key, pair);
        this.punch(said.key, pair);
      }
    }
    this.answers.get(said.tid)?.(said);
    this.answers.delete(said.tid);
  }

  hearPeer(datagram, from) {
    const [what, asked] = [datagram[3] & 0x7f, Boolean(datagram[3] & 0x80)];
    for (const [name, pair] of this.pairs) {
      // In another network somebody may have the address of a candidate: we ourselves, for one.
      if (!pair.key.equals(datagram.subarray(4)) || pair.asked === asked) continue;
      pair.heard = Date.now();
      const known = pair.known.get(text(from)) ?? { to: from, state: HELLO, kind: "observed" };
      pair.known.set(text(from), known);
      if (what === BYE) this.pairs.delete(name);
      known.state = what === HELLO ? Math.max(known.state, HEARD) : CONFIRMED;
      if (what === HELLO || what === HEARD) this.say(pair, known.state, from);
      if (known.state === CONFIRMED) this.open(pair, known);
    }
  }

  /** What is no punch, from where punches came from: the other side may have chosen another address than we did. */
  hearMore(datagram, from) {
    for (const pair of this.pairs.values()) {
      const known = pair.known.get(text(from));
      if (!known || known.state === HELLO) continue;
      pair.heard = Date.now();
      known.state = CONFIRMED;
      this.open(pair, known);
      this.onDatagram(datagram, from);
    }
  }

  /** Datagrams pass in both directions: the first address of which that is known is the one that we speak to. */
  open(pair, { to, kind }) {
    if (pair.at) return;
    pair.at = to;
    pair.open(to);
    this.tell({ type: "result", pair: pair.id, ok: true, via: kind, ms: pair.heard - pair.met });
  }

  async close() {
    for (const pair of this.pairs.values()) if (pair.at) this.say(pair, BYE, pair.at);
    await this.ask({ type: "unregister", token: this.token });
  }
}

async function share(name, file) {
  const content = await readFile(file);
  if (content.length > FILE_BYTES_MAX) throw new Failure(`${file} has more than ${FILE_BYTES_MAX} bytes`);
  const peer = await Peer.register();
  const given = Buffer.concat([Buffer.from("+"), content]);
  peer.onDatagram = (datagram, from) => peer.send(datagram.equals(Buffer.from(`get ${name}`)) ? given : "-", from);
  const at = () => ({ port: peer.public[1] });
  const said = await call("/v1/publish", {
    peer: at(),
    files: [{ filename: name, hash: sha256(content), size: content.length }],
  });
  if (!said.files[0].accepted) throw new Failure(`not published: ${said.files[0].reason}`);
  const leave = async () => {
    await call("/v1/unpublish", { files: [name] });
    await peer.close();
    process.exit(0);
  };
  for (const name of ["SIGINT", "SIGTERM"]) process.once(name, () => leave().catch(fail));
  console.log(`sharing ${name} at ${text(peer.public)}`);
  setInterval(() => peer.keepAlive().catch(fail), KEEPALIVE_MS);
  setInterval(() => call("/v1/heartbeat", { peer: at() }).catch(fail), said.keepalive * 1000);
}

async function get(name, at) {
  let [target, hash] = [at && (await address(at)), undefined];
  if (!target) {
    const { peers } = await call(`/v1/peers?filename=${encodeURIComponent(name)}`);
    const other = peers.find(({ port }) => port);
    // The tracker leaves out the caller's own address: two peers on one machine do not find each other by it.
    if (!other) throw new Failure(`nobody else has ${name}`);
    [target, hash] = [[other.ip, other.port], other.hash];
  }
  const peer = await Peer.register();
  const path = await peer.connect(target);
  const answer = new Promise((heard) => (peer.onDatagram = heard));
  let content = null;
  for (let tries = 0; tries < TRIES && !content; tries++) {
    peer.send(`get ${name}`, path);
    content = await Promise.race([answer, wait(RESEND_MS, null)]);
  }
  await peer.close();
  if (content?.[0] !== "+".charCodeAt()) throw new Failure(`${text(path)} does not give ${name}`);
  content = content.subarray(1);
  if (hash && sha256(content) !== hash) throw new Failure(`what ${text(path)} gave is not what it published`);
  process.stdout.write(content, () => process.exit(0));
}

function fail(error) {
  console.error(error instanceof Failure ? error.message : error);
  process.exit(1);
}

const [command, ...words] = process.argv.slice(2);
if (command === "share" && words.length === 2) share(...words).catch(fail);
else if (command === "get" && (words.length === 1 || words.length === 2)) get(...words).catch(fail);
else fail(new Failure("peer.mjs share NAME FILE | peer.mjs get NAME [IP:PORT]"));
