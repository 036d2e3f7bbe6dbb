//! The tasks that speak with Redis for the engine. They have a thread of their own, and all that goes to them waits in bounded
//! queues: when Redis is slow or gone, queues are full and what is too much is dropped and counted, and no datagram waits.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use peer_core::NodeId;
use peer_core::datagram::v2::PairId;
use peer_core::limits::{HOME_RENEW_MS, NODE_MS};
use registry::nodes::{Errand, Errands, Home, HomeAt, HomeKind, Node, SharedKeys};
use registry::{NodeMessages, NodesConnection, RegistryError};
use service::Shutdown;
use tokio::sync::{Notify, mpsc};

use super::elsewhere::owner_of;
use super::message::{Message, Moved};
use super::metrics::NodeMetrics;
use super::{NodeEvent, NodeOutcome, PresenceCursor};
use crate::socket::{Courier, Shared};
use crate::{Outbox, TokenKeys};

/// Asks, answers and other messages that wait for Redis.
const ERRANDS_MAX: usize = 4_096;
/// Peers that came or left and wait for Redis.
const ARRIVALS_MAX: usize = 16_384;
/// Those that go in one round trip.
const AT_ONCE: usize = 256;
/// How often a node says that it is there.
const BEAT: Duration = Duration::from_millis(NODE_MS / 5);
/// How often asks are looked at that take too long.
const TICK: Duration = Duration::from_millis(100);
/// From one attempt to connect to the next.
const RETRY: Duration = Duration::from_millis(250);
/// How long a walk through all registrations takes, after the first one of a connection.
const WALK: Duration = Duration::from_millis(HOME_RENEW_MS);

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

/// The engine's end of the queues, and how it stands with the others.
pub(crate) struct Queues {
    errands: mpsc::Sender<NodeEvent>,
    arrivals: mpsc::Sender<NodeEvent>,
    pub(crate) metrics: NodeMetrics,
    is_linked: AtomicBool,
    is_leaving: AtomicBool,
    /// Where peers of this node could go.
    others: Mutex<Vec<Node>>,
    beat_now: Notify,
    /// The others have been told that this node leaves, and it has their newest list.
    left: Notify,
}

impl Queues {
    /// Takes what the engine wants. Never waits.
    pub(crate) fn take(&self, outbox: &mut Outbox) {
        for event in outbox.take_events() {
            let queue = match event {
                NodeEvent::Arrived { .. } | NodeEvent::Left(_) => &self.arrivals,
                NodeEvent::Find { .. } | NodeEvent::Tell { .. } => &self.errands,
            };
            if queue.try_send(event).is_err() {
                self.metrics.dropped.inc();
            }
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

/// The other end.
pub(crate) struct Link {
    id: NodeId,
    settings: NodesSettings,
    addrs: Vec<SocketAddr>,
    /// What this node's tokens are made with where the others have to say nothing in it.
    own_keys: Option<TokenKeys>,
    /// What is shared if nobody has shared anything before.
    first_keys: SharedKeys,
    errands: mpsc::Receiver<NodeEvent>,
    arrivals: mpsc::Receiver<NodeEvent>,
}

/// Both ends. `addrs` is where peers reach this node; with `own_keys` it takes no keys of tokens from the others.
pub(crate) fn queues(
    id: NodeId,
    settings: NodesSettings,
    addrs: Vec<SocketAddr>,
    own_keys: Option<TokenKeys>,
    metrics: NodeMetrics,
) -> Result<(Queues, Link), getrandom::Error> {
    let first_keys = SharedKeys { current: random_key()?, next: random_key()?, previous: None };
    let (errands, errands_out) = mpsc::channel(ERRANDS_MAX);
    let (arrivals, arrivals_out) = mpsc::channel(ARRIVALS_MAX);
    let queues = Queues {
        errands,
        arrivals,
        metrics,
        is_linked: AtomicBool::new(false),
        is_leaving: AtomicBool::new(false),
        others: Mutex::default(),
        beat_now: Notify::new(),
        left: Notify::new(),
    };
    let link =
        Link { id, settings, addrs, own_keys, first_keys, errands: errands_out, arrivals: arrivals_out };
    Ok((queues, link))
}

impl Link {
    /// Runs until `stop`, on the thread that calls it.
    pub(crate) async fn run(mut self, shared: Arc<Shared>, stop: Shutdown) {
        let Some(queues) = &shared.nodes else { return };
        let mut keys = self.first_keys;
        let mut is_told = false;
        while !stop.is_cancelled() {
            let opened = NodesConnection::open(&self.settings.url, self.id, self.settings.peer_ttl_secs);
            let error = tokio::select! {
                () = stop.cancelled() => break,
                opened = opened => match opened {
                    Ok((connection, messages)) => {
                        let session = Session { shared: &shared, queues, connection, node: self.node() };
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
                }
            };
            // Said once for each outage, whatever its length.
            if queues.is_linked.swap(false, Ordering::Relaxed) || !is_told {
                is_told = true;
                tracing::warn!(%error, "other nodes cannot be reached; peers of this one are served");
            }
            shared.engine.set_linked(false);
            queues.metrics.linked.set(0);
            self.refuse(&shared, queues).await;
        }
    }

    fn node(&self) -> Node {
        Node { id: self.id, leaving: false, addrs: self.addrs.clone() }
    }

    /// While there is no Redis, whoever asked hears that nobody has the target. Who came is said again later.
    async fn refuse(&mut self, shared: &Shared, queues: &Queues) {
        let mut out = Out::new(shared);
        // What was asked for before waits for nobody any more.
        out.tick(queues);
        let retry = tokio::time::sleep(RETRY);
        tokio::pin!(retry);
        loop {
            let event = tokio::select! {
                () = &mut retry => return,
                event = self.errands.recv() => event,
                event = self.arrivals.recv() => event,
            };
            queues.metrics.dropped.inc();
            if let Some(NodeEvent::Find { pair, .. } | NodeEvent::Tell { pair: Some(pair), .. }) = event {
                out.give_up(pair);
            }
        }
    }
}

fn random_key() -> Result<[u8; 16], getrandom::Error> {
    let mut key = [0; 16];
    getrandom::fill(&mut key)?;
    Ok(key)
}

/// What tells the engine something, and sends what that wants sent.
struct Out<'a> {
    shared: &'a Shared,
    courier: Courier,
    outbox: Outbox,
}

impl<'a> Out<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self { shared, courier: Courier::new(shared), outbox: Outbox::default() }
    }

    fn tell(&mut self, tell: impl FnOnce(&Shared, u64, &mut Outbox) -> Option<NodeOutcome>) {
        let outcome = tell(self.shared, self.shared.now_us(), &mut self.outbox);
        if let Some(queues) = &self.shared.nodes {
            queues.metrics.count(outcome);
            queues.take(&mut self.outbox);
        }
        self.courier.send(self.shared, &mut self.outbox);
    }

    /// Goes on with asks that take too long, and ends those whose time is over.
    fn tick(&mut self, queues: &Queues) {
        self.tell(|shared, now_us, outbox| {
            let expired = shared.engine.node_tick(now_us, outbox);
            for _ in 0..expired {
                queues.metrics.count(Some(NodeOutcome::NotFound));
            }
            None
        });
    }

    fn give_up(&mut self, pair: PairId) {
        self.tell(|shared, _, outbox| shared.engine.give_up_ask(pair, outbox));
    }
}

/// One connection, from its first word to its end.
struct Session<'a> {
    shared: &'a Shared,
    queues: &'a Queues,
    connection: NodesConnection,
    node: Node,
}

impl Session<'_> {
    fn node(&self, leaving: bool) -> Node {
        Node { leaving, ..self.node.clone() }
    }

    async fn run(
        &self,
        messages: NodeMessages,
        link: &mut Link,
        keys: &mut SharedKeys,
    ) -> Result<Infallible, RegistryError> {
        let mut said = self.node(self.queues.is_leaving());
        self.beat(&mut said, link.own_keys, keys).await?;
        self.shared.engine.set_linked(true);
        self.queues.is_linked.store(true, Ordering::Relaxed);
        self.queues.metrics.linked.set(1);
        tracing::info!(node = %self.node.id, "other nodes can be reached");
        let own_keys = link.own_keys;
        let (errands, arrivals) = (&mut link.errands, &mut link.arrivals);
        // Each of them ends by failing, and with it all.
        tokio::try_join!(
            self.listen(messages),
            self.tick(),
            self.run_errands(errands),
            self.write_arrivals(arrivals),
            self.walk(),
            async {
                loop {
                    tokio::select! {
                        () = tokio::time::sleep(BEAT) => {}
                        () = self.queues.beat_now.notified() => {}
                    }
                    self.beat(&mut said, own_keys, keys).await?;
                }
                #[expect(unreachable_code, reason = "the type of a future that only fails")]
                Ok::<Infallible, RegistryError>(unreachable!())
            },
        )
        .map(|(never, ..)| never)
    }

    /// This node is there.
    async fn beat(
        &self,
        said: &mut Node,
        own_keys: Option<TokenKeys>,
        keys: &mut SharedKeys,
    ) -> Result<(), RegistryError> {
        let now = self.node(self.queues.is_leaving());
        let fresh = random_key().map_err(|error| RegistryError::Unavailable(error.to_string()))?;
        let (shared_keys, others) = match self.connection.beat(&now, said, keys, fresh).await {
            Err(RegistryError::Broken(error)) => {
                self.refused(&error);
                if now.leaving {
                    self.queues.left.notify_one();
                }
                return Ok(());
            }
            answer => answer?,
        };
        *said = now;
        self.queues.metrics.others.set(i64::try_from(others.len()).unwrap_or(i64::MAX));
        *self.queues.others.lock() = others;
        if said.leaving {
            self.queues.left.notify_one();
        }
        if own_keys.is_none() {
            let SharedKeys { current, next, previous } = shared_keys;
            let first = self.shared.first_keys.current();
            let accepted = [Some(next), previous, Some(first)];
            self.shared.engine.set_token_keys(TokenKeys::new(current).accepting(accepted));
        }
        *keys = shared_keys;
        Ok(())
    }

    /// Redis is there and does not want a write: it is full, or a replica. What only reads goes on.
    fn refused(&self, error: &str) {
        if self.queues.metrics.refused.inc() == 0 {
            tracing::warn!(error, "Redis refuses what this node writes; further refusals are only counted");
        }
    }

    async fn listen(&self, mut messages: NodeMessages) -> Result<Infallible, RegistryError> {
        let mut out = Out::new(self.shared);
        while let Some(message) = messages.next().await {
            out.tell(|shared, now_us, outbox| shared.engine.node_message(now_us, &message, outbox));
        }
        Err(RegistryError::Unavailable("the channel of this node has ended".to_owned()))
    }

    async fn tick(&self) -> Result<Infallible, RegistryError> {
        let mut out = Out::new(self.shared);
        loop {
            tokio::time::sleep(TICK).await;
            out.tick(self.queues);
        }
    }

    async fn run_errands(&self, queue: &mut mpsc::Receiver<NodeEvent>) -> Result<Infallible, RegistryError> {
        let mut out = Out::new(self.shared);
        let mut events = Vec::with_capacity(AT_ONCE);
        loop {
            events.clear();
            queue.recv_many(&mut events, AT_ONCE).await;
            let errands: Vec<Errand> = events.iter().filter_map(errand).collect();
            let pairs = || events.iter().filter(|event| errand(event).is_some()).map(pair_of);
            match self.connection.run(&errands).await {
                Ok(came) => {
                    for ((pair, errand), came) in pairs().zip(&errands).zip(came) {
                        let Some(pair) = pair else { continue };
                        match (errand, came) {
                            (_, Errands::Homes(homes)) => out.tell(|shared, now_us, outbox| {
                                shared.engine.node_homes(now_us, pair, &homes, outbox)
                            }),
                            (Errand::Tell(node, _), Errands::Told(false)) => {
                                out.tell(|shared, now_us, outbox| {
                                    shared.engine.node_unheard(now_us, pair, *node, outbox)
                                });
                            }
                            _ => {}
                        }
                    }
                }
                Err(error) => {
                    pairs().flatten().for_each(|pair| out.give_up(pair));
                    return Err(error);
                }
            }
        }
    }

    async fn write_arrivals(
        &self,
        queue: &mut mpsc::Receiver<NodeEvent>,
    ) -> Result<Infallible, RegistryError> {
        let mut events = Vec::with_capacity(AT_ONCE);
        loop {
            events.clear();
            queue.recv_many(&mut events, AT_ONCE).await;
            let mut arrived: Vec<(Home, SocketAddr)> = Vec::new();
            for event in &events {
                match event {
                    NodeEvent::Arrived { home, addr } => arrived.push((*home, *addr)),
                    // In order: whoever left may have come just before, or come again.
                    NodeEvent::Left(home) => {
                        self.arrive(&std::mem::take(&mut arrived)).await?;
                        match self.connection.lost(&[*home]).await {
                            Err(RegistryError::Broken(error)) => self.refused(&error),
                            done => done?,
                        }
                    }
                    NodeEvent::Find { .. } | NodeEvent::Tell { .. } => {}
                }
            }
            self.arrive(&arrived).await?;
        }
    }

    /// Peers came here. The nodes that they were at are told.
    async fn arrive(&self, arrived: &[(Home, SocketAddr)]) -> Result<(), RegistryError> {
        let homes: Vec<Home> = arrived.iter().map(|(home, _)| *home).collect();
        let others = self.heard(&homes).await?;
        let moved: Vec<Errand> = arrived
            .iter()
            .zip(&others)
            .flat_map(|((home, addr), others)| others.iter().filter_map(move |at| moved(home, *addr, at)))
            .collect();
        match self.connection.run(&moved).await {
            Err(RegistryError::Broken(error)) => {
                self.refused(&error);
                Ok(())
            }
            done => done.map(drop),
        }
    }

    async fn heard(&self, homes: &[Home]) -> Result<Vec<Vec<HomeAt>>, RegistryError> {
        match self.connection.heard(homes).await {
            Err(RegistryError::Broken(error)) => {
                self.refused(&error);
                Ok(Vec::new())
            }
            Ok(others) => {
                self.queues.metrics.presences.inc_by(homes.len() as u64);
                Ok(others)
            }
            Err(error) => Err(error),
        }
    }

    /// Says again and again who is heard here: at first as fast as Redis takes it, since it may have forgotten everything.
    async fn walk(&self) -> Result<Infallible, RegistryError> {
        let mut pause = Duration::ZERO;
        loop {
            let mut cursor = PresenceCursor::default();
            let mut homes = Vec::new();
            while self.shared.engine.presence_step(self.shared.now_us(), &mut cursor, &mut homes) {
                self.heard(&homes).await?;
                homes.clear();
                tokio::time::sleep(pause).await;
            }
            let steps = u32::try_from(self.shared.engine.presence_steps().max(1)).unwrap_or(u32::MAX);
            pause = WALK / steps;
        }
    }
}

/// What an event wants of Redis.
fn errand(event: &NodeEvent) -> Option<Errand> {
    match event {
        NodeEvent::Find { target, .. } => owner_of(*target).map(Errand::Find),
        NodeEvent::Tell { to, message, .. } => Some(Errand::Tell(*to, message.clone())),
        NodeEvent::Arrived { .. } | NodeEvent::Left(_) => None,
    }
}

fn pair_of(event: &NodeEvent) -> Option<PairId> {
    match event {
        NodeEvent::Find { pair, .. } => Some(*pair),
        NodeEvent::Tell { pair, .. } => *pair,
        NodeEvent::Arrived { .. } | NodeEvent::Left(_) => None,
    }
}

/// What another node is told of a peer that is here now.
fn moved(home: &Home, addr: SocketAddr, at: &HomeAt) -> Option<Errand> {
    if at.kind != home.kind {
        return None;
    }
    let moved = match home.kind {
        HomeKind::Address => Moved::Addr(addr),
        HomeKind::Legacy => Moved::Legacy(addr.ip()),
        HomeKind::IdV4 | HomeKind::IdV6 => Moved::Id { id: home.owner.id()?, is_v4: addr.is_ipv4() },
    };
    Some(Errand::Tell(at.node, Message::Moved(moved).encode()))
}
