use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::DefaultHashBuilder;
use parking_lot::Mutex;
use peer_core::{Owner, Peer};

use super::ttl::Ttls;

/// How long what was read of a peer with an id is used, in ms: it may be elsewhere by now.
const KEY_KNOWN_MS: u64 = 1_000;
/// The same of a peer that is its address, in ms. Nothing of it can change but that it is withheld: when it leaves, its files
/// lose it at once, and how long it lives for sure is known.
const ADDRESS_KNOWN_MS: u64 = 10_000;
/// Places for peers, in sets of [`WAYS`]; a power of two. About 100 bytes each.
const SETS: usize = 65_536;
/// Places that a peer may have: two peers that share a set do not drive each other out.
const WAYS: usize = 4;
/// Counters of changes; a power of two.
const EPOCHS: usize = 4_096;

/// What is known of a living peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Presence {
    /// Its last sign of life, in ms since 1970.
    pub(super) last_seen_ms: u64,
    /// It lives until then for sure, in ms since 1970 by the clock of Redis.
    pub(super) until_ms: u64,
    /// What it asked for as its time to live, in ms.
    pub(super) asked_ms: Option<u64>,
    /// Where it is.
    pub(super) address: Peer,
    /// Where it serves.
    pub(super) port: Option<u16>,
    /// Not to be handed out to anybody.
    pub(super) withheld: bool,
    /// Whether a matchmaker hears it, where that was asked for.
    pub(super) online: Option<bool>,
}

impl Presence {
    /// Reads what the scripts wrote (see `scripts/presence.lua`), or an earlier version: a plain time. `None` for a peer
    /// with an id of which no address is known.
    pub(super) fn read(owner: Owner, value: &str, ttls: Ttls) -> Option<Self> {
        let mut parts = value.split(' ');
        let last_seen_ms: u64 = parts.next()?.parse().ok()?;
        let asked_ms = parts.next().and_then(|asked| asked.parse().ok());
        let named: Option<Peer> = parts.next().and_then(|address| address.parse().ok());
        let address = match owner {
            Owner::Address(peer) => peer,
            Owner::Key(_) => named?,
        };
        let port = parts.next().and_then(|port| port.parse().ok());
        let withheld = parts.next() == Some("w");
        let until_ms = match ttls.life_ms(asked_ms) {
            0 => u64::MAX,
            life_ms => last_seen_ms.saturating_add(life_ms),
        };
        Some(Self { last_seen_ms, until_ms, asked_ms, address, port, withheld, online: None })
    }
}

/// Peers that were read lately, so that popular ones are not asked for again and again. A fixed amount of memory.
pub(super) struct Presences {
    hasher: DefaultHashBuilder,
    sets: Box<[Mutex<[Option<Known>; WAYS]>]>,
    epochs: Box<[AtomicU32]>,
}

#[derive(Clone, Copy)]
struct Known {
    owner: Owner,
    presence: Presence,
    read_ms: u64,
}

/// A place in time, taken before a peer is read.
#[derive(Clone, Copy)]
pub(super) struct Epoch {
    place: usize,
    count: u32,
}

impl Presences {
    pub(super) fn new() -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            sets: (0..SETS).map(|_| Mutex::new([None; WAYS])).collect(),
            epochs: (0..EPOCHS).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// What was read of `owner` lately, as seen at `local_ms`, when it lives at `redis_ms` for sure.
    pub(super) fn get(&self, owner: Owner, local_ms: u64, redis_ms: u64) -> Option<Presence> {
        let set = self.set(self.hasher.hash_one(owner))?.lock();
        let known = set.iter().flatten().find(|known| known.owner == owner)?;
        let known_ms = if owner.id().is_some() { KEY_KNOWN_MS } else { ADDRESS_KNOWN_MS };
        let fresh = known.read_ms.saturating_add(known_ms) > local_ms && known.presence.until_ms > redis_ms;
        fresh.then_some(known.presence)
    }

    /// To be called before `owner` is read.
    pub(super) fn epoch(&self, owner: Owner) -> Epoch {
        let place = Self::place(self.hasher.hash_one(owner));
        Epoch { place, count: self.epochs.get(place).map_or(0, |epoch| epoch.load(Ordering::Acquire)) }
    }

    /// Keeps what was read at `local_ms`, unless the peer changed since `epoch`.
    pub(super) fn put(&self, owner: Owner, presence: Presence, local_ms: u64, epoch: Epoch) {
        let Some(set) = self.set(self.hasher.hash_one(owner)) else { return };
        let mut set = set.lock();
        let unchanged = |now: &AtomicU32| now.load(Ordering::Acquire) == epoch.count;
        if !self.epochs.get(epoch.place).is_some_and(unchanged) {
            return;
        }
        // Its own place, or a free one, or that of what was read longest ago.
        let place = set.iter_mut().min_by_key(|place| match place {
            Some(known) if known.owner == owner => 0,
            None => 1,
            Some(known) => known.read_ms.saturating_add(2),
        });
        if let Some(place) = place {
            *place = Some(Known { owner, presence, read_ms: local_ms });
        }
    }

    /// `owner` changed through this process: what was read before, or is being read, is not to be used.
    pub(super) fn forget(&self, owner: Owner) {
        let hash = self.hasher.hash_one(owner);
        let Some(set) = self.set(hash) else { return };
        let mut set = set.lock();
        if let Some(epoch) = self.epochs.get(Self::place(hash)) {
            epoch.fetch_add(1, Ordering::AcqRel);
        }
        for place in set.iter_mut().filter(|place| place.is_some_and(|known| known.owner == owner)) {
            *place = None;
        }
    }

    /// A sign of life of `owner` through this process changed nothing but the time: it is read again.
    pub(super) fn renew(&self, owner: Owner) {
        let Some(set) = self.set(self.hasher.hash_one(owner)) else { return };
        for place in set.lock().iter_mut().filter(|place| place.is_some_and(|known| known.owner == owner)) {
            *place = None;
        }
    }

    fn set(&self, hash: u64) -> Option<&Mutex<[Option<Known>; WAYS]>> {
        self.sets.get(usize::try_from(hash).unwrap_or(0) & (SETS - 1))
    }

    fn place(hash: u64) -> usize {
        usize::try_from(hash >> 32).unwrap_or(0) & (EPOCHS - 1)
    }
}
