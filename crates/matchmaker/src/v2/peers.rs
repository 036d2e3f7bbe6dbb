mod records;
mod table;

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, SocketAddr};

use parking_lot::{Mutex, MutexGuard};
use peer_core::datagram::v2::{LanAddrs, NatKind};
use peer_core::limits::{REGISTRATION_TTL_MS, V2_COLD_MS};
use peer_core::{Network, Peer, PeerId};

use super::ids::Ids;
use crate::limits::Rate;
use crate::outbox::Via;
use table::Table;

/// How long a registration lives after its peer was last heard, in us.
const TTL_US: u64 = REGISTRATION_TTL_MS * 1_000;
/// Who was silent for so long makes room for a newcomer when all is full, in us.
const LIVE_US: u64 = V2_COLD_MS * 1_000;
/// Registrations of one IPv4 address or IPv6 /64: as many people may share a carrier's NAT, and whoever has a network of
/// his own fills nothing but that.
const PER_NETWORK_MAX: u32 = 1_024;
/// Expired registrations that one step takes away from a part at most, so that it never makes a datagram wait.
const EXPIRE_AT_ONCE: usize = 1_000;

/// The registered peers of version 2, one an address and port, in parts by network.
#[derive(Debug)]
pub(crate) struct Peers {
    shards: Box<[Mutex<Table>]>,
    ids: Ids,
    hasher: RandomState,
}

/// What a peer registers.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) from: SocketAddr,
    pub(super) via: Via,
    /// Shown to be its own.
    pub(super) id: Option<PeerId>,
    pub(super) lan: LanAddrs,
    /// The round trip that was measured just now.
    pub(super) rtt_ms: Option<u16>,
}

/// A registered peer as it was a moment ago.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerView {
    pub(crate) addr: SocketAddr,
    pub(crate) via: Via,
    pub(crate) id: Option<PeerId>,
    pub(crate) lan: LanAddrs,
    pub(crate) nat: NatKind,
    pub(crate) heard_us: u64,
    pub(crate) rtt_ms: Option<u16>,
}

/// Who is at an IP.
#[derive(Debug)]
pub(crate) enum AtIp {
    Nobody,
    One(PeerView),
    Several { newest: PeerView },
}

/// The network of an address that a datagram came from, and its hash, which the parts and their tables go by.
#[derive(Debug, Clone, Copy)]
struct NetworkKey {
    bits: u128,
    hash: u64,
}

impl NetworkKey {
    fn bits_of(ip: IpAddr) -> u128 {
        Peer::new(ip).map_or(0, |peer| Network::of_customer(peer).to_bits())
    }
}

/// What an address was registered as.
#[derive(Debug, Clone, Copy)]
struct Before {
    was_there: bool,
    id: Option<PeerId>,
}

/// A registration that was taken away.
#[derive(Debug, Clone, Copy)]
struct Gone {
    addr: SocketAddr,
    id: Option<PeerId>,
}

impl Peers {
    /// With room for as many registrations as all of `rooms`, the parts, have together. Their number is a power of two.
    pub(super) fn new(rooms: impl ExactSizeIterator<Item = u32>, hasher: &RandomState) -> Self {
        let parts = u32::try_from(rooms.len()).unwrap_or(1);
        Self {
            shards: rooms.map(|most| Mutex::new(Table::new(most, hasher.clone()))).collect(),
            ids: Ids::new(parts, hasher.clone()),
            hasher: hasher.clone(),
        }
    }

    /// Registrations that are kept, with some that expired just now.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// The same by kind of NAT, as in [`NatKind::ALL`].
    pub(super) fn nats(&self) -> [usize; NatKind::ALL.len()] {
        let mut all = [0; NatKind::ALL.len()];
        for shard in &self.shards {
            let of_shard = shard.lock().nats();
            for (count, more) in all.iter_mut().zip(of_shard) {
                *count += more;
            }
        }
        all
    }

    /// A number as a hash that nobody outside can foresee.
    pub(super) fn mix(&self, number: u128) -> u64 {
        self.hasher.hash_one(number)
    }

    /// The live peer at `addr`.
    pub(super) fn view(&self, addr: SocketAddr, now_us: u64) -> Option<PeerView> {
        self.shard(addr.ip())?.view(addr, now_us)
    }

    /// The live peer that holds `id`, in one family of addresses.
    pub(super) fn holder(&self, id: PeerId, is_v4: bool, now_us: u64) -> Option<PeerView> {
        let addr = self.ids.find(id, is_v4)?;
        self.view(addr, now_us).filter(|peer| peer.id == Some(id))
    }

    /// Where the holder of `id` was last, live or not.
    pub(super) fn addr_of(&self, id: PeerId, is_v4: bool) -> Option<SocketAddr> {
        self.ids.find(id, is_v4)
    }

    /// The peers in `most` places of part number `part` from `first` on that were heard after `since_us`, handed to `each`. Gives
    /// how many places that part has; `None` where there is no such part.
    pub(crate) fn heard_since(
        &self,
        part: usize,
        first: usize,
        most: usize,
        since_us: u64,
        mut each: impl FnMut(PeerView),
    ) -> Option<usize> {
        let shard = self.shards.get(part)?.lock();
        shard.in_places(first, most).filter(|peer| peer.heard_us > since_us).for_each(&mut each);
        Some(shard.places())
    }

    /// The live peers of `ip`, but the one at `except`.
    pub(crate) fn at_ip(&self, ip: IpAddr, except: Option<SocketAddr>, now_us: u64) -> AtIp {
        self.shard(ip).map_or(AtIp::Nobody, |shard| shard.at_ip(ip, except, now_us))
    }

    /// The id of a registration to come is at this address. See [`Ids::claim`].
    pub(super) fn claim(&self, id: PeerId, addr: SocketAddr, issued_ms: u64) -> bool {
        self.ids.claim(id, addr, issued_ms)
    }

    /// Keeps a registration, whose id was claimed before. `None` where there is no room; else whether it was not there before,
    /// or not with this id.
    pub(super) fn register(&self, registration: &Registration, now_us: u64) -> Option<bool> {
        let from = registration.from;
        let mut gone = [None; 2];
        let network = self.network(from.ip());
        let before = self
            .shard_of(network)
            .map_or(Err(()), |mut shard| shard.register(registration, network, now_us, &mut gone));
        // What went may be this same peer's, which is back.
        let still = |gone: &Gone| before.is_ok() && gone.addr == from && gone.id == registration.id;
        for gone in gone.iter().flatten().filter(|gone| !still(gone)) {
            self.release(gone);
        }
        match before {
            Ok(Before { id: Some(id), .. }) if Some(id) != registration.id => self.ids.release(id, from),
            Err(()) => self.release(&Gone { addr: from, id: registration.id }),
            Ok(_) => {}
        }
        before.ok().map(|before| !before.was_there || before.id != registration.id)
    }

    /// A sign of life of the peer at `addr`, where there is one.
    pub(super) fn touch(&self, addr: SocketAddr, via: Via, now_us: u64) {
        let network = self.network(addr.ip());
        if let Some(mut shard) = self.shard_of(network) {
            shard.touch(addr, network, via, now_us);
        }
    }

    /// One more answer to the peer at `addr`; `None` where there is no such peer.
    pub(super) fn may_answer(&self, addr: SocketAddr, now_us: u64, rate: Rate) -> Option<bool> {
        self.shard(addr.ip())?.may_answer(addr, now_us, rate)
    }

    /// One more connect that the peer at `addr` is told of.
    pub(super) fn may_be_asked(
        &self,
        addr: SocketAddr,
        now_us: u64,
        all: Rate,
        unregistered: Option<Rate>,
    ) -> bool {
        self.shard(addr.ip()).is_some_and(|mut shard| shard.may_be_asked(addr, now_us, all, unregistered))
    }

    /// The NAT of the peer at `addr`, where there is one.
    pub(crate) fn set_nat(&self, addr: SocketAddr, nat: NatKind, now_us: u64) {
        if let Some(mut shard) = self.shard(addr.ip()) {
            shard.set_nat(addr, nat, now_us);
        }
    }

    /// Forgets the peer at `addr`.
    pub(super) fn remove(&self, addr: SocketAddr) {
        let gone = self.shard(addr.ip()).and_then(|mut shard| shard.remove_at(addr));
        if let Some(gone) = gone {
            self.release(&gone);
        }
    }

    /// Forgets those that expired; bounded.
    pub(super) fn expire(&self, now_us: u64) {
        for shard in &self.shards {
            for _ in 0..EXPIRE_AT_ONCE {
                // Never are two locks held at once.
                let gone = shard.lock().expire_one(now_us);
                let Some(gone) = gone else { break };
                self.release(&gone);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn ids_len(&self) -> usize {
        self.ids.len()
    }

    fn release(&self, gone: &Gone) {
        if let Some(id) = gone.id {
            self.ids.release(id, gone.addr);
        }
    }

    fn network(&self, ip: IpAddr) -> NetworkKey {
        let bits = NetworkKey::bits_of(ip);
        NetworkKey { bits, hash: self.hasher.hash_one(bits) }
    }

    /// The part where the network of `ip` is.
    fn shard(&self, ip: IpAddr) -> Option<MutexGuard<'_, Table>> {
        self.shard_of(self.network(ip))
    }

    fn shard_of(&self, network: NetworkKey) -> Option<MutexGuard<'_, Table>> {
        let index = usize::try_from(network.hash >> 20).unwrap_or(0) & (self.shards.len() - 1);
        self.shards.get(index).map(Mutex::lock)
    }
}
