//! Several matchmakers over one Redis: what the engine of each has to know of the others.
//!
//! The engine asks, by [`NodeEvent`]s beside the datagrams of an [`crate::Outbox`], and is told what came of it by methods. It knows
//! nothing of Redis: [`link`] does, with a [`session`] for each connection, in tasks behind bounded [`queues`], so that no datagram waits for it. An ask goes its way in
//! [`elsewhere`], to the nodes that [`choosing`] names, and comes to an [`outcome`] ([`errands`] brings it there); [`arrivals`] says who came and who is here, both by [`lanes`], so that a server of a Cluster that is away holds up what is for it alone; [`message`] is what goes over the channels, [`presence`] whom this node hears; [`moving`] and [`drain`] are how it ends.

mod arrivals;
pub(crate) mod asks;
mod choosing;
mod codec;
pub(crate) mod drain;
mod elsewhere;
mod errands;
mod lanes;
pub(crate) mod link;
pub(crate) mod message;
mod metrics;
mod moving;
mod outcome;
mod presence;
pub(crate) mod queues;
mod session;
mod trouble;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use peer_core::NodeId;
use peer_core::datagram::v2::{PairId, Target};
use registry::nodes::Home;

use crate::buckets::SharedBucket;
use crate::limits::Rate;
use asks::Asks;
use moving::Moving;

pub(crate) use metrics::NodeMetrics;

pub(crate) use elsewhere::{ELSEWHERE_BYTES, legacy_side};
pub use link::NodesSettings;
pub use outcome::NodeOutcome;
pub use presence::PresenceCursor;

/// Connects for peers that are not here which other nodes are asked about: what is over is refused.
const SEEKS: Rate = Rate::new(5_000, 5_000);
/// Messages of other nodes that are looked at.
const MESSAGES: Rate = Rate::new(20_000, 20_000);
/// Legacy peers that are said to be here as soon as they come. They can be forged; what is over is said when they are heard again.
const LEGACY_ARRIVALS: Rate = Rate::new(2_000, 2_000);

/// When a peer is to ask again that asked while other nodes could not be reached, in ms.
const RETRY_MS: u32 = 500;

/// What the engine wants of the other nodes, or of what all share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeEvent {
    /// A peer came: it is heard here from now on.
    Arrived {
        /// Who.
        home: Home,
        /// Where exactly.
        addr: SocketAddr,
    },
    /// A peer left.
    Left(Home),
    /// Who hears a target? [`crate::Engine::node_homes`] takes the answer.
    Find {
        /// The number of the ask.
        pair: PairId,
        /// Whom it is for.
        target: Target,
    },
    /// A message for another node. Where nobody listens there, [`crate::Engine::node_unheard`] is to be told.
    Tell {
        /// Which node.
        to: NodeId,
        /// The ask that this is for; none where the message is an answer.
        pair: Option<PairId>,
        /// The message.
        message: Vec<u8>,
    },
}

/// The engine's part of it.
#[derive(Debug)]
pub(crate) struct Nodes {
    id: NodeId,
    asks: Mutex<Asks>,
    /// How long a message is on its way to another node, in us: half of what asks took lately.
    relay_us: AtomicU32,
    /// Whether others can be asked now.
    is_linked: AtomicBool,
    /// Until when a target that nobody hears may be there all the same, since Redis was away.
    doubt_until_us: AtomicU64,
    seeks: SharedBucket,
    messages: SharedBucket,
    legacy_arrivals: SharedBucket,
    is_moving: AtomicBool,
    moving: RwLock<Option<Moving>>,
}

impl Nodes {
    pub(crate) fn new(id: NodeId) -> Self {
        Self {
            id,
            asks: Mutex::default(),
            relay_us: AtomicU32::new(0),
            is_linked: AtomicBool::new(false),
            doubt_until_us: AtomicU64::new(0),
            seeks: SharedBucket::default(),
            messages: SharedBucket::default(),
            legacy_arrivals: SharedBucket::default(),
            is_moving: AtomicBool::new(false),
            moving: RwLock::new(None),
        }
    }

    fn is_linked(&self) -> bool {
        self.is_linked.load(Ordering::Relaxed)
    }
}

fn charge(bucket: &SharedBucket, rate: Rate, now_us: u64) -> bool {
    bucket.charge(now_us, rate.cost_us(), rate.burst_us())
}
