//! What Redis is told of the peers that this node hears: each as it comes or leaves, and all of them again and again.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use peer_core::limits::HOME_RENEW_MS;
use registry::RegistryError;
use registry::nodes::{Home, HomeAt, HomeKind};
use tokio::sync::mpsc;

use super::lanes::{AT_ONCE, Lanes};
use super::message::{Message, Moved};
use super::session::Session;
use super::{NodeEvent, PresenceCursor};

/// How long a walk through all registrations takes, after the first one of a connection.
const WALK: Duration = Duration::from_millis(HOME_RENEW_MS);

/// A peer that came, to where, or left.
enum Change {
    Came(Home, SocketAddr),
    Left(Home),
}

impl Change {
    fn home(&self) -> Home {
        match self {
            Self::Came(home, _) | Self::Left(home) => *home,
        }
    }
}

impl Session<'_> {
    pub(super) async fn write_arrivals(
        &self,
        queue: &mut mpsc::Receiver<NodeEvent>,
    ) -> Result<Infallible, RegistryError> {
        let mut events = Vec::with_capacity(AT_ONCE);
        // What is said of one peer stays in order, as it is for one server.
        let mut lanes: Lanes<Change> = Lanes::default();
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                _ = queue.recv_many(&mut events, AT_ONCE) => {
                    for change in events.drain(..).filter_map(|event| change(&event)) {
                        let server = self.connection.server_of_peer(change.home().owner);
                        if lanes.add(server, change).is_err() {
                            self.queues.metrics.dropped.inc();
                            self.trouble.met();
                        }
                    }
                }
                Some((server, written)) = under_way.next() => {
                    lanes.done(server);
                    written?;
                }
            }
            while let Some((server, changes)) = lanes.next() {
                under_way.push(async move { (server, self.write(changes).await) });
            }
        }
    }

    async fn write(&self, changes: Vec<Change>) -> Result<(), RegistryError> {
        let mut arrived: Vec<(Home, SocketAddr)> = Vec::new();
        for change in changes {
            match change {
                Change::Came(home, addr) => arrived.push((home, addr)),
                // In order: whoever left may have come just before, or come again.
                Change::Left(home) => {
                    self.arrive(&std::mem::take(&mut arrived)).await?;
                    self.note(self.connection.lost(&[home]).await?);
                }
            }
        }
        self.arrive(&arrived).await
    }

    /// Peers came here. The nodes that they were at are told.
    async fn arrive(&self, arrived: &[(Home, SocketAddr)]) -> Result<(), RegistryError> {
        let homes: Vec<Home> = arrived.iter().map(|(home, _)| *home).collect();
        let others = self.heard(&homes).await?;
        for ((home, addr), others) in arrived.iter().zip(others) {
            for event in others.into_iter().flatten().filter_map(|at| moved(home, *addr, at)) {
                self.queues.take_one(event);
            }
        }
        Ok(())
    }

    async fn heard(&self, homes: &[Home]) -> Result<Vec<Option<Vec<HomeAt>>>, RegistryError> {
        let others = self.note(self.connection.heard(homes).await?);
        self.queues.metrics.presences.inc_by(others.iter().flatten().count() as u64);
        Ok(others)
    }

    /// Takes note of what was not written, and gives what came of the rest.
    fn note<T>(&self, written: Vec<Result<T, RegistryError>>) -> Vec<Option<T>> {
        let mut is_refused = false;
        let mut note = |error| match error {
            // Said once for all that went together.
            RegistryError::Broken(error) if !is_refused => {
                is_refused = true;
                self.refused(&error);
            }
            RegistryError::Broken(_) => {}
            RegistryError::Unavailable(_) => self.trouble.met(),
        };
        written.into_iter().map(|written| written.map_err(&mut note).ok()).collect()
    }

    /// Says again and again who is heard here: at first as fast as Redis takes it, since it may have forgotten everything, and so
    /// whenever a part of it was away.
    pub(super) async fn walk(&self) -> Result<Infallible, RegistryError> {
        let mut pause = Duration::ZERO;
        loop {
            let mut cursor = PresenceCursor::default();
            let mut homes = Vec::new();
            while self.shared.engine.presence_step(self.shared.now_us(), &mut cursor, &mut homes) {
                self.heard(&homes).await?;
                homes.clear();
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.trouble.is_over() => (cursor, pause) = (PresenceCursor::default(), Duration::ZERO),
                }
            }
            let steps = u32::try_from(self.shared.engine.presence_steps().max(1)).unwrap_or(u32::MAX);
            pause = WALK / steps;
        }
    }
}

fn change(event: &NodeEvent) -> Option<Change> {
    match event {
        NodeEvent::Arrived { home, addr } => Some(Change::Came(*home, *addr)),
        NodeEvent::Left(home) => Some(Change::Left(*home)),
        NodeEvent::Find { .. } | NodeEvent::Tell { .. } => None,
    }
}

/// What another node is told of a peer that is here now.
fn moved(home: &Home, addr: SocketAddr, at: HomeAt) -> Option<NodeEvent> {
    if at.kind != home.kind {
        return None;
    }
    let moved = match home.kind {
        HomeKind::Address => Moved::Addr(addr),
        HomeKind::Legacy => Moved::Legacy(addr.ip()),
        HomeKind::IdV4 | HomeKind::IdV6 => Moved::Id { id: home.owner.id()?, is_v4: addr.is_ipv4() },
    };
    Some(NodeEvent::Tell { to: at.node, pair: None, message: Message::Moved(moved).encode() })
}
