//! What waits between the engine and the link: bounded, and never waited for by the engine.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use registry::nodes::Node;
use tokio::sync::{Notify, mpsc};

use super::NodeEvent;
use super::link::BEAT;
use super::metrics::NodeMetrics;
use crate::Outbox;

/// Asks, answers and other messages that wait for Redis.
const ERRANDS_MAX: usize = 4_096;
/// Peers that came or left and wait for Redis.
const ARRIVALS_MAX: usize = 16_384;

/// The engine's end of the queues, and how it stands with the others.
pub(crate) struct Queues {
    errands: mpsc::Sender<NodeEvent>,
    arrivals: mpsc::Sender<NodeEvent>,
    pub(crate) metrics: NodeMetrics,
    pub(super) is_linked: AtomicBool,
    is_leaving: AtomicBool,
    /// Where peers of this node could go.
    pub(super) others: Mutex<Vec<Node>>,
    pub(super) beat_now: Notify,
    /// The others have been told that this node leaves, and it has their newest list.
    pub(super) left: Notify,
}

/// The link's end of the queues.
pub(super) struct Ends {
    pub(super) errands: mpsc::Receiver<NodeEvent>,
    pub(super) arrivals: mpsc::Receiver<NodeEvent>,
}

impl Queues {
    pub(super) fn new(metrics: NodeMetrics) -> (Self, Ends) {
        let (errands, errands_out) = mpsc::channel(ERRANDS_MAX);
        let (arrivals, arrivals_out) = mpsc::channel(ARRIVALS_MAX);
        let queues = Self {
            errands,
            arrivals,
            metrics,
            is_linked: AtomicBool::new(false),
            is_leaving: AtomicBool::new(false),
            others: Mutex::default(),
            beat_now: Notify::new(),
            left: Notify::new(),
        };
        (queues, Ends { errands: errands_out, arrivals: arrivals_out })
    }

    /// Takes what the engine wants. Never waits.
    pub(crate) fn take(&self, outbox: &mut Outbox) {
        outbox.take_events().for_each(|event| self.take_one(event));
    }

    /// The same for one.
    pub(super) fn take_one(&self, event: NodeEvent) {
        let queue = match event {
            NodeEvent::Arrived { .. } | NodeEvent::Left(_) => &self.arrivals,
            NodeEvent::Find { .. } | NodeEvent::Tell { .. } => &self.errands,
        };
        if queue.try_send(event).is_err() {
            self.metrics.dropped.inc();
        }
    }

    pub(crate) fn is_linked(&self) -> bool {
        self.is_linked.load(Ordering::Relaxed)
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed)
    }

    /// Nobody is to be sent here from now on. Waits for the list of those who are there now: one that ended a moment before may
    /// be in the last one.
    pub(crate) async fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
        self.metrics.moved.set(1);
        self.beat_now.notify_one();
        // Without Redis there is only the old one.
        if self.is_linked() {
            let _ = tokio::time::timeout(BEAT, self.left.notified()).await;
        }
    }

    /// Where peers of this node can go now.
    pub(crate) fn elsewhere(&self) -> Vec<SocketAddr> {
        let others = self.others.lock();
        others.iter().filter(|node| !node.leaving).flat_map(|node| node.addrs.iter().copied()).collect()
    }
}
