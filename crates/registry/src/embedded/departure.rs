//! How peers go: those that leave and those that died.

use std::sync::Arc;

use peer_core::Owner;

use super::peers::PeerNumber;
use super::table::{Change, Table};
use crate::Swept;

impl Table {
    /// A peer has no file any more, for all who ask from now on. [`Table::take_away`] does the rest. False when there is
    /// no such peer.
    pub(super) fn leave(&mut self, owner: Owner, log: &mut Vec<Change>) -> bool {
        let Some(number) = self.peers.find(owner) else { return false };
        self.retire(number, log);
        true
    }

    /// Takes up to `most` mappings of retired peers away; gives what it did, and whether more are left.
    pub(super) fn take_away(&mut self, most: usize, log: &mut Vec<Change>) -> Swept {
        let mut swept = Swept::default();
        while let Some(number) = self.peers.first_retired() {
            let Some(entry) = self.peers.get(number) else {
                self.peers.remove_first_retired();
                continue;
            };
            let (owner, files) = (entry.owner, entry.files.len());
            let room = most.saturating_sub(swept.mappings);
            if room == 0 && files > 0 {
                swept.more = true;
                break;
            }
            let deleted = self.take_files(number, owner, room);
            swept.mappings += files.min(room);
            if !deleted.is_empty() {
                log.push(Change::Delete { owner, files: deleted });
            }
            if files <= room {
                self.peers.remove_first_retired();
                swept.peers += 1;
            }
        }
        swept
    }

    /// Takes up to `most` files from a retired peer; gives those that have to be deleted from disk.
    fn take_files(&mut self, number: PeerNumber, owner: Owner, most: usize) -> Vec<Arc<str>> {
        let successor = self.peers.find(owner);
        let mut deleted = Vec::new();
        for _ in 0..most {
            let Some(file) = self.peers.get(number).and_then(|entry| entry.files.last()) else { break };
            let name = self.unlink(number, file);
            // The same peer may have published the file again meanwhile: what is on disk is the newer mapping then.
            let renewed = successor
                .and_then(|number| self.peers.get(number))
                .is_some_and(|entry| entry.files.get(file).is_some());
            deleted.extend(name.filter(|_| !renewed));
        }
        deleted
    }

    /// Looks at no more than `most_peers` of those that are due, retires the dead among them, and takes away at most
    /// `most_mappings` of the retired. Those that are alive get their next date.
    pub(super) fn sweep(
        &mut self,
        most_peers: usize,
        most_mappings: usize,
        now_ms: u64,
        log: &mut Vec<Change>,
    ) -> Swept {
        let mut due_left = true;
        for _ in 0..most_peers {
            let Some(number) = self.peers.first_due(now_ms) else {
                due_left = false;
                break;
            };
            if self.is_alive(number, now_ms) {
                self.peers.schedule(number);
            } else {
                self.retire(number, log);
            }
        }
        let swept = self.take_away(most_mappings, log);
        self.forget_reports(most_peers, now_ms);
        Swept { more: swept.more || due_left, ..swept }
    }

    pub(super) fn retire(&mut self, number: PeerNumber, log: &mut Vec<Change>) {
        if let Some(entry) = self.peers.get(number) {
            log.push(Change::Gone { owner: entry.owner });
            self.peers.retire(number);
        }
    }
}
