//! Writes the table's changes to disk, in groups, from a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc::{self, PermitIterator};

use super::disk::Disk;
use super::table::{Change, Table};
use crate::RegistryError;

/// Changes that wait for the disk, in changes. When they are as many, writes are refused.
const QUEUE: usize = 32_768;
/// Most changes of one group, in changes: all that can wait, so that a change waits for one group at most besides its
/// own.
const GROUP: usize = QUEUE;
/// Writes that go to the engine at once, in writes: the rest of a group waits as changes, which are smaller. The last of a
/// group makes all of it last.
const SLICE: usize = 2_048;
/// Shortest time between two groups: under load one flush serves all writes of this time, and a change is on disk
/// well within the second that is promised.
const GROUP_INTERVAL: Duration = Duration::from_millis(100);
/// How long a group may take before writes are refused, in ms. What is acknowledged has to be on disk in a second, and
/// may have to wait for a group that is on its way before its own.
const LAG_MAX_MS: u64 = 400;

pub(super) struct Journal {
    sender: mpsc::Sender<Change>,
    progress: Arc<Progress>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How the thread gets on, for those who want to write.
struct Progress {
    start: Instant,
    /// When the group that is being written was begun, in ms after `start`; 0 between groups.
    group_since_ms: AtomicU64,
    /// The engine refused a write. What it holds in memory cannot be trusted to get to disk any more, so that the
    /// process has to end and to read what is really there.
    broken: AtomicBool,
}

impl Progress {
    fn now_ms(&self) -> u64 {
        // Never 0, which stands for "between groups".
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

impl Journal {
    pub(super) fn start(disk: Disk, table: Arc<RwLock<Table>>) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let progress = Arc::new(Progress {
            start: Instant::now(),
            group_since_ms: AtomicU64::new(0),
            broken: AtomicBool::new(false),
        });
        let writer = Writer { disk, table, receiver, progress: Arc::clone(&progress), changes: Vec::new() };
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run())?;
        Ok(Self { sender, progress, thread: Mutex::new(Some(thread)) })
    }

    /// Room for `changes`, to be taken before the table is changed: what is in the table will be on disk.
    pub(super) fn reserve(&self, changes: usize) -> Result<PermitIterator<'_, Change>, RegistryError> {
        self.ready()?;
        self.sender.try_reserve_many(changes).map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => {
                RegistryError::Unavailable("the disk does not keep up".to_owned())
            }
            mpsc::error::TrySendError::Closed(()) => self.closed(),
        })
    }

    /// Takes note of a sign of life. False where there is no room.
    pub(super) fn try_send(&self, change: Change) -> bool {
        self.sender.try_send(change).is_ok()
    }

    pub(super) fn ready(&self) -> Result<(), RegistryError> {
        if self.progress.broken.load(Ordering::Relaxed) || self.sender.is_closed() {
            return Err(self.closed());
        }
        let since_ms = self.progress.group_since_ms.load(Ordering::Relaxed);
        if since_ms != 0 && self.progress.now_ms().saturating_sub(since_ms) > LAG_MAX_MS {
            return Err(RegistryError::Unavailable("the disk does not keep up".to_owned()));
        }
        Ok(())
    }

    /// Writes what is queued and ends the thread. Blocks.
    pub(super) fn close(&self) {
        let Some(thread) = self.thread.lock().take() else { return };
        let _ = self.sender.blocking_send(Change::Close);
        let _ = thread.join();
    }

    fn closed(&self) -> RegistryError {
        if self.progress.broken.load(Ordering::Relaxed) {
            RegistryError::Broken("DATA_DIR: the disk refused a write; see the log".to_owned())
        } else {
            RegistryError::Unavailable("the store is closed".to_owned())
        }
    }
}

struct BrokenUnlessClosed(Arc<Progress>);

impl Drop for BrokenUnlessClosed {
    fn drop(&mut self) {
        self.0.broken.store(true, Ordering::Relaxed);
    }
}

struct Writer {
    disk: Disk,
    table: Arc<RwLock<Table>>,
    receiver: mpsc::Receiver<Change>,
    progress: Arc<Progress>,
    changes: Vec<Change>,
}

impl Writer {
    /// An end that is not asked for, a panic in the engine say, is as good as a refused write.
    fn run(mut self) {
        let guard = BrokenUnlessClosed(Arc::clone(&self.progress));
        if self.write_until_closed() {
            std::mem::forget(guard);
        }
    }

    /// Gives whether it ended because it was told to.
    fn write_until_closed(&mut self) -> bool {
        let mut last = Instant::now();
        loop {
            if self.receiver.blocking_recv_many(&mut self.changes, GROUP) == 0 {
                return true;
            }
            self.progress.group_since_ms.store(self.progress.now_ms(), Ordering::Relaxed);
            let mut closing = self.is_closing();
            if !closing {
                std::thread::sleep(GROUP_INTERVAL.saturating_sub(last.elapsed()));
                while self.changes.len() < GROUP
                    && let Ok(change) = self.receiver.try_recv()
                {
                    self.changes.push(change);
                }
                closing = self.is_closing();
            }
            last = Instant::now();
            if let Err(error) = self.write() {
                tracing::error!(%error, "the disk refused a write");
                return false;
            }
            self.progress.group_since_ms.store(0, Ordering::Relaxed);
            let took_ms = u64::try_from(last.elapsed().as_millis()).unwrap_or(u64::MAX);
            if took_ms > LAG_MAX_MS {
                tracing::warn!(took_ms, "the disk is slow; changes were refused meanwhile");
            }
            if closing {
                return true;
            }
        }
    }

    fn is_closing(&self) -> bool {
        self.changes.iter().any(|change| matches!(change, Change::Close))
    }

    fn write(&mut self) -> Result<(), fjall::Error> {
        let Self { disk, table, changes, .. } = self;
        let mut batch = disk.batch(false);
        for change in changes.drain(..) {
            match change {
                Change::Put { owner, life, file, content } => batch.put(owner, life, &file, &content),
                Change::Delete { owner, files } => {
                    for file in files {
                        batch.delete(owner, &file);
                    }
                }
                Change::Gone { owner } => batch.delete_peer(owner),
                Change::Touched { owner } => {
                    let record = table.read().save(owner);
                    if let Some(record) = record {
                        batch.put_peer(&record);
                    }
                }
                Change::Used(used) => batch.token(&used),
                Change::Forgotten(tokens) => batch.delete_tokens(&tokens),
                Change::Close => {}
            }
            if batch.len() >= SLICE {
                std::mem::replace(&mut batch, disk.batch(false)).commit()?;
            }
        }
        batch.commit()?;
        disk.sync()
    }
}
