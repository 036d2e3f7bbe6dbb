//! Mappings on their way out of the table and into it.

use std::sync::Arc;

use super::contents::Content;
use super::files::Holding;
use super::table::{Change, Table};
use crate::{Entry, Record};

/// Records of one page, in records: well below a millisecond under the lock.
const PAGE: usize = 1_000;
/// Names that are looked at for one page, in names.
const PAGE_NAMES: usize = 2_000;

/// How far an export got.
#[derive(Default)]
pub(super) struct Cursor {
    /// The file that it is at.
    name: Option<Arc<str>>,
    /// The peers of that file, as they were when it came to it, that are left.
    rest: Vec<Holding>,
}

impl Table {
    /// The next records, in order of file name. `None` when there are no more; a page may be empty before that.
    pub(super) fn export(&self, cursor: &mut Cursor, now_ms: u64) -> Option<Vec<Record>> {
        let mut records = Vec::with_capacity(PAGE);
        for _ in 0..PAGE_NAMES {
            while let Some(holding) = cursor.rest.pop() {
                records.extend(self.record(cursor.name.as_deref()?, holding, now_ms));
                if records.len() == PAGE {
                    return Some(records);
                }
            }
            let Some(file) = self.files.names_from("", cursor.name.as_deref()).next() else {
                return (!records.is_empty()).then_some(records);
            };
            cursor.name = Some(Arc::clone(&file.name));
            cursor.rest = file.holders.as_slice().to_vec();
        }
        Some(records)
    }

    /// The mapping of a peer and a file, if it still is and the peer lives.
    fn record(&self, name: &str, holding: Holding, now_ms: u64) -> Option<Record> {
        let file = self.files.find(name).and_then(|number| self.files.get(number))?;
        let content = self.contents.get(file.holders.get(holding.peer)?.content)?;
        let entry = self.peers.get(holding.peer).filter(|entry| entry.is_alive(self.peers.ttl, now_ms))?;
        let entry_of = Entry {
            // What is in the table was a file name when it was put there.
            file: name.parse().ok()?,
            hash: content.hash.clone(),
            size: content.size,
        };
        Some(Record { publisher: entry.publisher(), last_seen_ms: entry.seen_ms(), entry: entry_of })
    }

    /// Takes mappings over from another store; gives how many.
    pub(super) fn import(&mut self, records: &[Record], now_ms: u64, log: &mut Vec<Change>) -> usize {
        records.iter().filter(|record| self.import_one(record, now_ms, log)).count()
    }

    fn import_one(&mut self, record: &Record, now_ms: u64, log: &mut Vec<Change>) -> bool {
        // A clock that is ahead of ours must not make a peer live longer.
        let seen_ms = record.last_seen_ms.min(now_ms);
        let ttl_ms = self.peers.ttl.of_peer_ms(record.publisher.ttl_secs);
        if ttl_ms != 0 && now_ms >= seen_ms.saturating_add(ttl_ms) {
            return false;
        }
        let known = self.peers.find(record.publisher.owner).filter(|number| self.is_alive(*number, now_ms));
        if known.is_none() {
            self.leave(record.publisher.owner, log);
        }
        let Ok((number, _)) = self.enter(&record.publisher, seen_ms, log) else { return false };
        let newer =
            known.is_none_or(|number| self.peers.get(number).is_some_and(|it| it.seen_ms() < seen_ms));
        let moved = newer && self.peers.follow(number, &record.publisher);
        let name = record.entry.file.as_str();
        let has_it = self
            .files
            .find(name)
            .is_some_and(|file| self.peers.get(number).is_some_and(|entry| entry.files.get(file).is_some()));
        let mut taken = has_it;
        // What the peer itself said later counts more.
        if (newer || !has_it) && self.has_room(number, &record.entry.file).is_ok() {
            let content = Content { hash: record.entry.hash.clone(), size: record.entry.size };
            if let Ok(change) = self.link(number, record.entry.file.clone().into_shared(), &content) {
                log.extend(change);
                taken = true;
            }
        }
        self.heard(number, moved || known.is_none(), seen_ms, log);
        self.drop_if_idle(number);
        taken
    }
}
