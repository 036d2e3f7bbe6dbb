//! What is on disk, and the engine that keeps it there.
//!
//! The engine is fjall, a log-structured merge tree. We write all the time and read once, at the start: in our
//! measurements (docs/benchmarks/2026-11-24-embedded-engine.md) it wrote a twentieth of the bytes and took a quarter
//! of the CPU time of redb, a B-tree with copy on write, and lost nothing in 17 kills.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `mappings` | owner, file name | life of the peer, size, content hash |
//! | `peers` | owner | last sign of life, life, time to live, address, port |
//! | `tokens` | token that was used | until when it is remembered |
//!
//! `records` has their bytes. A mapping counts only with the record of its peer in the same life: deleting that one record,
//! or writing one of a new life, ends all mappings at once, and nothing half deleted comes back after a crash.

use std::path::{Path, PathBuf};

use fjall::config::FilterPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};
use peer_core::Owner;

use super::contents::Content;
use super::peers::PeerRecord;
use super::records::{
    mapping_key, mapping_value, owner_key, peer_value, read_mapping, read_peer, read_token, split_key,
    unreadable,
};
use super::table::Table;
use super::tokens::{Token, TokenUse, Tokens};
use crate::RegistryError;

/// Folder below `DATA_DIR`; another form of the data would get another.
const FOLDER: &str = "registry-v2";
/// Cache for reads, in bytes: small, since we read once.
const READ_CACHE_BYTES: u64 = 1 << 20;
/// Writes that the engine keeps in memory before it sorts them into the tree, in bytes without what it needs to find them. It
/// keeps five times as many where the disk is slow, before it lets us wait.
const MEMTABLE_BYTES: u64 = 2 << 20;
/// Size of the engine's own journal, in bytes; 64 MiB is the least that it takes.
const JOURNAL_BYTES: u64 = 64 << 20;
/// Leftovers that are deleted in one group at the start, in keys.
const CLEAN_UP_GROUP: usize = 4_096;

#[derive(Clone)]
pub(super) struct Disk {
    database: Database,
    mappings: Keyspace,
    peers: Keyspace,
    tokens: Keyspace,
}

impl Disk {
    /// Opens or makes the data below `data_dir`.
    pub(super) fn open(data_dir: &Path) -> Result<Self, RegistryError> {
        let broken = |error| broken_at(data_dir, error);
        std::fs::create_dir_all(data_dir)
            .map_err(|error| RegistryError::Broken(format!("DATA_DIR {}: {error}", data_dir.display())))?;
        let database = open_database(data_dir.join(FOLDER)).map_err(broken)?;
        // Nothing is ever looked up by its key, which is what filters are for.
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES)
                .filter_policy(FilterPolicy::disabled())
        };
        let mappings = database.keyspace("mappings", options).map_err(broken)?;
        let peers = database.keyspace("peers", options).map_err(broken)?;
        let tokens = database.keyspace("tokens", options).map_err(broken)?;
        Ok(Self { database, mappings, peers, tokens })
    }

    /// Reads everything into memory, and deletes what a crash left behind.
    pub(super) fn load(
        &self,
        table: &mut Table,
        tokens: &mut Tokens,
        now_ms: u64,
    ) -> Result<(), RegistryError> {
        for entry in self.peers.iter() {
            let (key, value) = entry.into_inner().map_err(unreadable)?;
            let (owner, _) = split_key(&key)?;
            table.peers.restore(&read_peer(owner, &value)?).ok_or_else(|| unreadable("too many peers"))?;
        }
        self.load_mappings(table)?;
        self.load_tokens(tokens, now_ms)
    }

    fn load_mappings(&self, table: &mut Table) -> Result<(), RegistryError> {
        let mut leftovers = CleanUp::new(self, &self.mappings);
        // The mappings of one peer stand together.
        let mut current = None;
        for entry in self.mappings.iter() {
            let (key, value) = entry.into_inner().map_err(unreadable)?;
            let (owner, name) = split_key(&key)?;
            let (life, content) = read_mapping(&value)?;
            if current.is_none_or(|(of, _)| of != owner) {
                let number = table.peers.find(owner);
                let known = number.and_then(|number| Some((number, table.peers.get(number)?.life)));
                current = Some((owner, known));
            }
            match current.and_then(|(_, known)| known) {
                Some((number, its_life)) if its_life == life => {
                    if !table.restore(number, name.into(), &content) {
                        return Err(unreadable("too many files"));
                    }
                }
                _ => leftovers.delete(key)?,
            }
        }
        leftovers.finish()?;
        let mut idle = CleanUp::new(self, &self.peers);
        for owner in table.peers.idle() {
            idle.delete(owner_key(owner, 0))?;
            if let Some(number) = table.peers.find(owner) {
                table.drop_if_idle(number);
            }
        }
        idle.finish()
    }

    fn load_tokens(&self, tokens: &mut Tokens, now_ms: u64) -> Result<(), RegistryError> {
        let mut expired = CleanUp::new(self, &self.tokens);
        let mut known = Vec::new();
        for entry in self.tokens.iter() {
            let (key, value) = entry.into_inner().map_err(unreadable)?;
            let (token, until_ms) = read_token(&key, &value)?;
            if now_ms < until_ms {
                known.push((until_ms, token));
            } else {
                expired.delete(key)?;
            }
        }
        known.sort_unstable();
        for (until_ms, token) in known {
            // There are no more than there were.
            let _ = tokens.restore(token, until_ms, now_ms);
        }
        expired.finish()
    }

    /// Waits until all that was committed is on disk for good.
    pub(super) fn sync(&self) -> Result<(), fjall::Error> {
        self.database.persist(PersistMode::SyncAll)
    }

    /// An empty group of writes, which is on disk as a whole or not at all; `for_good` once committed, with all before it,
    /// or with the next that is. Of several writes to one key in a group the last counts.
    pub(super) fn batch(&self, for_good: bool) -> Batch<'_> {
        let mode = for_good.then_some(PersistMode::SyncAll);
        Batch { disk: self, writes: self.database.batch().durability(mode), len: 0 }
    }
}

/// Opens or makes a database of the engine.
pub(super) fn open_database(folder: PathBuf) -> Result<Database, fjall::Error> {
    Database::builder(folder)
        .cache_size(READ_CACHE_BYTES)
        .worker_threads(1)
        .max_journaling_size(JOURNAL_BYTES)
        .open()
}

/// Deletes keys of one keyspace in groups.
struct CleanUp<'a> {
    disk: &'a Disk,
    keyspace: &'a Keyspace,
    batch: Batch<'a>,
}

impl<'a> CleanUp<'a> {
    fn new(disk: &'a Disk, keyspace: &'a Keyspace) -> Self {
        Self { disk, keyspace, batch: disk.batch(true) }
    }

    fn delete(&mut self, key: impl Into<fjall::UserKey>) -> Result<(), RegistryError> {
        self.batch.writes.remove(self.keyspace, key);
        self.batch.len += 1;
        if self.batch.len >= CLEAN_UP_GROUP {
            std::mem::replace(&mut self.batch, self.disk.batch(true)).commit().map_err(unwritable)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(), RegistryError> {
        if self.batch.len == 0 { Ok(()) } else { self.batch.commit().map_err(unwritable) }
    }
}

pub(super) struct Batch<'a> {
    disk: &'a Disk,
    writes: OwnedWriteBatch,
    len: usize,
}

impl Batch<'_> {
    pub(super) fn put(&mut self, owner: Owner, life: u32, file: &str, content: &Content) {
        self.writes.insert(&self.disk.mappings, mapping_key(owner, file), mapping_value(life, content));
        self.len += 1;
    }

    pub(super) fn delete(&mut self, owner: Owner, file: &str) {
        self.writes.remove(&self.disk.mappings, mapping_key(owner, file));
        self.len += 1;
    }

    pub(super) fn put_peer(&mut self, record: &PeerRecord) {
        self.writes.insert(&self.disk.peers, owner_key(record.publisher.owner, 0), peer_value(record));
        self.len += 1;
    }

    /// Deletes what is known of the peer itself.
    pub(super) fn delete_peer(&mut self, owner: Owner) {
        self.writes.remove(&self.disk.peers, owner_key(owner, 0));
        self.len += 1;
    }

    pub(super) fn token(&mut self, used: &TokenUse) {
        self.writes.insert(&self.disk.tokens, used.token, used.until_ms.to_be_bytes());
        self.delete_tokens(&used.forgotten);
    }

    pub(super) fn delete_tokens(&mut self, tokens: &[Token]) {
        for token in tokens {
            self.writes.remove(&self.disk.tokens, *token);
        }
        self.len += tokens.len() + 1;
    }

    /// Writes in the group.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Writes the group and waits until the disk has it, where it is for good.
    pub(super) fn commit(self) -> Result<(), fjall::Error> {
        self.writes.commit()
    }
}

pub(super) fn unwritable(error: impl std::fmt::Display) -> RegistryError {
    RegistryError::Broken(format!("DATA_DIR: the data cannot be written: {error}"))
}

pub(super) fn broken_at(data_dir: &Path, error: fjall::Error) -> RegistryError {
    let dir = data_dir.display();
    RegistryError::Broken(match error {
        fjall::Error::Locked => format!(
            "DATA_DIR {dir}: in use by another process; end that one, or set a DATA_DIR of its own for this one"
        ),
        fjall::Error::Io(error) => format!("DATA_DIR {dir}: {error}"),
        error => format!("DATA_DIR {dir}: {error}"),
    })
}
