use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use peer_core::{FileName, Owner, Peer};
use tokio::sync::mpsc;

use super::disk::Disk;
use super::groups;
use super::journal::Journal;
use super::moving::Cursor;
use super::table::{Change, Heard, Table};
use super::takeover;
use super::tokens::{Refused, Token, Tokens};
use crate::{
    Bounds, Durations, Entry, FilePage, FilesQuery, Holders, HoldersQuery, PeerTtl, Publisher, Record,
    Registry, RegistryError, Report, Stats, Swept, Verdict,
};

/// Changes of a call besides those of its entries, in changes: a peer is gone, its record changed.
const CHANGES_OF_A_CALL: usize = 2;
/// Changes of an imported record, in changes: its mapping, its peer gone and come.
const CHANGES_OF_A_RECORD: usize = 3;
/// Peers that one step of the sweep looks at, in peers, which bounds the changes that it makes.
const SWEEP_PEERS: usize = 256;
/// Mappings that one step of the sweep, or of a peer that leaves, takes away, in mappings: about a millisecond under the
/// lock.
const SWEEP_MAPPINGS: usize = 2_000;
/// Tokens that one step of the sweep forgets, in tokens.
const SWEEP_TOKENS: usize = 2_000;

/// The registry inside the process.
pub struct EmbeddedRegistry {
    table: Arc<RwLock<Table>>,
    tokens: Mutex<Tokens>,
    journal: Arc<Journal>,
}

impl EmbeddedRegistry {
    /// Opens the store in `data_dir`, makes it where there is none, and reads it into memory; takes over what an
    /// earlier version left there. Blocks. Fails when another process has it open.
    pub fn open(data_dir: &Path, ttl: PeerTtl, bounds: Bounds) -> Result<Self, RegistryError> {
        let disk = Disk::open(data_dir)?;
        takeover::take_over(data_dir, &disk)?;
        let (mut table, mut tokens) = (Table::new(ttl, bounds), Tokens::default());
        disk.load(&mut table, &mut tokens, now_ms())?;
        let Stats { peers, files, mappings } = table.stats();
        tracing::info!(mappings, files, peers, dir = %data_dir.display(), "embedded store is open");
        let table = Arc::new(RwLock::new(table));
        let of_thread = Arc::clone(&table);
        let journal = Journal::start(move |changes| groups::write(&disk, &of_thread, changes))
            .map_err(|error| RegistryError::Broken(format!("journal thread: {error}")))?;
        Ok(Self { table, tokens: Mutex::new(tokens), journal: Arc::new(journal) })
    }

    /// Changes the table and hands the changes to the journal, in the order of the table since both happen under
    /// its lock.
    async fn change<T>(
        &self,
        most_changes: usize,
        change: impl FnOnce(&mut Table, &mut Vec<Change>) -> T,
    ) -> Result<T, RegistryError> {
        let room = self.journal.reserve(most_changes).await?;
        let mut changes = Vec::with_capacity(most_changes);
        let mut table = self.table.write();
        let result = change(&mut table, &mut changes);
        debug_assert!(changes.len() <= most_changes, "{} changes", changes.len());
        for (permit, change) in room.zip(changes) {
            permit.send(change);
        }
        Ok(result)
    }

    fn touch(&self, owner: Owner, now_ms: u64) {
        let save = self.table.read().touch(owner, now_ms);
        if save {
            self.save(owner);
        }
    }

    fn save(&self, owner: Owner) {
        if !self.journal.try_send(Change::Touched { owner }) {
            self.table.read().save_failed(owner);
        }
    }

    /// Takes a step of what retired peers had; gives whether there is more.
    async fn take_away(&self) -> Result<Swept, RegistryError> {
        // A change for each peer, of which a step has no more than it has mappings.
        self.change(SWEEP_MAPPINGS, |table, changes| table.take_away(SWEEP_MAPPINGS, changes)).await
    }
}

#[async_trait]
impl Registry for EmbeddedRegistry {
    async fn publish(&self, publisher: &Publisher, entries: &[Entry]) -> Result<Vec<Verdict>, RegistryError> {
        let now_ms = now_ms();
        self.change(entries.len() + CHANGES_OF_A_CALL, |table, changes| {
            table.publish(publisher, entries, now_ms, changes)
        })
        .await?
    }

    async fn unpublish(&self, owner: Owner, files: &[FileName]) -> Result<(), RegistryError> {
        let now_ms = now_ms();
        // All files are one change.
        self.change(1 + CHANGES_OF_A_CALL, |table, changes| table.unpublish(owner, files, now_ms, changes))
            .await
    }

    async fn unpublish_all(&self, owner: Owner) -> Result<(), RegistryError> {
        if !self.change(1, |table, changes| table.leave(owner, changes)).await? {
            return Ok(());
        }
        // Done for whoever asks, and for the disk. The sweep goes on with what cannot be cleared up here.
        while let Ok(Swept { more: true, .. }) = self.take_away().await {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn heartbeat(&self, publisher: &Publisher) -> Result<bool, RegistryError> {
        self.journal.reserve(0).await?;
        let now_ms = now_ms();
        let heard = self.table.read().hear(publisher, now_ms);
        match heard {
            Heard::Dead => Ok(false),
            Heard::Noted { save } => {
                if save {
                    self.save(publisher.owner);
                }
                Ok(true)
            }
            Heard::Changes => {
                self.change(1, |table, changes| table.heartbeat(publisher, now_ms, changes)).await
            }
        }
    }

    async fn addresses(
        &self,
        caller: Peer,
        file: &FileName,
        limit: usize,
    ) -> Result<Vec<Peer>, RegistryError> {
        let start = fastrand::usize(..);
        let now_ms = now_ms();
        let (addresses, save) = {
            let table = self.table.read();
            (table.addresses(caller, file, limit, start, now_ms), table.touch(caller.into(), now_ms))
        };
        if save {
            self.save(caller.into());
        }
        Ok(addresses)
    }

    async fn holders(&self, caller: Peer, queries: &[HoldersQuery]) -> Result<Vec<Holders>, RegistryError> {
        let now_ms = now_ms();
        self.touch(caller.into(), now_ms);
        // The lock anew for each: many of them must not keep a publish waiting.
        let answer = |query| self.table.read().holders(caller, query, fastrand::usize(..), now_ms);
        Ok(queries.iter().map(answer).collect())
    }

    async fn files(&self, caller: Peer, query: &FilesQuery) -> Result<FilePage, RegistryError> {
        let now_ms = now_ms();
        self.touch(caller.into(), now_ms);
        Ok(self.table.read().list(caller, query, now_ms))
    }

    async fn report(&self, report: &Report) -> Result<(), RegistryError> {
        let now_ms = now_ms();
        self.touch(report.reporter.into(), now_ms);
        self.table.write().report(report, now_ms);
        Ok(())
    }

    async fn stats(&self) -> Result<Stats, RegistryError> {
        Ok(self.table.read().stats())
    }

    async fn first_use(&self, token: Token, secs: u32) -> Result<bool, RegistryError> {
        let mut room = self.journal.reserve(1).await?;
        let used = self.tokens.lock().first_use(token, secs, now_ms());
        match used {
            Ok(used) => {
                if let Some(permit) = room.next() {
                    permit.send(Change::Used(Box::new(used)));
                }
                Ok(true)
            }
            Err(Refused::Used) => Ok(false),
            Err(Refused::Full) => {
                Err(RegistryError::Unavailable("too many signatures in this time".to_owned()))
            }
        }
    }

    async fn export(&self, out: mpsc::Sender<Record>) -> Result<(), RegistryError> {
        let mut cursor = Cursor::default();
        loop {
            let Some(records) = self.table.read().export(&mut cursor, now_ms()) else { return Ok(()) };
            for record in records {
                if out.send(record).await.is_err() {
                    return Ok(());
                }
            }
        }
    }

    async fn import(&self, records: &[Record]) -> Result<usize, RegistryError> {
        let now_ms = now_ms();
        self.change(CHANGES_OF_A_RECORD * records.len(), |table, changes| {
            table.import(records, now_ms, changes)
        })
        .await
    }

    async fn sweep(&self) -> Result<Swept, RegistryError> {
        let now_ms = now_ms();
        let forgotten = self.tokens.lock().forget(SWEEP_TOKENS, now_ms);
        if !forgotten.is_empty() {
            // Where there is no room they stay on disk, and go at the next start.
            self.journal.try_send(Change::Forgotten(forgotten));
        }
        self.change(SWEEP_PEERS + SWEEP_MAPPINGS, |table, changes| {
            table.sweep(SWEEP_PEERS, SWEEP_MAPPINGS, now_ms, changes)
        })
        .await
    }

    fn durations(&self) -> Arc<Durations> {
        self.journal.durations()
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
