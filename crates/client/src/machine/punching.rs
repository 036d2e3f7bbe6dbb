use std::net::SocketAddr;
use std::time::Duration;

use peer_core::PeerId;
use peer_core::datagram::v2::{LanAddrs, PairId, Path, PunchKey};

use super::event::{PathId, RequestId, SocketId};
use super::legacy;
use super::outbox::Outbox;
use super::punch::{Punch, Says};

/// How long both sides punch, from the time when they begin together.
const PUNCHES_FOR: Duration = Duration::from_secs(2);
/// How long a side answers that was not heard: what the other one says may be late.
const ANSWERS_FOR: Duration = Duration::from_secs(10);
/// Addresses that punches of one peer come from at most.
const WAYS_MAX: usize = 12;
/// Bounds for the time from one punch to the next that a server names.
const INTERVAL_LEAST: Duration = Duration::from_millis(20);
const INTERVAL_MOST: Duration = Duration::from_secs(1);
/// Punches by the ways that are there from the start, before those by an agreed port begin: mostly none is wanted by then.
const PUNCHES_BEFORE_AGREED: u32 = 5;
/// Punches that a legacy peer is sent after it was heard: it needs one, and says no word for having it.
const LEGACY_MORE: u32 = 5;

/// This peer and another one, which the server told of each other.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) socket: SocketId,
    /// `None` where a legacy server told of it.
    pub(super) name: Option<PairId>,
    /// `None` where the other one is a legacy peer.
    pub(super) key: Option<PunchKey>,
    /// Whether this peer asked.
    pub(super) asker: bool,
    pub(super) request: Option<RequestId>,
    /// The other one as the server sees it.
    pub(super) peer: SocketAddr,
    pub(super) id: Option<PeerId>,
    pub(super) cold: bool,
    /// When the server told.
    pub(super) told: Duration,
    pub(super) state: State,
    ways: Vec<Way>,
    interval: Duration,
    next: Option<Duration>,
    until: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Punching,
    Connected(PathId),
    /// The time was over.
    Over,
}

/// An address of the other peer, and the socket that it is spoken to by.
#[derive(Debug)]
struct Way {
    socket: SocketId,
    addr: SocketAddr,
    via: Path,
    /// When it is tried first.
    start: Duration,
    heard: bool,
    confirmed: bool,
}

/// How and when to begin.
pub(super) struct Plan {
    pub(super) lan: LanAddrs,
    /// Whether the address that the server sees is tried.
    pub(super) mapped: bool,
    /// A way by the port that both sides agree upon, where there is one.
    pub(super) agreed: Option<(SocketId, SocketAddr)>,
    pub(super) start: Duration,
    pub(super) interval: Duration,
}

impl Pair {
    /// Sets the addresses to be tried, those of the local network first. False where there is none.
    pub(super) fn plan(&mut self, plan: &Plan, ours: &LanAddrs) -> bool {
        for addr in plan.lan.as_slice() {
            // Another network may have the same addresses. We know who we are.
            if !ours.as_slice().contains(addr) {
                self.way(self.socket, *addr, Path::Lan, plan.start);
            }
        }
        self.interval = plan.interval.clamp(INTERVAL_LEAST, INTERVAL_MOST);
        if plan.mapped {
            // A router that carries it may be as fast as the local network, which is to be preferred.
            let head_start = if self.ways.is_empty() { Duration::ZERO } else { self.interval };
            self.way(self.socket, self.peer, Path::Mapped, plan.start + head_start);
        }
        if let Some((socket, addr)) = plan.agreed {
            self.way(socket, addr, Path::Observed, plan.start + self.interval * PUNCHES_BEFORE_AGREED);
        }
        self.next = Some(plan.start);
        self.until = plan.start + PUNCHES_FOR;
        !self.ways.is_empty()
    }

    /// One that is told just now, without addresses.
    pub(super) fn new(socket: SocketId, peer: SocketAddr, now: Duration) -> Self {
        Self {
            socket,
            name: None,
            key: None,
            asker: false,
            request: None,
            peer,
            id: None,
            cold: false,
            told: now,
            state: State::Punching,
            ways: Vec::new(),
            interval: INTERVAL_MOST,
            next: None,
            until: now,
        }
    }

    pub(super) fn due(&self) -> Option<Duration> {
        let end = match self.state {
            State::Punching => Some(self.until),
            State::Over => Some(self.forget_at()),
            State::Connected(_) => None,
        };
        self.next.into_iter().chain(end).min()
    }

    /// Whether the time of punching has come to its end, or that of answering.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        match self.state {
            State::Punching => now >= self.until,
            State::Over => now >= self.forget_at(),
            State::Connected(_) => false,
        }
    }

    fn forget_at(&self) -> Duration {
        self.until + ANSWERS_FOR
    }

    /// Sends to all addresses when that is due.
    pub(super) fn tick(&mut self, now: Duration, out: &mut Outbox) {
        let Some(next) = self.next.filter(|next| *next <= now) else { return };
        let again = next.max(now.saturating_sub(self.interval)) + self.interval;
        self.next = Some(again).filter(|again| *again < self.until);
        for way in self.ways.iter().filter(|way| way.start <= now) {
            out.send(way.socket, way.addr, self.word(way));
        }
    }

    /// Whether it needs this socket of ours.
    pub(super) fn uses(&self, socket: SocketId) -> bool {
        self.socket == socket || self.ways.iter().any(|way| way.socket == socket)
    }

    /// Whether it has come to nothing, or has been at it for so long that it hardly will come to anything.
    pub(super) fn is_vain(&self, now: Duration) -> bool {
        self.state == State::Over || self.state == State::Punching && self.told + PUNCHES_FOR / 2 <= now
    }

    /// The other one was heard from this address. False where there are too many.
    pub(super) fn hear(&mut self, now: Duration, socket: SocketId, from: SocketAddr) -> bool {
        let via = if from == self.peer { Path::Mapped } else { Path::Observed };
        self.way(socket, from, via, now).map(|way| way.heard = true).is_some()
    }

    /// The way by this address is open in both directions. Gives what it is, and whether that was not known before.
    pub(super) fn confirm(&mut self, socket: SocketId, from: SocketAddr) -> Option<(Path, bool)> {
        let way = self.ways.iter_mut().find(|way| (way.socket, way.addr) == (socket, from))?;
        let is_new = !way.confirmed;
        way.confirmed = true;
        Some((way.via, is_new))
    }

    /// Whether a punch was heard from there.
    pub(super) fn has_heard(&self, socket: SocketId, from: SocketAddr) -> bool {
        self.ways.iter().any(|way| (way.socket, way.addr) == (socket, from) && way.heard)
    }

    /// A path was opened: the other one is answered from now on, and not punched.
    pub(super) fn connected(&mut self, now: Duration, path: PathId) {
        self.state = State::Connected(path);
        self.ways.retain(|way| way.heard || way.start <= now);
        if self.key.is_none() {
            self.next = Some(now);
            self.until = now + self.interval * LEGACY_MORE;
        } else {
            self.next = None;
        }
    }

    /// Nothing was heard in time.
    pub(super) fn give_up(&mut self) {
        self.state = State::Over;
        self.next = None;
    }

    /// Says to an address how far we are with it.
    pub(super) fn answer(&self, socket: SocketId, to: SocketAddr, out: &mut Outbox) {
        if let Some(way) = self.ways.iter().find(|way| (way.socket, way.addr) == (socket, to)) {
            out.send(socket, to, self.word(way));
        }
    }

    pub(super) fn says(&self, says: Says) -> Option<Vec<u8>> {
        self.key.map(|key| Punch { says, from_asker: self.asker, key }.encode())
    }

    fn word(&self, way: &Way) -> Vec<u8> {
        let says = match (way.confirmed, way.heard) {
            (true, _) => Says::Confirmed,
            (false, true) => Says::Heard,
            (false, false) => Says::Hello,
        };
        self.says(says).unwrap_or_else(|| legacy::PUNCH.to_vec())
    }

    fn way(&mut self, socket: SocketId, addr: SocketAddr, via: Path, start: Duration) -> Option<&mut Way> {
        if let Some(known) = self.ways.iter().position(|way| (way.socket, way.addr) == (socket, addr)) {
            return self.ways.get_mut(known);
        }
        if self.ways.len() >= WAYS_MAX {
            return None;
        }
        self.ways.push(Way { socket, addr, via, start, heard: false, confirmed: false });
        self.ways.last_mut()
    }
}
