mod admission;

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, SocketAddr};

use parking_lot::Mutex;
use peer_core::Peer;
use peer_core::datagram::v2::{PunchKey, Target as V2Target};
use peer_core::datagram::{Malformed, Reply, Request};
use peer_core::limits::REGISTRATION_TTL_MS;
use peer_core::stun::is_stun;

use crate::buckets::SharedBucket;
use crate::endpoints::Endpoints;
use crate::limits::Legacy;
use crate::nodes::asks::{Asker, NewAsk};
use crate::nodes::{ELSEWHERE_BYTES, Nodes};
use crate::outbox::{Outbox, Via};
use crate::outcome::Outcome;
use crate::registrations::{Kept, Registrations, Room, Target};
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
            Request::Register => self.register(now_us, &sender, out),
            Request::Connect { target } => self.connect(now_us, &sender, &target, out),
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

    fn register(&self, now_us: u64, sender: &Sender, out: &mut Outbox) -> Outcome {
        let ip = sender.from.ip();
        let hash = self.hash(ip);
        let source = self.source_hash(ip, hash);
        let may_answer =
            |shard: &mut Shard| shard.limits_of(ip).is_none() || shard.may_answer(source, now_us);
        // The limits of an IPv6 source may be kept elsewhere; never are two shards locked at once.
        let elsewhere =
            (source != hash).then(|| self.shard(source).is_some_and(|mut shard| may_answer(&mut shard)));
        let Some(mut shard) = self.shard(hash) else { return Outcome::BogusSource };
        let allowed = elsewhere.unwrap_or_else(|| may_answer(&mut shard));
        if !allowed {
            // It is there all the same.
            shard.registrations.touch(hash, sender.from, sender.via, now_us);
            return Outcome::SourceLimit;
        }
        let kept = shard.registrations.register(hash, sender.from, sender.via, now_us, |ip| self.hash(ip));
        drop(shard);
        // It is true where it is not kept, too.
        out.push(sender.reply_to, sender.via, Reply::YourAddr(sender.from));
        if kept == Kept::Anew {
            self.legacy_arrived(now_us, sender.from, out);
        }
        if kept == Kept::No { Outcome::TableFull } else { Outcome::Registered }
    }

    /// An error message: one answer to the sender.
    fn complain(
        &self,
        now_us: u64,
        sender: &Sender,
        reply: Reply<'_>,
        outcome: Outcome,
        out: &mut Outbox,
    ) -> Outcome {
        let (queued, start) = (out.len(), out.bytes_len());
        out.push(sender.reply_to, sender.via, reply);
        match self.admit(now_us, sender, None, out.bytes_len() - start) {
            Ok(_) => outcome,
            Err(refused) => {
                out.truncate(queued, start);
                refused
            }
        }
    }

    fn connect(&self, now_us: u64, sender: &Sender, text: &str, out: &mut Outbox) -> Outcome {
        let target = text.parse::<Peer>().ok().map(Peer::ip);
        if target == Some(sender.from.ip()) {
            // Who asks for himself is to be told where he is now, not where he was.
            self.touch(now_us, sender);
        }
        let found = target.and_then(|ip| self.find_newest(now_us, ip));
        let (queued, start) = (out.len(), out.bytes_len());
        let mut told = None;
        match &found {
            Some(Found::Legacy(Target { addr, via })) => {
                out.push(sender.reply_to, sender.via, Reply::Peer(*addr));
                out.push(*addr, *via, Reply::Peer(sender.from));
            }
            Some(Found::V2(peer)) => {
                out.push(sender.reply_to, sender.via, Reply::Peer(peer.addr));
                told = self.tell_of_legacy(now_us, sender.from, peer, out);
            }
            None => out.push(sender.reply_to, sender.via, Reply::NotFound { target: text }),
        }
        let elsewhere = match (&found, target) {
            (None, Some(ip)) if ip != sender.from.ip() => self.nodes.as_ref().map(|nodes| (nodes, ip)),
            _ => None,
        };
        // What it costs is known only now, and whether it may cost so much is asked before anything is sent.
        let sent = out.bytes_len() - start + if elsewhere.is_some() { ELSEWHERE_BYTES } else { 0 };
        let mut registered = false;
        let admitted = self.admit(now_us, sender, target, sent).and_then(|admitted| {
            registered = admitted.registered;
            let asked = match &found {
                Some(Found::Legacy(peer)) => self.may_be_asked(now_us, peer.addr.ip(), admitted),
                Some(Found::V2(peer)) => self.v2_peer_may_be_asked(now_us, peer.addr, admitted),
                None => Ok(()),
            };
            asked.inspect_err(|_| self.give_back(now_us, sender, sent, admitted))
        });
        match admitted {
            Ok(()) if found.is_some() => {
                if let Some(told) = &told {
                    self.remember(told, now_us);
                }
                Outcome::Matched
            }
            Ok(()) => {
                let Some((nodes, ip)) = elsewhere else { return Outcome::NotFound };
                out.truncate(queued, start);
                let asker = Asker::Legacy { from: sender.from, text: text.into(), registered };
                let new = NewAsk {
                    key: PunchKey::from_bytes([0; 16]),
                    asker,
                    target: V2Target::Ip(ip),
                    reply_to: sender.reply_to,
                    via: sender.via,
                    repeat: self.hash_of(&(sender.from, ip)),
                };
                self.seek(nodes, now_us, new, [Outcome::Sought, Outcome::Sought, Outcome::SeekLimit], out)
            }
            Err(refused) => {
                out.truncate(queued, start);
                refused
            }
        }
    }

    /// A sign of life of the sender. Gives whether it is registered.
    fn touch(&self, now_us: u64, sender: &Sender) -> bool {
        let hash = self.hash(sender.from.ip());
        self.shard(hash)
            .is_some_and(|mut shard| shard.registrations.touch(hash, sender.from, sender.via, now_us))
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

    /// The legacy peer at `ip` is elsewhere now.
    pub(crate) fn forget_legacy(&self, ip: IpAddr) {
        let hash = self.hash(ip);
        if let Some(mut shard) = self.shard(hash) {
            shard.registrations.forget(hash, ip, |ip| self.hash(ip));
        }
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
