use std::collections::BTreeSet;
use std::hash::RandomState;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hashbrown::HashMap;
use indexmap::IndexSet;
use peer_core::Peer;
use slab::Slab;

use super::files::FileId;

/// Number of a peer in [`Peers`].
pub(super) type PeerId = u32;

/// The files of a peer.
pub(super) type Held = IndexSet<FileId, hashbrown::DefaultHashBuilder>;

/// A peer that has at least one file.
pub(super) struct PeerEntry {
    pub(super) peer: Peer,
    pub(super) files: Held,
    /// Last sign of life in ms since 1970. Atomic, so that one is taken note of under a shared lock.
    seen_ms: AtomicU64,
    /// Whether `seen_ms` changed since it was last written to disk.
    unsaved: AtomicBool,
    /// When the sweep looks at it, in ms since 1970: its place in [`Peers::due`].
    due_ms: u64,
}

impl PeerEntry {
    pub(super) fn seen_ms(&self) -> u64 {
        self.seen_ms.load(Ordering::Relaxed)
    }

    /// Takes note of a sign of life. True when the peer has to be written to disk and is not yet marked so.
    pub(super) fn touch(&self, now_ms: u64) -> bool {
        self.seen_ms.fetch_max(now_ms, Ordering::Relaxed);
        // The load first: a peer that asks often must not take the cache line from the other cores each time.
        !self.unsaved.load(Ordering::Relaxed) && !self.unsaved.swap(true, Ordering::Relaxed)
    }

    /// What is to be written to disk now.
    pub(super) fn save(&self) -> u64 {
        self.unsaved.store(false, Ordering::Relaxed);
        self.seen_ms()
    }
}

/// The peers by number, by address and by the time at which the sweep looks at them.
#[derive(Default)]
pub(super) struct Peers {
    entries: Slab<PeerEntry>,
    by_peer: HashMap<Peer, PeerId, RandomState>,
    due: BTreeSet<(u64, PeerId)>,
}

impl Peers {
    pub(super) fn find(&self, peer: Peer) -> Option<PeerId> {
        self.by_peer.get(&peer).copied()
    }

    pub(super) fn get(&self, id: PeerId) -> Option<&PeerEntry> {
        self.entries.get(id as usize)
    }

    pub(super) fn get_mut(&mut self, id: PeerId) -> Option<&mut PeerEntry> {
        self.entries.get_mut(id as usize)
    }

    /// The number of `peer`, a new one if need be; `None` when the numbers have run out.
    pub(super) fn find_or_insert(&mut self, peer: Peer, seen_ms: u64, due_ms: u64) -> Option<PeerId> {
        if let Some(id) = self.find(peer) {
            return Some(id);
        }
        let id = PeerId::try_from(self.entries.vacant_key()).ok()?;
        self.entries.insert(PeerEntry {
            peer,
            files: Held::default(),
            seen_ms: AtomicU64::new(seen_ms),
            unsaved: AtomicBool::new(false),
            due_ms,
        });
        self.by_peer.insert(peer, id);
        self.due.insert((due_ms, id));
        Some(id)
    }

    /// Forgets a peer that has no file any more.
    pub(super) fn remove(&mut self, id: PeerId) {
        let Some(entry) = self.entries.try_remove(id as usize) else { return };
        self.by_peer.remove(&entry.peer);
        self.due.remove(&(entry.due_ms, id));
    }

    /// The first peer that is due at `now_ms`.
    pub(super) fn first_due(&self, now_ms: u64) -> Option<PeerId> {
        self.due.first().filter(|(due_ms, _)| *due_ms <= now_ms).map(|(_, id)| *id)
    }

    /// Moves the sweep's next look at `id` to `due_ms`.
    pub(super) fn reschedule(&mut self, id: PeerId, due_ms: u64) {
        let Some(entry) = self.entries.get_mut(id as usize) else { return };
        self.due.remove(&(entry.due_ms, id));
        entry.due_ms = due_ms;
        self.due.insert((due_ms, id));
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
