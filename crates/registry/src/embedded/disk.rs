//! What is on disk, and the engine that keeps it there.
//!
//! The engine is fjall, a log-structured merge tree. We write all the time and read once, at the start: in our
//! measurements (docs/benchmarks/2026-11-24-embedded-engine.md) it wrote a twentieth of the bytes and took a quarter
//! of the CPU time of redb, a B-tree with copy on write, and lost nothing in 17 kills.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `mappings` | peer (16 bytes), file name | content hash |
//! | `peers` | peer (16 bytes) | last sign of life, ms since 1970, 8 bytes, big-endian |

use std::collections::HashMap;
use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};
use peer_core::{ContentHash, Peer};

use super::table::Table;
use crate::RegistryError;

/// Folder below `DATA_DIR`; another form of the data would get another.
const FOLDER: &str = "registry-v1";
/// Cache for reads, in bytes: small, since we read once.
const READ_CACHE_BYTES: u64 = 8 << 20;
/// Writes that the engine keeps in memory before it sorts them into the tree, in bytes.
const MEMTABLE_BYTES: u64 = 16 << 20;
/// Size of the engine's own journal, in bytes; 64 MiB is the least that it takes.
const JOURNAL_BYTES: u64 = 64 << 20;

#[derive(Clone)]
pub(super) struct Disk {
    database: Database,
    mappings: Keyspace,
    peers: Keyspace,
}

impl Disk {
    /// Opens or makes the data below `data_dir`.
    pub(super) fn open(data_dir: &Path) -> Result<Self, RegistryError> {
        let broken = |error| broken_at(data_dir, error);
        std::fs::create_dir_all(data_dir)
            .map_err(|error| RegistryError::Broken(format!("DATA_DIR {}: {error}", data_dir.display())))?;
        let database = Database::builder(data_dir.join(FOLDER))
            .cache_size(READ_CACHE_BYTES)
            .worker_threads(1)
            .max_journaling_size(JOURNAL_BYTES)
            .open()
            .map_err(broken)?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let mappings = database.keyspace("mappings", options).map_err(broken)?;
        let peers = database.keyspace("peers", options).map_err(broken)?;
        Ok(Self { database, mappings, peers })
    }

    /// Reads everything into `table`.
    pub(super) fn load(&self, table: &mut Table) -> Result<(), RegistryError> {
        let mut seen_ms = HashMap::new();
        for entry in self.peers.iter() {
            let (key, value) = entry.into_inner().map_err(unreadable)?;
            let value = <[u8; 8]>::try_from(&*value).map_err(unreadable)?;
            let (peer, _) = split_key(&key)?;
            seen_ms.insert(peer, u64::from_be_bytes(value));
        }
        for entry in self.mappings.iter() {
            let (key, value) = entry.into_inner().map_err(unreadable)?;
            let (peer, name) = split_key(&key)?;
            let hash: ContentHash =
                std::str::from_utf8(&value).map_err(unreadable)?.parse().map_err(unreadable)?;
            let name = std::str::from_utf8(name).map_err(unreadable)?;
            table.insert(peer, name.into(), &hash, seen_ms.get(&peer).copied().unwrap_or(0));
        }
        Ok(())
    }

    /// An empty group of writes, which is on disk as a whole or not at all, and for good once committed.
    /// Of several writes to one key in a group the last counts.
    pub(super) fn batch(&self) -> Batch<'_> {
        Batch { disk: self, writes: self.database.batch().durability(Some(PersistMode::SyncAll)) }
    }
}

pub(super) struct Batch<'a> {
    disk: &'a Disk,
    writes: OwnedWriteBatch,
}

impl Batch<'_> {
    pub(super) fn put(&mut self, peer: Peer, file: &str, hash: &ContentHash) {
        self.writes.insert(&self.disk.mappings, key(peer, file), hash.as_str());
    }

    pub(super) fn delete(&mut self, peer: Peer, file: &str) {
        self.writes.remove(&self.disk.mappings, key(peer, file));
    }

    pub(super) fn seen(&mut self, peer: Peer, seen_ms: u64) {
        self.writes.insert(&self.disk.peers, peer.to_bytes(), seen_ms.to_be_bytes());
    }

    /// Deletes what is known of the peer itself.
    pub(super) fn forget(&mut self, peer: Peer) {
        self.writes.remove(&self.disk.peers, peer.to_bytes());
    }

    /// Writes the group and waits until the disk has it.
    pub(super) fn commit(self) -> Result<(), fjall::Error> {
        self.writes.commit()
    }
}

fn key(peer: Peer, file: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(Peer::ENCODED_BYTES + file.len());
    key.extend_from_slice(&peer.to_bytes());
    key.extend_from_slice(file.as_bytes());
    key
}

fn split_key(key: &[u8]) -> Result<(Peer, &[u8]), RegistryError> {
    let (peer, name) = key.split_first_chunk().ok_or_else(|| unreadable("a key is too short"))?;
    Ok((Peer::from_bytes(*peer).map_err(unreadable)?, name))
}

fn unreadable(error: impl std::fmt::Display) -> RegistryError {
    RegistryError::Broken(format!("DATA_DIR: the data cannot be read: {error}"))
}

fn broken_at(data_dir: &Path, error: fjall::Error) -> RegistryError {
    let dir = data_dir.display();
    RegistryError::Broken(match error {
        fjall::Error::Locked => format!("DATA_DIR {dir}: in use by another process"),
        fjall::Error::Io(error) => format!("DATA_DIR {dir}: {error}"),
        error => format!("DATA_DIR {dir}: {error}"),
    })
}
