//! One connection to Redis: what is done by it while it lasts.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use peer_core::datagram::v2::PairId;
use peer_core::limits::HOME_RENEW_MS;
use registry::nodes::{Errand, Errands, Home, HomeAt, HomeKind, Node, SharedKeys};
use registry::{NodeMessages, NodesConnection, RegistryError};
use tokio::sync::mpsc;

use super::choosing::owner_of;
use super::link::{BEAT, Link, Out, random_key};
use super::message::{Message, Moved};
use super::queues::Queues;
use super::{NodeEvent, PresenceCursor};
use crate::TokenKeys;
use crate::socket::Shared;

/// Those that go in one round trip.
const AT_ONCE: usize = 256;
/// How often asks are looked at that take too long.
const TICK: Duration = Duration::from_millis(100);
/// How long a walk through all registrations takes, after the first one of a connection.
const WALK: Duration = Duration::from_millis(HOME_RENEW_MS);

/// One connection, from its first word to its end.
pub(super) struct Session<'a> {
    pub(super) shared: &'a Shared,
    pub(super) queues: &'a Queues,
    pub(super) connection: NodesConnection,
    pub(super) node: Node,
}

impl Session<'_> {
    pub(super) fn node(&self, leaving: bool) -> Node {
        Node { leaving, ..self.node.clone() }
    }

    pub(super) async fn run(
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
        let (errands, arrivals) = (&mut link.ends.errands, &mut link.ends.arrivals);
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
            let SharedKeys { current, next, previous, .. } = shared_keys;
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
