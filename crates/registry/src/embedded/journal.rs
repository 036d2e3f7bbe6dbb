//! Hands the table's changes to the disk, in groups, from a thread of its own, and holds writes back while the disk is slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, PermitIterator};
use tokio::time::timeout;

use super::table::Change;
use crate::{Durations, RegistryError};

/// Changes that wait for the disk, in changes. When they are as many, writes wait for room.
const QUEUE: usize = 32_768;
/// Most changes of one group, in changes: all that can wait, so that a change waits for one group at most besides its
/// own.
const GROUP: usize = QUEUE;
/// Shortest time between two groups: under load one flush serves all writes of this time, and a change is on disk
/// well within the second that is promised.
const GROUP_INTERVAL: Duration = Duration::from_millis(100);
/// How long a group may take before writes wait for its end, in ms. What is acknowledged has to be on disk in a second, and
/// may have to wait for a group that is on its way before its own.
const LAG_MAX_MS: u64 = 400;
/// How long a write waits for the disk before it is refused, in ms. Who asks should rather hear "later" than nothing; and where
/// a group takes even longer than this, the next write is refused at once.
const PATIENCE_MS: u64 = 1_000;

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
    /// A group has ended.
    ended: Notify,
    /// The engine refused a write. What it holds in memory cannot be trusted to get to disk any more, so that the
    /// process has to end and to read what is really there.
    broken: AtomicBool,
    /// How long groups took.
    groups: Arc<Durations>,
}

impl Progress {
    fn now_ms(&self) -> u64 {
        // Never 0, which stands for "between groups".
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// How long the group that is being written has taken so far, in ms.
    fn lag_ms(&self) -> u64 {
        match self.group_since_ms.load(Ordering::Relaxed) {
            0 => 0,
            since_ms => self.now_ms().saturating_sub(since_ms),
        }
    }
}

impl Journal {
    /// Starts the thread. `write` puts a group on disk for good, and leaves the vector empty.
    pub(super) fn start(
        write: impl FnMut(&mut Vec<Change>) -> Result<(), fjall::Error> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let progress = Arc::new(Progress {
            start: Instant::now(),
            group_since_ms: AtomicU64::new(0),
            ended: Notify::new(),
            broken: AtomicBool::new(false),
            groups: Arc::default(),
        });
        let writer = Writer { write, receiver, progress: Arc::clone(&progress), changes: Vec::new() };
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run())?;
        Ok(Self { sender, progress, thread: Mutex::new(Some(thread)) })
    }

    /// Room for `changes`, to be taken before the table is changed: what is in the table will be on disk. Waits where the disk
    /// is slow, so that it sets the pace.
    pub(super) async fn reserve(&self, changes: usize) -> Result<PermitIterator<'_, Change>, RegistryError> {
        if self.ready().is_ok() {
            match self.sender.try_reserve_many(changes) {
                Ok(room) => return Ok(room),
                Err(TrySendError::Full(())) => {}
                Err(TrySendError::Closed(())) => return Err(self.closed()),
            }
        } else if self.is_closed() {
            return Err(self.closed());
        } else if self.progress.lag_ms() > LAG_MAX_MS + PATIENCE_MS {
            return Err(slow());
        }
        timeout(Duration::from_millis(PATIENCE_MS), self.wait_for_room(changes))
            .await
            .unwrap_or_else(|_| Err(slow()))
    }

    async fn wait_for_room(&self, changes: usize) -> Result<PermitIterator<'_, Change>, RegistryError> {
        loop {
            let mut ended = std::pin::pin!(self.progress.ended.notified());
            // Before the look, so that no end is missed.
            ended.as_mut().enable();
            match self.ready() {
                // First come, first served.
                Ok(()) => return self.sender.reserve_many(changes).await.map_err(|_| self.closed()),
                Err(error) if self.is_closed() => return Err(error),
                Err(_) => ended.await,
            }
        }
    }

    /// Takes note of a sign of life. False where there is no room.
    pub(super) fn try_send(&self, change: Change) -> bool {
        self.sender.try_send(change).is_ok()
    }

    /// Whether a write would be taken now, without a wait.
    pub(super) fn ready(&self) -> Result<(), RegistryError> {
        if self.is_closed() {
            Err(self.closed())
        } else if self.progress.lag_ms() > LAG_MAX_MS {
            Err(slow())
        } else {
            Ok(())
        }
    }

    fn is_closed(&self) -> bool {
        self.progress.broken.load(Ordering::Relaxed) || self.sender.is_closed()
    }

    /// How long groups took until they were on disk.
    pub(super) fn durations(&self) -> Arc<Durations> {
        Arc::clone(&self.progress.groups)
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

fn slow() -> RegistryError {
    RegistryError::Unavailable("the disk does not keep up".to_owned())
}

struct BrokenUnlessClosed(Arc<Progress>);

impl Drop for BrokenUnlessClosed {
    fn drop(&mut self) {
        self.0.broken.store(true, Ordering::Relaxed);
        self.0.ended.notify_waiters();
    }
}

struct Writer<W> {
    write: W,
    receiver: mpsc::Receiver<Change>,
    progress: Arc<Progress>,
    changes: Vec<Change>,
}

impl<W: FnMut(&mut Vec<Change>) -> Result<(), fjall::Error>> Writer<W> {
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
            if let Err(error) = (self.write)(&mut self.changes) {
                tracing::error!(%error, "the disk refused a write");
                return false;
            }
            self.progress.group_since_ms.store(0, Ordering::Relaxed);
            self.progress.ended.notify_waiters();
            let took = last.elapsed();
            self.progress.groups.add(took);
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            if took_ms > LAG_MAX_MS {
                tracing::warn!(took_ms, "the disk is slow; writes waited for it");
            }
            if closing {
                return true;
            }
        }
    }

    fn is_closing(&self) -> bool {
        self.changes.iter().any(|change| matches!(change, Change::Close))
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
