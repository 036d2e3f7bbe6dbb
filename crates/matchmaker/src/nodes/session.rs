//! One connection to Redis: what is done by it while it lasts.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use registry::nodes::{Node, SharedKeys};
use registry::{NodeMessages, NodesConnection, RegistryError};

use super::link::{BEAT, Link, Out, TICK, random_key};
use super::queues::Queues;
use super::trouble::{GRACE, Trouble};
use crate::TokenKeys;
use crate::socket::Shared;

/// One connection, from its first word to its end.
pub(super) struct Session<'a> {
    pub(super) shared: &'a Shared,
    pub(super) queues: &'a Queues,
    pub(super) connection: NodesConnection,
    pub(super) node: Node,
    /// Whether there was one before it, and with that an outage.
    pub(super) is_again: bool,
    pub(super) trouble: Trouble,
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
        if !self.beat(&mut said, link.own_keys, keys).await? {
            return Err(RegistryError::Unavailable(
                "the keys of tokens are at a server that is away".to_owned(),
            ));
        }
        if self.is_again {
            self.doubt(GRACE);
        }
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

    /// A peer that nobody hears may be there all the same, for so long.
    fn doubt(&self, time: Duration) {
        let until_us = self.shared.now_us() + u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.shared.engine.doubt_nodes_until(until_us);
    }

    /// This node is there. False where the server of a Cluster that is to know it is away.
    async fn beat(
        &self,
        said: &mut Node,
        own_keys: Option<TokenKeys>,
        keys: &mut SharedKeys,
    ) -> Result<bool, RegistryError> {
        let now = self.node(self.queues.is_leaving());
        let fresh = random_key().map_err(|error| RegistryError::Unavailable(error.to_string()))?;
        let heard = match self.connection.beat(&now, said, keys, fresh).await {
            Err(RegistryError::Broken(error)) => {
                self.refused(&error);
                if now.leaving {
                    self.queues.left.notify_one();
                }
                return Ok(true);
            }
            answer => answer?,
        };
        let Some((shared_keys, others)) = heard else {
            self.trouble.met();
            return Ok(false);
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
        Ok(true)
    }

    /// Redis is there and does not want a write: it is full, or a replica. What only reads goes on.
    pub(super) fn refused(&self, error: &str) {
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
            if let Some(time) = self.trouble.look(self.connection.is_whole(), Instant::now()) {
                self.doubt(time);
            }
            out.tick(self.queues);
            tokio::time::sleep(TICK).await;
        }
    }
}
