use std::collections::{BTreeSet, VecDeque};
use std::hash::RandomState;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hashbrown::HashMap;
use peer_core::{Owner, Peer};

use super::dense::Dense;
use super::files::FileNumber;
use super::index::Index;
use super::numbered::Numbered;
use crate::{PeerTtl, Publisher};

/// Number of a peer in [`Peers`].
pub(super) type PeerNumber = u32;

/// Longest time for which a sign of life need not be taken note of after another, in ms; and a sixteenth of the time to
/// live where that is less.
const GRACE_MAX_MS: u64 = 10_000;
const GRACE_SHARE: u64 = 16;

/// A peer with its files.
pub(super) struct PeerEntry {
    pub(super) owner: Owner,
    /// Where it is.
    pub(super) address: Peer,
    /// The port at which it serves; 0 is none.
    port: u16,
    /// The time to live that it asked for, in seconds; 0 is that of the registry.
    ttl_secs: u32,
    /// Tells apart what it publishes from what was published under the same owner before it died or left.
    pub(super) life: u32,
    /// It left or died: no read shows it, and its files are being taken away.
    pub(super) retired: bool,
    /// Whether its record has to be written to disk, and that is on its way.
    unsaved: AtomicBool,
    /// Last sign of life in ms since 1970. Atomic, so that one is taken note of under a shared lock.
    seen_ms: AtomicU64,
    /// The last sign of life that is on disk.
    saved_ms: AtomicU64,
    /// When the sweep looks at it, in ms since 1970: its place in [`Peers::due`].
    due_ms: u64,
    pub(super) files: Dense<FileNumber>,
}

/// What is known of a peer but for its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PeerRecord {
    pub(super) publisher: Publisher,
    /// Last sign of life in ms since 1970.
    pub(super) seen_ms: u64,
    pub(super) life: u32,
}

impl PeerEntry {
    fn new(record: &PeerRecord) -> Self {
        let publisher = record.publisher;
        Self {
            owner: publisher.owner,
            address: publisher.address,
            port: publisher.port.unwrap_or(0),
            ttl_secs: publisher.ttl_secs.unwrap_or(0),
            life: record.life,
            retired: false,
            unsaved: AtomicBool::new(false),
            seen_ms: AtomicU64::new(record.seen_ms),
            saved_ms: AtomicU64::new(record.seen_ms),
            due_ms: u64::MAX,
            files: Dense::default(),
        }
    }

    pub(super) fn publisher(&self) -> Publisher {
        Publisher {
            owner: self.owner,
            address: self.address,
            port: self.port(),
            ttl_secs: (self.ttl_secs != 0).then_some(self.ttl_secs),
        }
    }

    pub(super) fn port(&self) -> Option<u16> {
        (self.port != 0).then_some(self.port)
    }

    pub(super) fn seen_ms(&self) -> u64 {
        self.seen_ms.load(Ordering::Relaxed)
    }

    /// When it dies if nothing more is heard, in ms since 1970.
    pub(super) fn dies_at(&self, ttl: PeerTtl) -> u64 {
        match self.ttl_ms(ttl) {
            0 => u64::MAX,
            ttl_ms => self.seen_ms().saturating_add(ttl_ms),
        }
    }

    pub(super) fn is_alive(&self, ttl: PeerTtl, now_ms: u64) -> bool {
        !self.retired && now_ms < self.dies_at(ttl)
    }

    /// Takes note that it asked for something, unless it was heard just before. True when the caller is to see that its
    /// record gets to disk.
    pub(super) fn touch(&self, ttl: PeerTtl, now_ms: u64) -> bool {
        // Only a load for a peer that asks often: it must not take the cache line from the other cores each time.
        now_ms >= self.seen_ms().saturating_add(self.grace_ms(ttl)) && self.hear(ttl, now_ms)
    }

    /// Takes note of a sign of life. True when the caller is to see that its record gets to disk: what is there may be older
    /// by the time for which signs need not be taken note of.
    pub(super) fn hear(&self, ttl: PeerTtl, now_ms: u64) -> bool {
        self.seen_ms.fetch_max(now_ms, Ordering::Relaxed);
        let due_ms = self.saved_ms.load(Ordering::Relaxed).saturating_add(self.grace_ms(ttl));
        now_ms >= due_ms && self.must_save()
    }

    /// True when the caller is to see that the record gets to disk.
    pub(super) fn must_save(&self) -> bool {
        !self.unsaved.load(Ordering::Relaxed) && !self.unsaved.swap(true, Ordering::Relaxed)
    }

    /// The record could not be sent to disk: the next sign of life shall try again.
    pub(super) fn save_failed(&self) {
        self.unsaved.store(false, Ordering::Relaxed);
    }

    /// What is to be written to disk now.
    pub(super) fn save(&self) -> PeerRecord {
        self.unsaved.store(false, Ordering::Relaxed);
        let seen_ms = self.seen_ms();
        self.saved_ms.store(seen_ms, Ordering::Relaxed);
        PeerRecord { publisher: self.publisher(), seen_ms, life: self.life }
    }

    fn ttl_ms(&self, ttl: PeerTtl) -> u64 {
        ttl.of_peer_ms((self.ttl_secs != 0).then_some(self.ttl_secs))
    }

    fn grace_ms(&self, ttl: PeerTtl) -> u64 {
        match self.ttl_ms(ttl) {
            0 => GRACE_MAX_MS,
            ttl_ms => GRACE_MAX_MS.min(ttl_ms / GRACE_SHARE),
        }
    }
}

/// The peers by number, by owner, and by the time at which the sweep looks at them.
pub(super) struct Peers {
    entries: Numbered<PeerEntry>,
    by_owner: Index,
    /// Those that have a key, by where they are.
    by_address: HashMap<Peer, Dense<PeerNumber>, RandomState>,
    due: BTreeSet<(u64, PeerNumber)>,
    /// Retired peers that still have files.
    retired: VecDeque<PeerNumber>,
    /// The last [`PeerEntry::life`].
    lives: u32,
    pub(super) ttl: PeerTtl,
}

impl Peers {
    pub(super) fn new(ttl: PeerTtl) -> Self {
        Self {
            entries: Numbered::default(),
            by_owner: Index::default(),
            by_address: HashMap::default(),
            due: BTreeSet::new(),
            retired: VecDeque::new(),
            lives: 0,
            ttl,
        }
    }

    /// The peer of `owner` that is not retired.
    pub(super) fn find(&self, owner: Owner) -> Option<PeerNumber> {
        self.by_owner.find(&owner, |number| self.get(number).is_some_and(|entry| entry.owner == owner))
    }

    pub(super) fn get(&self, number: PeerNumber) -> Option<&PeerEntry> {
        self.entries.get(number)
    }

    pub(super) fn get_mut(&mut self, number: PeerNumber) -> Option<&mut PeerEntry> {
        self.entries.get_mut(number)
    }

    pub(super) fn find_entry(&self, owner: Owner) -> Option<&PeerEntry> {
        self.find(owner).and_then(|number| self.get(number))
    }

    /// A peer that has no number yet, in a life of its own; `None` when numbers have run out.
    pub(super) fn insert(&mut self, publisher: &Publisher, seen_ms: u64) -> Option<PeerNumber> {
        let life = self.lives.wrapping_add(1);
        self.restore(&PeerRecord { publisher: *publisher, seen_ms, life })
    }

    /// A peer as it was on disk.
    pub(super) fn restore(&mut self, record: &PeerRecord) -> Option<PeerNumber> {
        let Self { entries, by_owner, .. } = self;
        let owner = record.publisher.owner;
        let number = entries.insert(PeerEntry::new(record))?;
        by_owner.insert(&owner, number, |number| entries.get(number).map(|entry| &entry.owner));
        self.lives = self.lives.max(record.life);
        self.come_to(number, owner, record.publisher.address);
        self.schedule(number);
        Some(number)
    }

    /// Takes note of where a peer is now and how long it lives. True when that changed.
    pub(super) fn follow(&mut self, number: PeerNumber, publisher: &Publisher) -> bool {
        let Some(entry) = self.entries.get_mut(number) else { return false };
        let (former, from) = (entry.publisher(), entry.address);
        entry.address = publisher.address;
        entry.port = publisher.port.unwrap_or(0);
        entry.ttl_secs = publisher.ttl_secs.unwrap_or(0);
        let (owner, changed) = (entry.owner, entry.publisher() != former);
        if changed {
            self.leave(number, owner, from);
            self.come_to(number, owner, publisher.address);
            self.schedule(number);
        }
        changed
    }

    /// From here on nobody finds it, and its files can be taken away.
    pub(super) fn retire(&mut self, number: PeerNumber) {
        self.unlist(number);
        self.retired.push_back(number);
    }

    /// Forgets a peer that has no file and is not retired.
    pub(super) fn remove(&mut self, number: PeerNumber) {
        self.unlist(number);
        self.entries.remove(number);
    }

    fn unlist(&mut self, number: PeerNumber) {
        let Some(entry) = self.entries.get_mut(number) else { return };
        entry.retired = true;
        let (owner, address, due_ms) = (entry.owner, entry.address, entry.due_ms);
        self.by_owner.remove(&owner, number);
        self.leave(number, owner, address);
        self.due.remove(&(due_ms, number));
    }

    /// A retired peer that still has files, or has to be removed.
    pub(super) fn first_retired(&self) -> Option<PeerNumber> {
        self.retired.front().copied()
    }

    /// Forgets the first of the retired, which has no file any more.
    pub(super) fn remove_first_retired(&mut self) {
        if let Some(number) = self.retired.pop_front() {
            self.entries.remove(number);
        }
    }

    /// The first peer that is due at `now_ms`.
    pub(super) fn first_due(&self, now_ms: u64) -> Option<PeerNumber> {
        self.due.first().filter(|(due_ms, _)| *due_ms <= now_ms).map(|(_, number)| *number)
    }

    /// Has the sweep look at a peer when it dies if nothing more is heard.
    pub(super) fn schedule(&mut self, number: PeerNumber) {
        let Some(entry) = self.entries.get_mut(number) else { return };
        let due_ms = entry.dies_at(self.ttl);
        self.due.remove(&(entry.due_ms, number));
        entry.due_ms = due_ms;
        if due_ms != u64::MAX {
            self.due.insert((due_ms, number));
        }
    }

    /// Peers at an address that have a key.
    pub(super) fn with_key_at(&self, address: Peer) -> &[PeerNumber] {
        self.by_address.get(&address).map_or(&[], Dense::as_slice)
    }

    /// Those that have no file: what a crash between two groups of writes can leave on disk.
    pub(super) fn idle(&self) -> Vec<Owner> {
        self.entries.iter().filter(|entry| entry.files.is_empty()).map(|entry| entry.owner).collect()
    }

    /// Peers that are not retired.
    pub(super) fn len(&self) -> usize {
        self.by_owner.len()
    }

    fn come_to(&mut self, number: PeerNumber, owner: Owner, address: Peer) {
        if owner.id().is_some() {
            self.by_address.entry(address).or_default().insert(number);
        }
    }

    fn leave(&mut self, number: PeerNumber, owner: Owner, address: Peer) {
        if owner.id().is_some()
            && let Some(there) = self.by_address.get_mut(&address)
        {
            there.remove(number);
            if there.is_empty() {
                self.by_address.remove(&address);
            }
        }
    }
}
