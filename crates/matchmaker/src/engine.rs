mod admission;
mod legacy;

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, SocketAddr};

use parking_lot::Mutex;
use peer_core::Peer;
use peer_core::datagram::{Malformed, Reply, Request};
use peer_core::limits::REGISTRATION_TTL_MS;
use peer_core::stun::is_stun;

use crate::buckets::SharedBucket;
use crate::endpoints::Endpoints;
use crate::limits::Legacy;
use crate::nodes::Nodes;
use crate::outbox::{Outbox, Via};
use crate::outcome::Outcome;
use crate::registrations::{Registrations, Room, Target};
use crate::shard::Shard;
use crate::stun::{BadPair, Stun, StunSettings};
use crate::v2::{PeerView, V2};

pub(crate) use admission::Admitted;

/// Parts of the state, each under a lock of its own, so that the threads of several sockets seldom meet.
const SHARDS: u32 = 64;
/// Below so many registrations the state is one part: the bound is then exact, and there is little to be shared.
const SHARDED_FROM: u32 = 65_536;
/// The part of the table, in registrations, that is for peers which were heard once: of 50,000 forged ones a second it
/// takes 0.65 s to replace them all, and within that time a peer that is there is heard again.
const NEWCOMERS: u32 = 32_768;
/// Expired registrations that one step takes away from a shard at most, so that it never makes a datagram wait.
const EXPIRE_AT_ONCE: usize = 1_000;

/// Where a datagram came from and how it reached us.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Its sender.
    pub from: SocketAddr,
    /// Which of our sockets received it.
    pub socket: u8,
    /// Which of our addresses it was sent to, where the kernel says.
    pub local: Option<IpAddr>,
    /// Which of our ports.
    pub local_port: u16,
}

/// The rendezvous: who is registered, and who is to be told of whom.
///
/// It does no I/O and has no clock. Time is handed in, in microseconds from any start. Any number of threads may call
/// it at once.
#[derive(Debug)]
pub struct Engine {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    unregistered: SharedBucket,
    off: bool,
    endpoints: Endpoints,
    stun: Option<Stun>,
    pub(crate) v2: Option<V2>,
    pub(crate) nodes: Option<Nodes>,
}

impl Engine {
    /// With room for `max_clients` registrations.
    pub fn new(max_clients: u32, legacy: Legacy) -> Self {
        let (shards, limits) = (shards_for(max_clients), legacy.limits());
        let shard = |index| {
            let registrations = Registrations::new(Room {
                most: part(max_clients, index, shards),
                newcomers: part(NEWCOMERS, index, shards),
                ttl_us: REGISTRATION_TTL_MS * 1_000,
            });
            Mutex::new(Shard::new(registrations, limits, shards))
        };
        Self {
            shards: (0..shards).map(shard).collect(),
            hasher: RandomState::new(),
            unregistered: SharedBucket::default(),
            off: matches!(legacy, Legacy::Off(_)),
            endpoints: Endpoints::default(),
            stun: None,
            v2: None,
            nodes: None,
        }
    }

    /// The same, knowing the sockets that it speaks by.
    #[must_use]
    pub fn with_endpoints(mut self, endpoints: Endpoints) -> Self {
        self.endpoints = endpoints;
        self
    }

    /// The same, answering STUN as well. Its sockets have to be known to it where there are pairs.
    pub fn with_stun(mut self, settings: &StunSettings) -> Result<Self, BadPair> {
        self.stun = Some(Stun::new(settings, &self.endpoints)?);
        Ok(self)
    }

    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Registrations that are kept, with some that expired just now.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().registrations.len()).sum()
    }

    /// Whether nobody is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes one datagram and puts the answers into `out`.
    pub fn handle(&self, now_us: u64, arrival: Arrival, datagram: &[u8], out: &mut Outbox) -> Outcome {
        let from = canonical(arrival.from);
        if is_bogus(from) || self.endpoints.is_ourselves(from, &arrival) {
            return Outcome::BogusSource;
        }
        if let Some(stun) = &self.stun
            && is_stun(datagram)
        {
            return self.answer_stun(stun, now_us, &arrival, from, datagram, out);
        }
        let via = Via { socket: arrival.socket, local: arrival.local };
        let sender = Sender { from, reply_to: arrival.from, via, bytes: datagram.len() };
        if let Some(v2) = &self.v2
            && let Some(outcome) = self.answer_v2(v2, now_us, &arrival, &sender, datagram, out)
        {
            return outcome;
        }
        if self.off {
            return Outcome::LegacyOff;
        }
        let request = match Request::decode(datagram) {
            Ok(Request::Error) => return Outcome::Echo,
            Ok(request) => request,
            Err(Malformed::TooLarge) => return Outcome::TooLarge,
            Err(Malformed::NotARequest) => return Outcome::Malformed,
        };
        match request {
            Request::Register => self.register_legacy(now_us, &sender, out),
            Request::Connect { target } => self.connect_legacy(now_us, &sender, &target, out),
            Request::ConnectWithoutTarget => {
                self.complain(now_us, &sender, Reply::MissingTarget, Outcome::MissingTarget, out)
            }
            Request::Unknown | Request::Error => {
                self.complain(now_us, &sender, Reply::UnknownType, Outcome::UnknownType, out)
            }
        }
    }

    /// Takes away what expired; bounded, to be called about once a second. Nothing that `handle` answers depends on
    /// it, memory does.
    pub fn tick(&self, now_us: u64) {
        for shard in &self.shards {
            shard.lock().registrations.expire(EXPIRE_AT_ONCE, now_us, |ip| self.hash(ip));
        }
        if let Some(v2) = &self.v2 {
            v2.expire(now_us);
        }
    }

    /// The legacy peer at `ip`.
    pub(crate) fn find(&self, now_us: u64, ip: IpAddr) -> Option<Target> {
        let hash = self.hash(ip);
        self.shard(hash)?.registrations.find(hash, ip, now_us)
    }

    /// Whoever was heard last at `ip`, of either version.
    pub(crate) fn find_newest(&self, now_us: u64, ip: IpAddr) -> Option<Found> {
        let legacy = self.find(now_us, ip);
        let Some(peer) = self.newest_v2(now_us, ip) else { return legacy.map(Found::Legacy) };
        let hash = self.hash(ip);
        let heard_us = self.shard(hash)?.registrations.heard_us(hash, ip).unwrap_or(0);
        match legacy {
            Some(legacy) if heard_us > peer.heard_us => Some(Found::Legacy(legacy)),
            _ => Some(Found::V2(peer)),
        }
    }

    /// A number for anything, which nobody outside can foresee.
    pub(crate) fn hash_of(&self, what: &impl std::hash::Hash) -> u64 {
        self.hasher.hash_one(what)
    }

    /// The shards, for whoever goes through all of them.
    pub(crate) fn shards(&self) -> &[Mutex<Shard>] {
        &self.shards
    }

    pub(crate) fn hash(&self, ip: IpAddr) -> u64 {
        self.hasher.hash_one(ip)
    }

    /// The hash of what is limited as one source: an IPv4 address, or an IPv6 /64, which one customer has whole.
    fn source_hash(&self, ip: IpAddr, hash: u64) -> u64 {
        match ip {
            IpAddr::V4(_) => hash,
            IpAddr::V6(v6) => self.hasher.hash_one(v6.to_bits() >> 64),
        }
    }

    /// The shard of an address, for its registration, or of a source, for its limits. They may differ for IPv6: one
    /// customer's addresses are spread over all shards, so that he cannot fill one of them.
    fn shard(&self, hash: u64) -> Option<parking_lot::MutexGuard<'_, Shard>> {
        // Bits that neither the hash table nor the buckets go by. The number is a power of two.
        let index = usize::try_from(hash >> 20).unwrap_or(0) & (self.shards.len() - 1);
        self.shards.get(index).map(Mutex::lock)
    }
}

/// Whose datagram it is.
pub(crate) struct Sender {
    /// In canonical form.
    pub(crate) from: SocketAddr,
    /// As the socket knows it.
    pub(crate) reply_to: SocketAddr,
    pub(crate) via: Via,
    /// Size of the datagram.
    pub(crate) bytes: usize,
}

/// Whom a connect found.
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation for each connect")]
pub(crate) enum Found {
    Legacy(Target),
    V2(PeerView),
}

impl Found {
    pub(crate) fn addr(&self) -> SocketAddr {
        match self {
            Self::Legacy(peer) => peer.addr,
            Self::V2(peer) => peer.addr,
        }
    }
}

/// Parts of a state with room for `max_clients` registrations.
pub(crate) fn shards_for(max_clients: u32) -> u32 {
    if max_clients < SHARDED_FROM { 1 } else { SHARDS }
}

/// What part number `index` of `parts` has of `all`; together they have them all.
pub(crate) fn part(all: u32, index: u32, parts: u32) -> u32 {
    all / parts + u32::from(index < all % parts)
}

fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// Port 0 cannot be answered, and no host has a multicast or broadcast address.
fn is_bogus(from: SocketAddr) -> bool {
    from.port() == 0 || Peer::new(from.ip()).is_err()
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
