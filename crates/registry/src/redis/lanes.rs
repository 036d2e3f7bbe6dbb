use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{AsyncConnectionConfig, Client};
use tokio::runtime::{Handle, Id, RuntimeFlavor};

use super::batch::Waiting;
use super::link::Main;

/// Calls with publishes that are on their way from one thread at the same time: Redis has the next one when it is done with
/// the one before, instead of waiting until the thread has heard of it.
const WRITERS: usize = 2;

thread_local! {
    /// The connections of this thread.
    static LANES: RefCell<Vec<Lane>> = const { RefCell::new(Vec::new()) };
}

/// Connections that belong to one thread each.
///
/// A request that waits for a connection on another thread costs two wake-ups through the kernel, one to send and one to
/// hear, and with them a good part of its time. Where a thread runs a runtime of its own, the connection is driven
/// by that same thread: what its requests send in one turn leaves with one write, and what Redis answers meanwhile
/// arrives with one read. It dies with the thread, and so do the requests on it.
pub(super) struct Lanes {
    config: AsyncConnectionConfig,
    /// Which of several stores in one process this is; gone when the store is.
    owner: Arc<u64>,
}

struct Lane {
    owner: Weak<u64>,
    generation: u64,
    /// A thread may run one runtime after the other.
    runtime: Id,
    /// `None` while it is being opened.
    connection: Option<MultiplexedConnection>,
    /// Publishes that the next call takes along.
    waiting: VecDeque<Waiting>,
    /// Tasks that take them.
    writers: usize,
}

impl Lane {
    fn is_of(&self, owner: &Arc<u64>, generation: u64, runtime: Id) -> bool {
        self.generation == generation
            && self.runtime == runtime
            && std::ptr::eq(self.owner.as_ptr(), Arc::as_ptr(owner))
    }
}

impl Lanes {
    pub(super) fn new(config: AsyncConnectionConfig) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { config, owner: Arc::new(NEXT.fetch_add(1, Ordering::Relaxed)) }
    }

    /// The connection of this thread, where it can have one. The first that asks starts to open it and goes another way, as do
    /// all until it is there. Those beside an older main connection are replaced.
    pub(super) fn of_this_thread(&self, main: &Main) -> Option<MultiplexedConnection> {
        let generation = main.generation;
        let client = main.client.as_ref()?;
        let handle = Handle::try_current().ok()?;
        if handle.runtime_flavor() != RuntimeFlavor::CurrentThread {
            return None;
        }
        let runtime = handle.id();
        LANES.with_borrow_mut(|lanes| {
            if let Some(lane) = lanes.iter().find(|lane| lane.is_of(&self.owner, generation, runtime)) {
                return lane.connection.clone();
            }
            lanes.retain(|lane| {
                lane.owner.strong_count() > 0
                    && lane.runtime == runtime
                    && !std::ptr::eq(lane.owner.as_ptr(), Arc::as_ptr(&self.owner))
            });
            let owner = Arc::downgrade(&self.owner);
            lanes.push(Lane {
                owner: Weak::clone(&owner),
                generation,
                runtime,
                connection: None,
                waiting: VecDeque::new(),
                writers: 0,
            });
            handle.spawn(open(client.clone(), self.config.clone(), owner, generation, runtime));
            None
        })
    }

    /// Lets a publish wait for the next call on this thread's connection, where it has one. True when one more task is wanted
    /// that takes what waits there, which the caller has to see to.
    pub(super) fn join(&self, generation: u64, waiting: Waiting) -> bool {
        LANES.with_borrow_mut(|lanes| {
            let Some(lane) = self.find(lanes, generation) else { return false };
            lane.waiting.push_back(waiting);
            let one_more = lane.writers < WRITERS;
            lane.writers += usize::from(one_more);
            one_more
        })
    }

    /// The first `most` of those that wait.
    pub(super) fn take(&self, generation: u64, most: usize) -> Vec<Waiting> {
        LANES.with_borrow_mut(|lanes| {
            let Some(lane) = self.find(lanes, generation) else { return Vec::new() };
            let most = most.min(lane.waiting.len());
            lane.waiting.drain(..most).collect()
        })
    }

    /// A task takes no more. To be called before anybody else can run.
    pub(super) fn retire(&self, generation: u64) {
        LANES.with_borrow_mut(|lanes| {
            if let Some(lane) = self.find(lanes, generation) {
                lane.writers = lane.writers.saturating_sub(1);
            }
        });
    }

    fn find<'a>(&self, lanes: &'a mut [Lane], generation: u64) -> Option<&'a mut Lane> {
        let runtime = Handle::try_current().ok()?.id();
        lanes.iter_mut().find(|lane| lane.is_of(&self.owner, generation, runtime))
    }

    /// The connection of this thread failed: the next that asks opens another.
    pub(super) fn forget_this_threads(&self) {
        LANES.with_borrow_mut(|lanes| {
            lanes.retain(|lane| {
                lane.connection.is_none() || !std::ptr::eq(lane.owner.as_ptr(), Arc::as_ptr(&self.owner))
            });
        });
    }
}

async fn open(client: Client, config: AsyncConnectionConfig, owner: Weak<u64>, generation: u64, runtime: Id) {
    let opened = client.get_multiplexed_async_connection_with_config(&config).await;
    let Some(owner) = owner.upgrade() else { return };
    LANES.with_borrow_mut(|lanes| match opened {
        Ok(connection) => {
            if let Some(lane) = lanes.iter_mut().find(|lane| lane.is_of(&owner, generation, runtime)) {
                lane.connection = Some(connection);
            }
        }
        Err(error) => {
            tracing::debug!(%error, "no connection for a thread");
            lanes.retain(|lane| !lane.is_of(&owner, generation, runtime));
        }
    });
}
