use std::sync::Arc;

use peer_core::{FileName, Owner};

use super::contents::{Content, Contents};
use super::files::{FileNumber, Files, Holding};
use super::numbered::Numbered;
use super::peers::{PeerEntry, PeerNumber, PeerRecord, Peers};
use super::reports::Reports;
use super::tokens::{Token, TokenUse};
use crate::{Bounds, Entry, PeerTtl, Publisher, RegistryError, Stats, Verdict};

/// What a change to the table means for the disk.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// The peer has the file.
    Put { owner: Owner, life: u32, file: Arc<str>, content: Arc<Content> },
    /// The peer has these files no more.
    Delete { owner: Owner, files: Vec<Arc<str>> },
    /// The peer is gone, and with it all that it published in this life, whether deleted or not.
    Gone { owner: Owner },
    /// What is known of the peer changed; the table knows it.
    Touched { owner: Owner },
    /// A token was used.
    Used(Box<TokenUse>),
    /// Tokens need not be remembered any more.
    Forgotten(Vec<Token>),
    /// Nothing comes after this.
    Close,
}

/// The numbers of 32 bits have run out: with 4,000,000,000 names or contents, which no memory holds.
#[derive(Debug)]
pub(super) struct RunOut;

/// How a heartbeat was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// The peer is not alive.
    Dead,
    /// It is noted; whether the caller is to see that the peer's record gets to disk.
    Noted { save: bool },
    /// It changes more than can be changed under a shared lock.
    Changes,
}

/// Who has what, in memory. Plain data under somebody else's lock; the time is handed in.
///
/// A peer is *alive* while its last sign of life is younger than its time to live. The dead stay in the table until
/// the sweep takes them away, and no read shows them. A peer that leaves, or that is found dead, is *retired* in one
/// step, whatever it has, and its files are taken away in bounded steps after that.
pub(super) struct Table {
    pub(super) files: Files,
    pub(super) peers: Peers,
    pub(super) contents: Contents,
    pub(super) reports: Reports,
    pub(super) mappings: usize,
    bounds: Bounds,
}

impl Table {
    pub(super) fn new(ttl: PeerTtl, bounds: Bounds) -> Self {
        Self {
            files: Files::default(),
            peers: Peers::new(ttl),
            contents: Contents::default(),
            reports: Reports::default(),
            mappings: 0,
            bounds,
        }
    }

    /// Puts a mapping in that was on disk, of a peer that was. False when numbers have run out.
    pub(super) fn restore(&mut self, peer: PeerNumber, file: Arc<str>, entry: &Content) -> bool {
        self.link(peer, file, entry).is_ok()
    }

    /// A peer publishes files. One that had died starts anew: what it had before is gone.
    pub(super) fn publish(
        &mut self,
        publisher: &Publisher,
        entries: &[Entry],
        now_ms: u64,
        log: &mut Vec<Change>,
    ) -> Result<Vec<Verdict>, RegistryError> {
        let owner = publisher.owner;
        let (number, new) = self.enter(publisher, now_ms, log)?;
        let moved = self.peers.follow(number, publisher);
        let waits_ms = self.reports.publish(owner, None, now_ms);
        let verdicts =
            entries.iter().map(|entry| self.publish_one(number, entry, waits_ms, now_ms, log)).collect();
        self.heard(number, moved || new, now_ms, log);
        self.drop_if_idle(number);
        Ok(verdicts)
    }

    fn publish_one(
        &mut self,
        peer: PeerNumber,
        entry: &Entry,
        waits_ms: Option<u64>,
        now_ms: u64,
        log: &mut Vec<Change>,
    ) -> Verdict {
        if let Err(full) = self.has_room(peer, &entry.file) {
            return full;
        }
        let content = Content { hash: entry.hash.clone(), size: entry.size };
        let Ok(change) = self.link(peer, entry.file.clone().into_shared(), &content) else {
            return Verdict::TooManyPeers;
        };
        log.extend(change);
        let Some(owner) = self.peers.get(peer).map(|entry| entry.owner) else { return Verdict::Listed };
        let file_waits_ms = self.reports.publish(owner, Some(entry.file.as_str()), now_ms);
        match file_waits_ms.max(waits_ms) {
            Some(left_ms) => Verdict::Withheld { secs: left_ms.div_ceil(1_000) },
            None => Verdict::Listed,
        }
    }

    /// The number of a peer that is alive from here on, and whether it was not before.
    pub(super) fn enter(
        &mut self,
        publisher: &Publisher,
        seen_ms: u64,
        log: &mut Vec<Change>,
    ) -> Result<(PeerNumber, bool), RegistryError> {
        if let Some(number) = self.peers.find(publisher.owner) {
            if self.is_alive(number, seen_ms) {
                return Ok((number, false));
            }
            self.retire(number, log);
        }
        let run_out = || RegistryError::Unavailable("the numbers of the table have run out".to_owned());
        self.peers.insert(publisher, seen_ms).map(|number| (number, true)).ok_or_else(run_out)
    }

    /// Takes note of a sign of life, and of whatever else `changed` of the peer.
    pub(super) fn heard(&self, number: PeerNumber, changed: bool, seen_ms: u64, log: &mut Vec<Change>) {
        let Some(entry) = self.peers.get(number).filter(|entry| !entry.files.is_empty()) else { return };
        let due = entry.hear(self.peers.ttl, seen_ms);
        if due || (changed && entry.must_save()) {
            log.push(Change::Touched { owner: entry.owner });
        }
    }

    /// A peer has these files no more. Nothing happens for those that it had not.
    pub(super) fn unpublish(&mut self, owner: Owner, files: &[FileName], now_ms: u64, log: &mut Vec<Change>) {
        let Some(number) = self.peers.find(owner) else { return };
        let mut removed = Vec::new();
        for file in files {
            let Some(file_number) = self.files.find(file.as_str()) else { continue };
            removed.extend(self.unlink(number, file_number));
        }
        if !removed.is_empty() {
            log.push(Change::Delete { owner, files: removed });
        }
        if self.is_alive(number, now_ms) {
            self.heard(number, false, now_ms, log);
        }
        if self.drop_if_idle(number) {
            log.push(Change::Gone { owner });
        }
    }

    /// A sign of life of a peer that is alive. True when the caller is to see that its record gets to disk.
    pub(super) fn touch(&self, owner: Owner, now_ms: u64) -> bool {
        let ttl = self.peers.ttl;
        let Some(entry) = self.peers.find_entry(owner) else { return false };
        entry.is_alive(ttl, now_ms) && entry.touch(ttl, now_ms)
    }

    /// A heartbeat that changes nothing but the time, if it is one.
    pub(super) fn hear(&self, publisher: &Publisher, now_ms: u64) -> Heard {
        let ttl = self.peers.ttl;
        let entry = self.peers.find_entry(publisher.owner).filter(|entry| entry.is_alive(ttl, now_ms));
        let Some(entry) = entry else { return Heard::Dead };
        if entry.publisher() != after_heartbeat(entry, publisher) || self.reports.knows(publisher.owner) {
            return Heard::Changes;
        }
        Heard::Noted { save: entry.hear(ttl, now_ms) }
    }

    /// A heartbeat. False when the peer is not alive.
    pub(super) fn heartbeat(&mut self, publisher: &Publisher, now_ms: u64, log: &mut Vec<Change>) -> bool {
        let Some(number) = self.peers.find(publisher.owner).filter(|it| self.is_alive(*it, now_ms)) else {
            return false;
        };
        let Some(after) = self.peers.get(number).map(|entry| after_heartbeat(entry, publisher)) else {
            return false;
        };
        let changed = self.peers.follow(number, &after);
        self.reports.heartbeat(publisher.owner, now_ms);
        self.heard(number, changed, now_ms, log);
        true
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            peers: self.peers.len() as u64,
            files: self.files.len() as u64,
            mappings: self.mappings as u64,
        }
    }

    pub(super) fn save(&self, owner: Owner) -> Option<PeerRecord> {
        self.peers.find_entry(owner).map(PeerEntry::save)
    }

    /// A record could not be sent to disk: the next sign of life shall try again.
    pub(super) fn save_failed(&self, owner: Owner) {
        if let Some(entry) = self.peers.find_entry(owner) {
            entry.save_failed();
        }
    }

    pub(super) fn is_alive(&self, number: PeerNumber, now_ms: u64) -> bool {
        self.peers.get(number).is_some_and(|entry| entry.is_alive(self.peers.ttl, now_ms))
    }

    /// Whether a peer may have one more file and the file one more peer, or have each other.
    pub(super) fn has_room(&self, peer: PeerNumber, file: &FileName) -> Result<(), Verdict> {
        let Some(entry) = self.peers.get(peer) else { return Ok(()) };
        let file = self.files.find(file.as_str()).and_then(|number| Some((number, self.files.get(number)?)));
        if file.is_some_and(|(number, _)| entry.files.get(number).is_some()) {
            return Ok(());
        }
        if entry.files.len() >= self.bounds.files_per_peer {
            return Err(Verdict::TooManyFiles);
        }
        if file.is_some_and(|(_, file)| file.holders.len() >= self.bounds.peers_per_file) {
            return Err(Verdict::TooManyPeers);
        }
        Ok(())
    }

    /// Puts a mapping into all indexes; gives what has to get to disk, if it is not there.
    pub(super) fn link(
        &mut self,
        peer: PeerNumber,
        file: Arc<str>,
        content: &Content,
    ) -> Result<Option<Change>, RunOut> {
        if self.files.len() >= Numbered::<()>::MAX {
            return Err(RunOut);
        }
        let file_number = match self.files.find(&file) {
            Some(number) => number,
            None => self.files.insert(file).ok_or(RunOut)?,
        };
        let content_number = self.contents.acquire(&content.hash, content.size).ok_or(RunOut)?;
        let file = self.files.get_mut(file_number).ok_or(RunOut)?;
        let entry = self.peers.get_mut(peer).ok_or(RunOut)?;
        if let Some(former) = file.holders.insert(Holding { peer, content: content_number }) {
            self.contents.release(former.content);
            if former.content == content_number {
                return Ok(None);
            }
        } else {
            entry.files.insert(file_number);
            self.mappings += 1;
        }
        let content = Arc::clone(self.contents.get(content_number).ok_or(RunOut)?);
        Ok(Some(Change::Put { owner: entry.owner, life: entry.life, file: Arc::clone(&file.name), content }))
    }

    /// Takes one mapping out of all indexes; gives the file's name. `None` where there is none.
    pub(super) fn unlink(&mut self, peer: PeerNumber, file_number: FileNumber) -> Option<Arc<str>> {
        self.peers.get_mut(peer)?.files.remove(file_number)?;
        let file = self.files.get_mut(file_number)?;
        let name = Arc::clone(&file.name);
        let holding = file.holders.remove(peer);
        if file.holders.is_empty() {
            self.files.remove(file_number);
        }
        if let Some(holding) = holding {
            self.contents.release(holding.content);
            self.mappings -= 1;
        }
        Some(name)
    }

    /// Forgets a peer that has no file. Gives whether it had none.
    pub(super) fn drop_if_idle(&mut self, number: PeerNumber) -> bool {
        let idle = self.peers.get(number).is_some_and(|entry| entry.files.is_empty());
        if idle {
            self.peers.remove(number);
        }
        idle
    }
}

/// What is known of a peer after a heartbeat: where it is now, and how long it lives where it said so.
fn after_heartbeat(entry: &PeerEntry, heartbeat: &Publisher) -> Publisher {
    Publisher { ttl_secs: heartbeat.ttl_secs.or(entry.publisher().ttl_secs), ..*heartbeat }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
