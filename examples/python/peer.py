#!/usr/bin/env python3
"""A peer in Python, with nothing but the standard library: publishes a file, looks one up, punches through NATs.

    peer.py share NAME FILE         gives FILE (1,000 bytes at most) to whoever asks for NAME, until it is interrupted
    peer.py get NAME [IP:PORT]      prints the file that a peer has under NAME; asks the tracker which, or takes that one

TRACKER (http://127.0.0.1:8000) and MATCHMAKER (127.0.0.1:12345) say where the servers are. docs/PROTOCOL.md is the contract.
What a whole client adds: an id with a key, further attempts from fresh ports, the kind of NAT, files of more than a datagram.
"""

import base64
import hashlib
import json
import os
import random
import signal
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

TRACKER = os.environ.get("TRACKER", "http://127.0.0.1:8000")
MATCHMAKER = os.environ.get("MATCHMAKER", "127.0.0.1:12345")

FILE_BYTES_MAX = 1000
PAD_BYTES = 192  # Least size of a datagram that asks for a token.
RESEND_SECS, TRIES = 0.5, 6
KEEPALIVE_SECS, ALIVE_SECS, PUNCH_SECS, SILENT_SECS = 20, 15, 2, 65
PREFIX = b"\x05p2"
HELLO, HEARD, CONFIRMED, ALIVE, BYE = range(5)


def address(text):
    host, port = text.rsplit(":", 1)
    return socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0][4][:2]


def call(path, body=None):
    """Asks the tracker: POST where there is a body, else GET."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(TRACKER + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        sys.exit(f"{TRACKER}{path}: {error.code} {error.read().decode()}")
    except urllib.error.URLError as error:
        sys.exit(f"{TRACKER}: {error.reason}")


class Pair:
    """What is known of one peer that we punch with."""

    def __init__(self, said, asked):
        self.id, self.asked = said["pair"], asked
        self.key = base64.urlsafe_b64decode(said["key"] + "==")
        # How far we are with each address of the peer: HELLO, HEARD or CONFIRMED.
        self.state = {(c[0], c[1]): HELLO for c in said["candidates"]}
        self.kinds = {(c[0], c[1]): c[2] for c in said["candidates"]}
        self.met = time.monotonic()
        self.begin = self.next = self.met + said["start_ms"] / 1000
        self.interval = said["interval_ms"] / 1000
        self.path = None
        self.heard = self.met


class Peer:
    def __init__(self):
        self.server = address(MATCHMAKER)
        family = socket.AF_INET6 if ":" in self.server[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind(("", 0))
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(self.server)  # Sends nothing; tells our address on the way there.
            self.lan = [[probe.getsockname()[0], self.socket.getsockname()[1]]]
        self.token, self.public, self.keepalive_at = None, None, 0
        self.pairs, self.answers, self.inbox = {}, {}, []

    def tell(self, **message):
        self.socket.sendto(json.dumps({"v": 2, **message}).encode(), self.server)

    def ask(self, **message):
        """The server's answer. The same tid makes a request that is sent again the same request."""
        tid = "%08x" % random.getrandbits(32)
        for _ in range(TRIES):
            self.tell(tid=tid, **message)
            until = time.monotonic() + RESEND_SECS
            while time.monotonic() < until:
                self.step()
                if tid in self.answers:
                    return self.answers.pop(tid)
        sys.exit(f"{MATCHMAKER} does not answer")

    def register(self):
        """Twice at first: the first answer brings the token that shows that we are where we say."""
        self.keepalive_at = time.monotonic() + KEEPALIVE_SECS
        status = None
        while status != "ok":
            proof = {"token": self.token, "lan": self.lan} if self.token else {"pad": "0" * PAD_BYTES}
            said = self.ask(type="register", **proof)
            if said["type"] == "error" and said["code"] == "bad_token" and self.token:
                self.token = None
                continue
            if said["type"] == "error":
                sys.exit(f"not registered: {said['code']}")
            status, self.token, self.public = said["status"], said["token"], tuple(said["addr"])

    def connect(self, target):
        """The pair with this peer once its path is open."""
        said = self.ask(type="connect", token=self.token, target_ip=target[0], target_port=target[1])
        if said["type"] == "error":
            sys.exit(f"cannot connect to {target[0]}:{target[1]}: {said['code']}")
        pair = self.pairs.get(said.get("key"))
        if pair is None:
            sys.exit("that peer speaks the legacy protocol only")
        while pair.path is None:
            self.step()
            if time.monotonic() > pair.begin + PUNCH_SECS:
                self.tell(type="result", pair=pair.id, ok=False)
                sys.exit("no way through the NATs")
        return pair

    def say(self, pair, what, to):
        byte = what | (0x80 if pair.asked else 0)
        try:
            self.socket.sendto(PREFIX + bytes([byte]) + pair.key, to)
        except OSError:
            pass  # A candidate may be in a network that we have no route to.

    def step(self):
        """What is due, and one datagram, for which it waits 20 ms at most."""
        now = time.monotonic()
        for name, pair in list(self.pairs.items()):
            if now - pair.heard > SILENT_SECS:
                del self.pairs[name]
            elif now >= pair.next:
                punching = now < pair.begin + PUNCH_SECS
                if punching:
                    for to, state in pair.state.items():
                        self.say(pair, state, to)
                elif pair.path:
                    self.say(pair, ALIVE, pair.path)
                pair.next = now + (pair.interval if punching else ALIVE_SECS)
        self.socket.settimeout(0.02)
        try:
            datagram, source = self.socket.recvfrom(2048)
        except (TimeoutError, ConnectionError):
            return
        source = (source[0], source[1])
        if source == self.server:
            self.hear_server(datagram)
        elif datagram.startswith(PREFIX) and len(datagram) == 20:
            self.hear_peer(datagram, source)
        else:
            self.hear_more(datagram, source)

    def hear_server(self, datagram):
        said = json.loads(datagram)
        tid = said.get("tid")
        if said["type"] == "peer":
            self.tell(type="ack", pair=said["pair"])
            key = said.get("key")
            if key and key not in self.pairs:
                self.pairs[key] = Pair(said, asked=tid is not None)
        if tid:
            self.answers[tid] = said

    def hear_peer(self, datagram, source):
        what, asked = datagram[3] & 0x7F, bool(datagram[3] & 0x80)
        for name, pair in list(self.pairs.items()):
            # In another network somebody may have the address of a candidate: we ourselves, for one.
            if pair.key != datagram[4:] or pair.asked == asked:
                continue
            pair.heard = time.monotonic()
            before = pair.state.setdefault(source, HELLO)
            if what == BYE:
                del self.pairs[name]
            elif what == HELLO:
                pair.state[source] = max(before, HEARD)
                self.say(pair, pair.state[source], source)
            elif what == HEARD:
                pair.state[source] = CONFIRMED
                self.say(pair, CONFIRMED, source)
            else:
                pair.state[source] = CONFIRMED
            if pair.state[source] == CONFIRMED:
                self.open(pair, source)

    def hear_more(self, datagram, source):
        """What is no punch, from where punches came from: the other side may have chosen another address than we did."""
        for pair in self.pairs.values():
            if pair.state.get(source, HELLO) != HELLO:
                pair.heard = time.monotonic()
                pair.state[source] = CONFIRMED
                self.open(pair, source)
                self.inbox.append((pair, datagram))

    def open(self, pair, source):
        """Datagrams pass in both directions: the first address of which that is known is the one that we speak to."""
        if pair.path is None:
            pair.path = source
            via = pair.kinds.get(source, "observed")
            took = int((pair.heard - pair.met) * 1000)
            self.tell(type="result", pair=pair.id, ok=True, via=via, ms=took)

    def close(self):
        for pair in self.pairs.values():
            if pair.path:
                self.say(pair, BYE, pair.path)
        self.ask(type="unregister", token=self.token)


def share(name, file):
    with open(file, "rb") as opened:
        content = opened.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        sys.exit(f"{file} has more than {FILE_BYTES_MAX} bytes")
    digest = hashlib.sha256(content).hexdigest()
    peer = Peer()
    peer.register()
    at = peer.public
    said = call("/v1/publish", {
        "peer": {"port": at[1]},
        "files": [{"filename": name, "hash": digest, "size": len(content)}],
    })
    if not said["files"][0]["accepted"]:
        sys.exit(f"not published: {said['files'][0]['reason']}")
    sign_of_life_at = time.monotonic() + said["keepalive"]
    wanted = b"get " + name.encode()

    def leave(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, leave)
    try:
        print(f"sharing {name} at {at[0]}:{at[1]}", flush=True)
        while True:
            peer.step()
            for pair, datagram in peer.inbox:
                peer.socket.sendto(b"+" + content if datagram == wanted else b"-", pair.path)
            peer.inbox.clear()
            if time.monotonic() > peer.keepalive_at:
                peer.register()
            if time.monotonic() > sign_of_life_at:
                said = call("/v1/heartbeat", {"peer": {"port": peer.public[1]}})
                sign_of_life_at = time.monotonic() + said["keepalive"]
    except KeyboardInterrupt:
        call("/v1/unpublish", {"files": [name]})
        peer.close()


def get(name, at=None):
    digest = None
    if at:
        target = address(at)
    else:
        found = call("/v1/peers?filename=" + urllib.parse.quote(name, safe=""))["peers"]
        found = [other for other in found if other["port"]]
        if not found:
            # The tracker leaves out the caller's own address: two peers on one machine do not find each other by it.
            sys.exit(f"nobody else has {name}")
        target, digest = (found[0]["ip"], found[0]["port"]), found[0]["hash"]
    peer = Peer()
    peer.register()
    pair = peer.connect(target)
    for _ in range(TRIES):
        peer.socket.sendto(b"get " + name.encode(), pair.path)
        until = time.monotonic() + RESEND_SECS
        while time.monotonic() < until and not peer.inbox:
            peer.step()
        if peer.inbox:
            break
    path, inbox = pair.path, peer.inbox
    peer.close()
    if not inbox or not inbox[0][1].startswith(b"+"):
        sys.exit(f"{path[0]}:{path[1]} does not give {name}")
    content = inbox[0][1][1:]
    if digest and hashlib.sha256(content).hexdigest() != digest:
        sys.exit(f"what {path[0]}:{path[1]} gave is not what it published")
    sys.stdout.buffer.write(content)


def main():
    match sys.argv[1:]:
        case ["share", name, file]:
            share(name, file)
        case ["get", name, *at] if len(at) < 2:
            get(name, *at)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
