use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use parking_lot::RwLock;
use peer_core::{ContentHash, FileName, Peer};

use super::disk::Disk;
use super::journal::Journal;
use super::table::{Change, Table};
use crate::{FilePage, FilesQuery, PeerTtl, Registry, RegistryError, Swept};

/// Most changes that one call of a peer makes: it is forgotten, then it publishes.
const CHANGES_OF_A_CALL: usize = 2;
/// Peers that one step of the sweep looks at, in peers, which bounds the changes that it makes.
const SWEEP_PEERS: usize = 256;
/// Mappings that one step of the sweep takes away, in mappings: about a millisecond under the lock.
const SWEEP_MAPPINGS: usize = 2_000;

/// The registry inside the process.
pub struct EmbeddedRegistry {
    table: Arc<RwLock<Table>>,
    journal: Arc<Journal>,
}

impl EmbeddedRegistry {
    /// Opens the store in `data_dir`, makes it where there is none, and reads it into memory. Blocks. Fails when
    /// another process has it open.
    pub fn open(data_dir: &Path, ttl: PeerTtl) -> Result<Self, RegistryError> {
        let disk = Disk::open(data_dir)?;
        let mut table = Table::new(ttl.as_ms());
        disk.load(&mut table)?;
        tracing::info!(
            mappings = table.mappings(),
            files = table.file_count(),
            peers = table.peer_count(),
            dir = %data_dir.display(),
            "embedded store is open"
        );
        let table = Arc::new(RwLock::new(table));
        let journal = Journal::start(disk, Arc::clone(&table))
            .map_err(|error| RegistryError::Broken(format!("journal thread: {error}")))?;
        Ok(Self { table, journal: Arc::new(journal) })
    }

    /// Changes the table and hands the changes to the journal, in the order of the table since both happen under
    /// its lock.
    fn change<T>(
        &self,
        most_changes: usize,
        change: impl FnOnce(&mut Table, &mut Vec<Change>) -> T,
    ) -> Result<T, RegistryError> {
        let room = self.journal.reserve(most_changes)?;
        let mut changes = Vec::with_capacity(most_changes);
        let mut table = self.table.write();
        let result = change(&mut table, &mut changes);
        for (permit, change) in room.zip(changes) {
            permit.send(change);
        }
        Ok(result)
    }

    fn touch(&self, caller: Peer) {
        if self.table.read().touch(caller, now_ms()) {
            self.save_touch(caller);
        }
    }

    fn save_touch(&self, caller: Peer) {
        if !self.journal.try_send(Change::Touched { peer: caller }) {
            self.table.read().untouch(caller);
        }
    }
}

#[async_trait]
impl Registry for EmbeddedRegistry {
    async fn add(&self, caller: Peer, file: &FileName, hash: &ContentHash) -> Result<(), RegistryError> {
        let now_ms = now_ms();
        self.change(CHANGES_OF_A_CALL, |table, changes| table.add(caller, file, hash, now_ms, changes))?
    }

    async fn remove(&self, caller: Peer, peer: Peer, file: &FileName) -> Result<(), RegistryError> {
        self.change(CHANGES_OF_A_CALL, |table, changes| table.remove(peer, file, changes))?;
        self.touch(caller);
        Ok(())
    }

    async fn remove_peer(&self, caller: Peer, peer: Peer) -> Result<(), RegistryError> {
        self.change(CHANGES_OF_A_CALL, |table, changes| table.forget(peer, changes))?;
        self.touch(caller);
        Ok(())
    }

    async fn peers(&self, caller: Peer, file: &FileName, limit: usize) -> Result<Vec<Peer>, RegistryError> {
        let start = fastrand::usize(..);
        let now_ms = now_ms();
        let (peers, touched) = {
            let table = self.table.read();
            (table.holders(file, limit, start, now_ms), table.touch(caller, now_ms))
        };
        if touched {
            self.save_touch(caller);
        }
        Ok(peers)
    }

    async fn files(&self, caller: Peer, query: &FilesQuery) -> Result<FilePage, RegistryError> {
        self.touch(caller);
        Ok(self.table.read().files(query, now_ms()))
    }

    async fn sweep(&self) -> Result<Swept, RegistryError> {
        let now_ms = now_ms();
        self.change(SWEEP_PEERS, |table, changes| table.sweep(SWEEP_PEERS, SWEEP_MAPPINGS, now_ms, changes))
    }

    fn ready(&self) -> Result<(), RegistryError> {
        self.journal.ready()
    }

    async fn close(&self) {
        let journal = Arc::clone(&self.journal);
        // It waits for the disk, and this may be a thread that serves requests.
        let _ = tokio::task::spawn_blocking(move || journal.close()).await;
    }
}

impl Drop for EmbeddedRegistry {
    fn drop(&mut self) {
        // Without a thread that waits there is nothing to do where `close` was called before.
        let journal = Arc::clone(&self.journal);
        if let Ok(closer) = std::thread::Builder::new().spawn(move || journal.close()) {
            let _ = closer.join();
        }
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
