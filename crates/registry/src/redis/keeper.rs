use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, RedisResult, Role, Value, from_redis_value, pipe,
};
use tokio::sync::{Notify, watch};

use super::clock::RedisClock;
use super::cluster::MapKeeper;
use super::connection::Connection;
use super::endpoint::Finder;
use super::link::Main;
use super::original;
use super::publish::Rules;
use super::recount;
use super::scripts::Scripts;

/// How often the connection is looked at while all is well.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// How long to wait between two attempts to connect: with the two time-outs, well below a second until a Redis
/// that came back serves again.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// The shortest time between two looks at a Cluster.
const DOUBT_INTERVAL: Duration = Duration::from_millis(20);
/// Failed attempts in a row after which it is said that Redis is not available: about half a second.
const FAILURES_TO_WARN: u32 = 5;

/// The task behind a [`super::link::Link`].
pub(super) struct Keeper {
    config: AsyncConnectionConfig,
    sender: watch::Sender<Option<Main>>,
    clock: Arc<RedisClock>,
    generation: AtomicU64,
    doubt: Arc<Notify>,
    scripts: Arc<Scripts>,
    rules: Rules,
}

/// Where connections come from.
pub(super) enum Source {
    One(Finder),
    Cluster(MapKeeper),
}

impl Keeper {
    pub(super) fn new(
        config: AsyncConnectionConfig,
        sender: watch::Sender<Option<Main>>,
        clock: Arc<RedisClock>,
        doubt: Arc<Notify>,
        scripts: Arc<Scripts>,
        rules: Rules,
    ) -> Self {
        Self { config, sender, clock, generation: AtomicU64::new(0), doubt, scripts, rules }
    }

    pub(super) async fn run(self, mut source: Source) {
        let mut state = State::default();
        loop {
            let served = match &mut source {
                Source::One(finder) => self.serve_one_connection(finder, &mut state).await,
                Source::Cluster(map) => self.serve_cluster(map, &mut state).await,
            };
            let Err(error) = served;
            self.sender.send_replace(None);
            state.failures = state.failures.saturating_add(1);
            // Said once for each outage, whatever its length, and not while Redis and we only start together.
            if state.failures == FAILURES_TO_WARN {
                tracing::warn!(error, "Redis is not available");
            } else {
                tracing::debug!(error, "Redis is not available");
            }
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }

    async fn serve_one_connection(
        &self,
        finder: &mut Finder,
        state: &mut State,
    ) -> Result<Infallible, String> {
        let client = finder.find().await.map_err(|error| error.to_string())?;
        let connected = client.get_multiplexed_async_connection_with_config(&self.config).await;
        let mut connection = connected.map_err(|error| error.to_string())?;
        self.scripts.load(&mut connection).await.map_err(|error| error.to_string())?;
        let may_be_demoted = finder.may_be_demoted();
        self.check(&mut connection, may_be_demoted).await?;
        let first_start =
            original::is_first_start(&mut connection).await.map_err(|error| error.to_string())?;
        if first_start {
            self.take_over(&mut connection, state).await?;
        }
        self.publish(Connection::One(connection.clone()), Some(client), state);
        if !first_start {
            self.take_over(&mut connection, state).await?;
        }
        loop {
            self.check(&mut connection, may_be_demoted).await?;
            tokio::select! {
                () = tokio::time::sleep(CHECK_INTERVAL) => {}
                () = self.doubt.notified() => {}
            }
        }
    }

    /// Looks after the connections to a Cluster for as long as it serves. The original's data are not looked for: it knew of no
    /// Cluster.
    async fn serve_cluster(&self, map: &mut MapKeeper, state: &mut State) -> Result<Infallible, String> {
        map.check(&self.clock).await.map_err(|error| error.to_string())?;
        self.publish(Connection::Cluster(map.connection()), None, state);
        let mut connection = map.connection();
        let counting = async {
            while !state.taken_over {
                // A server that dies meanwhile is no reason to leave the others.
                state.taken_over = recount::run(&mut connection, &self.scripts, true).await.is_ok();
                tokio::time::sleep(CHECK_INTERVAL).await;
            }
            std::future::pending::<RedisResult<Infallible>>().await
        };
        let checking = async {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(CHECK_INTERVAL) => {}
                    () = self.doubt.notified() => {
                        // Requests that fail at the same time are told of by one look.
                        tokio::time::sleep(DOUBT_INTERVAL).await;
                    }
                }
                map.check(&self.clock).await?;
            }
        };
        let ended: RedisResult<Infallible> = tokio::select! {
            ended = counting => ended,
            ended = checking => ended,
        };
        match ended {
            Err(error) => Err(error.to_string()),
            Ok(never) => match never {},
        }
    }

    fn publish(&self, connection: Connection, client: Option<Client>, state: &mut State) {
        let generation = self.generation.fetch_add(1, Ordering::Relaxed);
        self.sender.send_replace(Some(Main { connection, client, generation }));
        state.failures = 0;
        tracing::info!("Redis is available");
    }

    /// Looks after the connection and the clock in one. A server that became a replica is left: it refuses to write, and
    /// somebody else is the master.
    async fn check(
        &self,
        connection: &mut MultiplexedConnection,
        may_be_demoted: bool,
    ) -> Result<(), String> {
        let mut check = pipe();
        check.cmd("TIME");
        if may_be_demoted {
            check.cmd("ROLE");
        }
        let asked_ms = self.clock.local_ms();
        let answers: Vec<Value> = check.query_async(connection).await.map_err(|error| error.to_string())?;
        let mut answers = answers.into_iter();
        let (secs, micros): (u64, u64) =
            from_redis_value(answers.next().unwrap_or_default()).map_err(|error| error.to_string())?;
        self.clock.set(asked_ms, secs.saturating_mul(1_000).saturating_add(micros / 1_000));
        match answers.next().map(from_redis_value::<Role>) {
            None | Some(Ok(Role::Primary { .. })) => Ok(()),
            Some(_) => Err("the server is not the master any more".to_owned()),
        }
    }

    /// Once a process: what is not there at the start does not come later.
    async fn take_over(
        &self,
        connection: &mut MultiplexedConnection,
        state: &mut State,
    ) -> Result<(), String> {
        if !state.taken_over {
            original::take_over(connection, &self.scripts, self.rules)
                .await
                .map_err(|error| error.to_string())?;
            recount::run(connection, &self.scripts, false).await.map_err(|error| error.to_string())?;
            state.taken_over = true;
        }
        Ok(())
    }
}

/// What a [`Keeper`] remembers from one connection to the next.
#[derive(Default)]
struct State {
    /// Attempts in a row that failed.
    failures: u32,
    /// Whether the original's data were looked for.
    taken_over: bool,
}
