//! Asks, answers and other messages, as Redis carries them.

use std::convert::Infallible;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use peer_core::datagram::v2::PairId;
use registry::RegistryError;
use registry::nodes::{Errand, Errands};
use tokio::sync::mpsc;

use super::NodeEvent;
use super::choosing::owner_of;
use super::lanes::{AT_ONCE, Lanes};
use super::link::Out;
use super::session::Session;

/// With the ask that it is for, where it is for one.
type Work = (Option<PairId>, Errand);

impl Session<'_> {
    pub(super) async fn run_errands(
        &self,
        queue: &mut mpsc::Receiver<NodeEvent>,
    ) -> Result<Infallible, RegistryError> {
        let mut out = Out::new(self.shared);
        let mut events = Vec::with_capacity(AT_ONCE);
        let mut lanes: Lanes<Work> = Lanes::default();
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                _ = queue.recv_many(&mut events, AT_ONCE) => {
                    for work in events.drain(..).filter_map(work) {
                        let server = self.connection.server_of_errand(&work.1);
                        if let Err((pair, _)) = lanes.add(server, work) {
                            self.undone(pair);
                        }
                    }
                }
                Some((server, pairs, errands, came)) = under_way.next() => {
                    lanes.done(server);
                    self.came(pairs, errands, came?, &mut out);
                }
            }
            while let Some((server, work)) = lanes.next() {
                under_way.push(async move {
                    let (pairs, errands): (Vec<_>, Vec<_>) = work.into_iter().unzip();
                    let came = self.connection.run(&errands).await;
                    (server, pairs, errands, came)
                });
            }
        }
    }

    /// Tells the engine what came of errands.
    fn came(
        &self,
        pairs: Vec<Option<PairId>>,
        errands: Vec<Errand>,
        came: Vec<Result<Errands, RegistryError>>,
        out: &mut Out<'_>,
    ) {
        for ((pair, errand), came) in pairs.into_iter().zip(errands).zip(came) {
            match (pair, errand, came) {
                (pair, _, Err(_)) => {
                    self.trouble.met();
                    self.undone(pair);
                }
                (Some(pair), _, Ok(Errands::Homes(homes))) => {
                    out.tell(|shared, now_us, outbox| shared.engine.node_homes(now_us, pair, &homes, outbox));
                }
                (Some(pair), Errand::Tell(node, _), Ok(Errands::Told(false))) => {
                    out.tell(|shared, now_us, outbox| shared.engine.node_unheard(now_us, pair, node, outbox));
                }
                _ => {}
            }
        }
    }

    /// An ask is tried again. Whoever waits for an answer asks again.
    fn undone(&self, pair: Option<PairId>) {
        match pair {
            Some(pair) => self.shared.engine.put_off_ask(pair),
            None => {
                self.queues.metrics.dropped.inc();
            }
        }
    }
}

/// What an event wants of Redis.
fn work(event: NodeEvent) -> Option<Work> {
    match event {
        NodeEvent::Find { pair, target } => Some((Some(pair), Errand::Find(owner_of(target)?))),
        NodeEvent::Tell { to, pair, message } => Some((pair, Errand::Tell(to, message))),
        NodeEvent::Arrived { .. } | NodeEvent::Left(_) => None,
    }
}
