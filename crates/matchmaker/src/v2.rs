//! Version 2 of the rendezvous: peers whose addresses are verified, with ids where they have keys.
//!
//! A request is read and answered here, in [`register`] and [`connect`], or in [`leave`] for what is left. Who is
//! registered stands in [`peers`], who was told of whom in [`pairs`]; [`tokens`] need no memory. Two locks are never held at once.

mod answers;
mod connect;
mod elsewhere;
mod ids;
mod leave;
mod memory;
mod pairs;
mod peers;
mod register;
mod tokens;

#[cfg(test)]
mod tests;

use std::hash::RandomState;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use peer_core::Owner;
use peer_core::datagram::v2::{Decoded, ErrorCode, NatKind, Reply, Request};

use crate::buckets::{Buckets, SharedBucket};
use crate::engine::{Sender, part, shards_for};
use crate::limits::LegacyLimits;
use crate::outbox::Outbox;
use crate::{Arrival, Engine, Legacy, Outcome};
use pairs::Pairs;
use peers::Peers;
use tokens::Tokens;

pub(crate) use elsewhere::Asked;
pub(crate) use peers::{AtIp, PeerView};
pub use tokens::TokenKeys;

/// Resends that one step makes at most.
const RESENDS_AT_ONCE: usize = 256;
/// Sources whose signatures are counted at a time.
const SIGNERS: usize = 16_384;
/// No resend is due.
const NEVER_US: u64 = u64::MAX;

/// What version 2 has to be told.
#[derive(Debug, Clone, Copy)]
pub struct V2Settings {
    /// Registrations that are kept at most.
    pub max_clients: u32,
    /// The limits of sources, which are those of legacy peers where these are limited.
    pub legacy: Legacy,
    /// What tokens are made with.
    pub keys: TokenKeys,
    /// The time when the engine's clock began, in milliseconds since 1970.
    pub epoch_ms: u64,
}

/// The state of version 2.
#[derive(Debug)]
pub(crate) struct V2 {
    tokens: Tokens,
    peers: Peers,
    pairs: Mutex<Pairs>,
    /// Pairs that were made.
    count: AtomicU64,
    /// When the next resend is due, or [`NEVER_US`].
    due_us: AtomicU64,
    limits: Option<LegacyLimits>,
    signers: Mutex<Buckets>,
    signatures: SharedBucket,
}

impl V2 {
    fn new(settings: &V2Settings) -> Self {
        let shards = shards_for(settings.max_clients);
        let rooms: Vec<u32> = (0..shards).map(|index| part(settings.max_clients, index, shards)).collect();
        let hasher = RandomState::new();
        Self {
            tokens: Tokens::new(settings.keys, settings.epoch_ms),
            peers: Peers::new(rooms.into_iter(), &hasher),
            pairs: Mutex::new(Pairs::new(hasher)),
            count: AtomicU64::new(0),
            due_us: AtomicU64::new(NEVER_US),
            limits: settings.legacy.limits(),
            signers: Mutex::new(Buckets::new(SIGNERS)),
            signatures: SharedBucket::default(),
        }
    }

    /// Tokens are made with these keys from now on.
    pub(crate) fn set_keys(&self, keys: TokenKeys) {
        self.tokens.set_keys(keys);
    }

    pub(crate) fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Takes away what expired; bounded.
    pub(crate) fn expire(&self, now_us: u64) {
        self.peers.expire(now_us);
    }

    /// The limits that hold for a source; `None` where there are none.
    fn limits_of(&self, from: SocketAddr) -> Option<LegacyLimits> {
        self.limits.filter(|limits| limits.loopback || !from.ip().is_loopback())
    }
}

/// What the engine's parts of version 2 need of a datagram.
struct Exchange<'a> {
    v2: &'a V2,
    now_us: u64,
    arrival: &'a Arrival,
    sender: &'a Sender,
}

impl Engine {
    /// The same, speaking version 2 as well.
    #[must_use]
    pub fn with_v2(mut self, settings: &V2Settings) -> Self {
        self.v2 = Some(V2::new(settings));
        self
    }

    /// Tokens are made with these keys from now on.
    pub fn set_token_keys(&self, keys: TokenKeys) {
        if let Some(v2) = &self.v2 {
            v2.set_keys(keys);
        }
    }

    /// Registrations of version 2 that are kept, with some that expired just now.
    pub fn v2_len(&self) -> usize {
        self.v2.as_ref().map_or(0, |v2| v2.peers.len())
    }

    /// The same by kind of NAT.
    pub fn v2_nats(&self) -> impl Iterator<Item = (NatKind, usize)> {
        let counts = self.v2.as_ref().map_or([0; NatKind::ALL.len()], |v2| v2.peers.nats());
        NatKind::ALL.iter().copied().zip(counts)
    }

    /// Whether a peer is registered here: at an address in any way, or with its id.
    pub fn hears(&self, now_us: u64, owner: Owner) -> bool {
        match owner {
            Owner::Address(peer) => self.find_newest(now_us, peer.ip()).is_some(),
            Owner::Key(id) => self.v2.as_ref().is_some_and(|v2| {
                [true, false].into_iter().any(|is_v4| v2.peers.holder(id, is_v4, now_us).is_some())
            }),
        }
    }

    /// When [`Self::resend`] has something to do, in us; `None` while nothing is due.
    pub fn resend_due_us(&self) -> Option<u64> {
        let due_us = self.v2.as_ref().map(|v2| v2.due_us.load(Ordering::Relaxed));
        due_us.filter(|due_us| *due_us != NEVER_US)
    }

    /// Tells sides of pairs again that have not said that they heard; bounded.
    pub fn resend(&self, now_us: u64, out: &mut Outbox) {
        let Some(v2) = &self.v2 else { return };
        let mut pairs = v2.pairs.lock();
        for _ in 0..RESENDS_AT_ONCE {
            let Some(told) = pairs.due(now_us) else { break };
            let reply = Reply::Peer(told.introduction(now_us));
            out.push_with(told.to, told.via, |bytes| reply.encode(bytes));
        }
        v2.due_us.store(pairs.next_due_us().unwrap_or(NEVER_US), Ordering::Relaxed);
    }

    /// Takes one datagram, where it is of version 2.
    pub(crate) fn answer_v2(
        &self,
        v2: &V2,
        now_us: u64,
        arrival: &Arrival,
        sender: &Sender,
        datagram: &[u8],
        out: &mut Outbox,
    ) -> Option<Outcome> {
        let exchange = Exchange { v2, now_us, arrival, sender };
        let refuse = |tid, code, outcome, out: &mut Outbox| {
            self.answer_stranger(&exchange, &Reply::error(tid, code), outcome, out)
        };
        Some(match Request::decode(datagram) {
            Decoded::Other => return None,
            Decoded::ServersWord => Outcome::Echo,
            Decoded::TooBig(tid) => refuse(tid, ErrorCode::TooBig, Outcome::V2BadRequest, out),
            Decoded::Bad(tid) => refuse(tid, ErrorCode::BadRequest, Outcome::V2BadRequest, out),
            Decoded::Request(Request::Register(register)) => self.register_v2(&exchange, &register, out),
            Decoded::Request(Request::Connect(connect)) => self.connect_v2(&exchange, &connect, out),
            Decoded::Request(Request::Ack { pair }) => {
                let acked = v2.pairs.lock().ack(pair, sender.from);
                if acked { Outcome::V2Acked } else { Outcome::V2Stray }
            }
            Decoded::Request(Request::Result(verdict)) => exchange.result(&verdict),
            Decoded::Request(Request::Unregister { tid, token }) => {
                self.unregister_v2(&exchange, tid, token, out)
            }
            Decoded::Request(Request::Probe { tid, token, addr }) => {
                self.probe_v2(&exchange, tid, token, addr, out)
            }
        })
    }
}
