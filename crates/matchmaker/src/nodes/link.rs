//! The tasks that speak with Redis for the engine. They have a thread of their own, and all that goes to them waits in bounded
//! queues: when Redis is slow or gone, queues are full and what is too much is dropped and counted, and no datagram waits.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use peer_core::NodeId;
use peer_core::limits::NODE_MS;
use registry::NodesConnection;
use registry::nodes::{Node, SharedKeys};
use service::Shutdown;
use tokio::time::MissedTickBehavior;

use super::metrics::NodeMetrics;
use super::queues::{Ends, Queues};
use super::session::Session;
use super::trouble::Trouble;
use super::{NodeEvent, NodeOutcome};
use crate::socket::{Courier, Shared};
use crate::{Outbox, TokenKeys};

/// How often a node says that it is there.
pub(super) const BEAT: Duration = Duration::from_millis(NODE_MS / 5);
/// From one attempt to connect to the next.
const RETRY: Duration = Duration::from_millis(250);
/// How often asks are looked at that were put off, or take too long.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// What the link has to be told.
#[derive(Clone)]
pub struct NodesSettings {
    /// The Redis that all nodes share. It may hold a password and is never shown.
    pub url: String,
    /// How long peers of the tracker live, in seconds; 0 is for ever.
    pub peer_ttl_secs: u64,
    /// Where peers reach this node, if not at what it is bound to.
    pub public: Vec<SocketAddr>,
    /// How long a node serves on after it was told to end, at most.
    pub drain: Duration,
}

impl NodesSettings {
    /// Where peers reach this node, which is bound to `bound`.
    pub(crate) fn public_or(&self, bound: &[SocketAddr]) -> Vec<SocketAddr> {
        if self.public.is_empty() {
            bound.iter().filter(|addr| !addr.ip().is_unspecified()).copied().collect()
        } else {
            self.public.clone()
        }
    }
}

/// What speaks with Redis.
pub(crate) struct Link {
    id: NodeId,
    settings: NodesSettings,
    addrs: Vec<SocketAddr>,
    /// What this node's tokens are made with where the others have to say nothing in it.
    pub(super) own_keys: Option<TokenKeys>,
    /// What is shared if nobody has shared anything before.
    first_keys: SharedKeys,
    pub(super) ends: Ends,
}

/// Both ends. `addrs` is where peers reach this node; with `own_keys` it takes no keys of tokens from the others.
pub(crate) fn queues(
    id: NodeId,
    settings: NodesSettings,
    addrs: Vec<SocketAddr>,
    own_keys: Option<TokenKeys>,
    metrics: NodeMetrics,
) -> Result<(Queues, Link), getrandom::Error> {
    let first_keys =
        SharedKeys { current: random_key()?, next: random_key()?, previous: None, shared: false };
    let (queues, ends) = Queues::new(metrics);
    Ok((queues, Link { id, settings, addrs, own_keys, first_keys, ends }))
}

impl Link {
    /// Runs until `stop`, on the thread that calls it.
    pub(crate) async fn run(mut self, shared: Arc<Shared>, stop: Shutdown) {
        let Some(queues) = &shared.nodes else { return };
        let mut keys = self.first_keys;
        let (mut is_told, mut is_again) = (false, false);
        while !stop.is_cancelled() {
            let opened = tokio::select! {
                () = stop.cancelled() => break,
                opened = NodesConnection::open(&self.settings.url, self.id, self.settings.peer_ttl_secs) => opened,
                never = wait(&mut self.ends, false, &shared, queues) => match never {},
            };
            let error = match opened {
                Ok((connection, messages)) => {
                    let (node, trouble) = (self.node(), Trouble::default());
                    let session = Session { shared: &shared, queues, connection, node, is_again, trouble };
                    let Err(error) = tokio::select! {
                        () = stop.cancelled() => {
                            // Whoever asks for a peer of this node is told at once that it is not there.
                            let _ = session.connection.leave(&session.node(queues.is_leaving())).await;
                            break;
                        }
                        ended = session.run(messages, &mut self, &mut keys) => ended,
                    };
                    error
                }
                Err(error) => error,
            };
            is_again = true;
            // Said once for each outage, whatever its length.
            if queues.is_linked.swap(false, Ordering::Relaxed) || !is_told {
                is_told = true;
                tracing::warn!(%error, "other nodes cannot be reached; peers of this one are served");
            }
            shared.engine.set_linked(false);
            queues.metrics.linked.set(0);
            let _ = tokio::time::timeout(RETRY, wait(&mut self.ends, true, &shared, queues)).await;
        }
    }

    fn node(&self) -> Node {
        Node { id: self.id, leaving: false, addrs: self.addrs.clone() }
    }
}

/// While there is no Redis, asks wait for it as long as they have time. Who came is said again later: with
/// `drops_arrivals` they do not wait, since what is old could be wrong.
async fn wait(ends: &mut Ends, drops_arrivals: bool, shared: &Shared, queues: &Queues) -> Infallible {
    let mut out = Out::new(shared);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            _ = ticks.tick() => {
                out.tick(queues);
                continue;
            }
            event = ends.errands.recv() => event,
            event = ends.arrivals.recv(), if drops_arrivals => event,
        };
        match event {
            Some(NodeEvent::Find { pair, .. } | NodeEvent::Tell { pair: Some(pair), .. }) => {
                shared.engine.put_off_ask(pair);
            }
            _ => {
                queues.metrics.dropped.inc();
            }
        }
    }
}

pub(super) fn random_key() -> Result<[u8; 16], getrandom::Error> {
    let mut key = [0; 16];
    getrandom::fill(&mut key)?;
    Ok(key)
}

/// What tells the engine something, and sends what that wants sent.
pub(super) struct Out<'a> {
    shared: &'a Shared,
    courier: Courier,
    outbox: Outbox,
}

impl<'a> Out<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        Self { shared, courier: Courier::new(shared), outbox: Outbox::default() }
    }

    pub(super) fn tell(&mut self, tell: impl FnOnce(&Shared, u64, &mut Outbox) -> Option<NodeOutcome>) {
        let outcome = tell(self.shared, self.shared.now_us(), &mut self.outbox);
        if let Some(queues) = &self.shared.nodes {
            queues.metrics.count(outcome);
            queues.take(&mut self.outbox);
        }
        self.courier.send(self.shared, &mut self.outbox);
    }

    /// Goes on with asks that were put off or take too long, and ends those whose time is over.
    pub(super) fn tick(&mut self, queues: &Queues) {
        self.tell(|shared, now_us, outbox| {
            for outcome in shared.engine.node_tick(now_us, outbox) {
                queues.metrics.count(Some(outcome));
            }
            None
        });
    }
}
