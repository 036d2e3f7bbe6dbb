use peer_core::limits::FILES_PER_PEER_MAX;
use peer_core::{ContentHash, FileName, Peer};
use std::sync::Arc;

use super::files::{FileId, Files};
use super::hashes::Hashes;
use super::peers::{PeerEntry, PeerId, Peers};
use crate::{FilePage, FilesQuery, RegistryError, Swept};

/// Holders of a file that one read looks at, as a multiple of the limit: the dead among them that no sweep has
/// taken away yet must not make a read long.
const SCAN_FACTOR: usize = 16;

/// Holders of a file that the listing looks at to find a living one, in peers. A file whose first so many all died since
/// the last sweep is not listed until the next.
const LISTING_SCAN: usize = 64;

/// What a change to the table means for the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// The peer has the file, and gave a sign of life with it.
    Put { peer: Peer, file: Arc<str>, hash: ContentHash, seen_ms: u64 },
    /// The peer has these files no more, and none at all where it is `gone`.
    Forget { peer: Peer, files: Vec<Arc<str>>, gone: bool },
    /// The peer gave a sign of life; the table knows when.
    Touched { peer: Peer },
    /// Nothing comes after this.
    Close,
}

/// Who has what, in memory. Plain data under somebody else's lock; the time is handed in.
///
/// A peer is *alive* while its last sign of life is younger than the time to live. The dead stay in the table
/// until the sweep takes them away, and no read shows them.
pub(super) struct Table {
    files: Files,
    peers: Peers,
    hashes: Hashes,
    /// 0 is never.
    peer_ttl_ms: u64,
    mappings: usize,
}

impl Table {
    pub(super) fn new(peer_ttl_ms: u64) -> Self {
        Self {
            files: Files::default(),
            peers: Peers::default(),
            hashes: Hashes::default(),
            peer_ttl_ms,
            mappings: 0,
        }
    }

    /// Puts a mapping in that was read from disk, or that a peer publishes. False when numbers have run out.
    pub(super) fn insert(&mut self, peer: Peer, file: Arc<str>, hash: &ContentHash, seen_ms: u64) -> bool {
        let due_ms = self.dies_at(seen_ms);
        let Some(peer_id) = self.peers.find_or_insert(peer, seen_ms, due_ms) else { return false };
        let Some(hash_id) = self.hashes.acquire(hash) else { return false };
        let Some(file_id) = self.files.find_or_insert(file) else { return false };
        let (Some(file), Some(entry)) = (self.files.get_mut(file_id), self.peers.get_mut(peer_id)) else {
            return false;
        };
        entry.files.insert(file_id);
        match file.holders.insert(peer_id, hash_id) {
            Some(former) => self.hashes.release(former),
            None => self.mappings += 1,
        }
        true
    }

    /// A peer publishes a file. One that had died starts anew: what it had before is gone.
    pub(super) fn add(
        &mut self,
        peer: Peer,
        file: &FileName,
        hash: &ContentHash,
        now_ms: u64,
        log: &mut Vec<Change>,
    ) -> Result<(), RegistryError> {
        if let Some(id) = self.peers.find(peer)
            && !self.is_alive_id(id, now_ms)
        {
            log.push(self.forget_files(peer, id, usize::MAX));
        }
        if self.is_full(peer, file) {
            return Err(RegistryError::TooManyFiles);
        }
        let name = file.clone().into_shared();
        if !self.insert(peer, Arc::clone(&name), hash, now_ms) {
            return Err(RegistryError::Unavailable("the numbers of the table have run out".to_owned()));
        }
        if let Some(entry) = self.peers.find(peer).and_then(|id| self.peers.get(id)) {
            entry.touch(now_ms);
            log.push(Change::Put { peer, file: name, hash: hash.clone(), seen_ms: entry.save() });
        }
        Ok(())
    }

    /// A peer has a file no more. Nothing happens where it had not.
    pub(super) fn remove(&mut self, peer: Peer, file: &FileName, log: &mut Vec<Change>) {
        let Some(peer_id) = self.peers.find(peer) else { return };
        let Some(file_id) = self.files.find(file.as_str()) else { return };
        if self.unlink(peer_id, file_id) {
            let gone = self.drop_if_idle(peer_id);
            log.push(Change::Forget { peer, files: vec![file.clone().into_shared()], gone });
        }
    }

    /// A peer has no file any more.
    pub(super) fn forget(&mut self, peer: Peer, log: &mut Vec<Change>) {
        let Some(id) = self.peers.find(peer) else { return };
        log.push(self.forget_files(peer, id, usize::MAX));
    }

    /// A sign of life of a peer that is alive. True when the caller is to see that it gets to disk.
    pub(super) fn touch(&self, peer: Peer, now_ms: u64) -> bool {
        let Some(entry) = self.peers.find(peer).and_then(|id| self.peers.get(id)) else { return false };
        self.is_alive(entry, now_ms) && entry.touch(now_ms)
    }

    /// A sign of life did not get to the journal: the next one shall try again.
    pub(super) fn untouch(&self, peer: Peer) {
        if let Some(entry) = self.peers.find(peer).and_then(|id| self.peers.get(id)) {
            entry.save();
        }
    }

    /// The last sign of life of a peer, to be written to disk.
    pub(super) fn save_seen(&self, peer: Peer) -> Option<u64> {
        self.peers.find(peer).and_then(|id| self.peers.get(id)).map(PeerEntry::save)
    }

    /// At most `limit` living peers that have a file, from a start that the caller draws.
    pub(super) fn holders(&self, file: &FileName, limit: usize, start: usize, now_ms: u64) -> Vec<Peer> {
        let Some(file) = self.files.find(file.as_str()).and_then(|id| self.files.get(id)) else {
            return Vec::new();
        };
        let count = file.holders.len();
        if count == 0 {
            return Vec::new();
        }
        let start = start % count;
        let places = (start..count).chain(0..start).take(limit.saturating_mul(SCAN_FACTOR));
        places
            .filter_map(|place| file.holders.get_index(place))
            .filter_map(|(id, _)| self.peers.get(*id))
            .filter(|entry| self.is_alive(entry, now_ms))
            .map(|entry| entry.peer)
            .take(limit)
            .collect()
    }

    /// A page of the names that a living peer has.
    pub(super) fn files(&self, query: &FilesQuery, now_ms: u64) -> FilePage {
        let mut page = FilePage::default();
        let most = query.limit.saturating_mul(SCAN_FACTOR);
        for (looked_at, (name, id)) in
            self.files.names_from(&query.prefix, query.after.as_deref()).enumerate()
        {
            if page.files.len() == query.limit || looked_at == most {
                page.more = true;
                break;
            }
            page.last = Some(name.to_string());
            if self.has_living_holder(id, now_ms) {
                page.files.push(name.to_string());
            }
        }
        page
    }

    /// Looks at no more than `most_peers` of those that are due and takes away at most `most_mappings` of the dead
    /// among them. Those that are alive get their next date.
    pub(super) fn sweep(
        &mut self,
        most_peers: usize,
        most_mappings: usize,
        now_ms: u64,
        log: &mut Vec<Change>,
    ) -> Swept {
        let mut swept = Swept::default();
        for _ in 0..most_peers {
            let Some(id) = self.peers.first_due(now_ms) else { return swept };
            let Some(entry) = self.peers.get(id) else { return swept };
            if self.is_alive(entry, now_ms) {
                let due_ms = self.dies_at(entry.seen_ms());
                self.peers.reschedule(id, due_ms);
                continue;
            }
            let (peer, files) = (entry.peer, entry.files.len());
            let room = most_mappings.saturating_sub(swept.mappings);
            log.push(self.forget_files(peer, id, room));
            swept.mappings += files.min(room);
            if files > room {
                break;
            }
            swept.peers += 1;
        }
        swept.more = true;
        swept
    }

    pub(super) fn mappings(&self) -> usize {
        self.mappings
    }

    pub(super) fn file_count(&self) -> usize {
        self.files.len()
    }

    pub(super) fn peer_count(&self) -> usize {
        self.peers.len()
    }

    fn is_full(&self, peer: Peer, file: &FileName) -> bool {
        let Some(entry) = self.peers.find(peer).and_then(|id| self.peers.get(id)) else { return false };
        let has_it = || self.files.find(file.as_str()).is_some_and(|id| entry.files.contains(&id));
        entry.files.len() >= FILES_PER_PEER_MAX && !has_it()
    }

    fn dies_at(&self, seen_ms: u64) -> u64 {
        if self.peer_ttl_ms == 0 { u64::MAX } else { seen_ms.saturating_add(self.peer_ttl_ms) }
    }

    fn is_alive(&self, entry: &PeerEntry, now_ms: u64) -> bool {
        now_ms < self.dies_at(entry.seen_ms())
    }

    fn is_alive_id(&self, id: PeerId, now_ms: u64) -> bool {
        self.peers.get(id).is_some_and(|entry| self.is_alive(entry, now_ms))
    }

    fn has_living_holder(&self, id: FileId, now_ms: u64) -> bool {
        let Some(file) = self.files.get(id) else { return false };
        file.holders.keys().take(LISTING_SCAN).any(|id| self.is_alive_id(*id, now_ms))
    }

    /// Takes at most `most` files away from a peer, and the peer itself with the last.
    fn forget_files(&mut self, peer: Peer, id: PeerId, most: usize) -> Change {
        let mut files = Vec::new();
        while files.len() < most
            && let Some(file_id) = self.peers.get(id).and_then(|entry| entry.files.last().copied())
        {
            files.extend(self.files.get(file_id).map(|file| Arc::clone(&file.name)));
            self.unlink(id, file_id);
        }
        let gone = self.drop_if_idle(id);
        Change::Forget { peer, files, gone }
    }

    /// Takes one mapping out of all indexes. False where there is none.
    fn unlink(&mut self, peer_id: PeerId, file_id: FileId) -> bool {
        let Some(entry) = self.peers.get_mut(peer_id) else { return false };
        if !entry.files.swap_remove(&file_id) {
            return false;
        }
        let Some(file) = self.files.get_mut(file_id) else { return false };
        if let Some(hash_id) = file.holders.swap_remove(&peer_id) {
            self.hashes.release(hash_id);
            self.mappings -= 1;
        }
        if file.holders.is_empty() {
            self.files.remove(file_id);
        }
        true
    }

    /// Forgets a peer that has no file. Gives whether it had none.
    fn drop_if_idle(&mut self, id: PeerId) -> bool {
        let idle = self.peers.get(id).is_some_and(|entry| entry.files.is_empty());
        if idle {
            self.peers.remove(id);
        }
        idle
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
