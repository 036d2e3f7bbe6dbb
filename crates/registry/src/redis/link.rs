use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, Pipeline, RedisError, Role, ServerErrorKind,
    Value, from_redis_value, pipe,
};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::endpoint::{Endpoint, Finder};
use super::lanes::Lanes;
use super::original;
use super::publish::Rules;
use super::recount;
use super::scripts::Scripts;
use crate::{Durations, RegistryError};

/// How long a command may take before its request is told that Redis is not there. With the rest of a request
/// it stays below the 300 ms that callers are promised.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(200);
/// How long a new connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How often the connection is looked at while all is well.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// How long to wait between two attempts to connect: with the two time-outs, well below a second until a Redis
/// that came back serves again.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Failed attempts in a row after which it is said that Redis is not available: about half a second.
const FAILURES_TO_WARN: u32 = 5;

/// Shortest time between two lines about failed commands: a full or read-only Redis fails every one.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// The connection that all requests share.
///
/// Commands of concurrent requests travel on few multiplexed connections, so that they share system calls and
/// no request pays for a check of its own. A task holds the main one: it connects, loads the scripts, takes over the
/// original's data, looks after the connection and replaces it when it breaks, behind Sentinels by one to whoever is the
/// master then. While there is none, requests
/// fail at once. The task belongs to the runtime that opened the link. Each thread that has a runtime to itself, as the
/// workers of an HTTP server have, gets a connection of its own besides (see [`Lanes`]): what goes over it wakes no other
/// thread.
pub(super) struct Link {
    current: watch::Receiver<Option<Main>>,
    lanes: Lanes,
    clock: Arc<RedisClock>,
    /// Tells the task that a request saw the connection fail.
    doubt: Arc<Notify>,
    keeper: JoinHandle<()>,
    scripts: Arc<Scripts>,
    rules: Rules,
    /// When a failed command was last logged.
    round_trips: Arc<Durations>,
    complained: Mutex<Option<Instant>>,
}

impl Link {
    /// Starts to connect; does not wait for it.
    pub(super) fn open(url: &str, rules: Rules) -> Result<Self, RegistryError> {
        let broken = |error: &dyn std::fmt::Display| RegistryError::Broken(format!("REDIS_URL: {error}"));
        let endpoint = Endpoint::parse(url).map_err(|error| broken(&error))?;
        let finder = endpoint.finder().map_err(|error| broken(&error))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let scripts = Arc::new(Scripts::new());
        let (sender, current) = watch::channel(None);
        let doubt = Arc::new(Notify::new());
        let clock = Arc::new(RedisClock::new());
        let keeper = Keeper {
            config: config.clone(),
            sender,
            clock: Arc::clone(&clock),
            generation: AtomicU64::new(0),
            doubt: Arc::clone(&doubt),
            scripts: Arc::clone(&scripts),
            rules,
        };
        Ok(Self {
            current,
            lanes: Lanes::new(config),
            clock,
            doubt,
            keeper: tokio::spawn(keeper.run(finder)),
            scripts,
            rules,
            complained: Mutex::new(None),
            round_trips: Arc::default(),
        })
    }

    pub(super) fn clock(&self) -> &RedisClock {
        &self.clock
    }

    pub(super) fn rules(&self) -> Rules {
        self.rules
    }

    pub(super) fn scripts(&self) -> &Scripts {
        &self.scripts
    }

    pub(super) fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// The connection that there is.
    pub(super) fn main(&self) -> Result<Main, RegistryError> {
        self.current.borrow().clone().ok_or_else(Self::not_connected)
    }

    /// Whether there is a connection.
    pub(super) fn ready(&self) -> Result<(), RegistryError> {
        if self.current.borrow().is_some() { Ok(()) } else { Err(Self::not_connected()) }
    }

    fn not_connected() -> RegistryError {
        RegistryError::Unavailable("no connection to Redis".to_owned())
    }

    /// Sends a pipeline and reads its answers.
    pub(super) async fn query<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, RegistryError> {
        let main = self.main()?;
        let lane = self.lanes.of_this_thread(&main);
        let mut connection = lane.unwrap_or(main.connection);
        let since = Instant::now();
        let answer = match pipeline.query_async(&mut connection).await {
            // SCRIPT FLUSH, or a failover to a server that has not seen the scripts.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.scripts.load(&mut connection).await.map_err(|error| self.unavailable(&error))?;
                pipeline.query_async(&mut connection).await
            }
            answer => answer,
        };
        if answer.is_ok() {
            self.round_trips.add(since.elapsed());
        }
        answer.map_err(|error| self.unavailable(&error))
    }

    /// How long Redis took to answer.
    pub(super) fn durations(&self) -> Arc<Durations> {
        Arc::clone(&self.round_trips)
    }

    pub(super) fn close(&self) {
        self.keeper.abort();
    }

    fn unavailable(&self, error: &RedisError) -> RegistryError {
        if error.is_io_error() || error.is_unrecoverable_error() {
            self.lanes.forget_this_threads();
        }
        self.doubt.notify_one();
        let now = Instant::now();
        let mut complained = self.complained.lock();
        if complained.is_none_or(|last| now - last >= COMPLAINT_INTERVAL) {
            *complained = Some(now);
            tracing::warn!(%error, "a command to Redis failed; further ones are not logged for a while");
        }
        RegistryError::Unavailable(error.to_string())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// The main connection.
#[derive(Clone)]
pub(super) struct Main {
    connection: MultiplexedConnection,
    /// What connects to the same server.
    pub(super) client: Client,
    /// Another number for each connection.
    pub(super) generation: u64,
}

/// What time it is in Redis, as far as is known without asking.
pub(super) struct RedisClock {
    started: Instant,
    /// What to add to the time since `started` to be at the time of Redis or at most one round trip ahead, in ms.
    ahead_ms: AtomicI64,
}

impl RedisClock {
    fn new() -> Self {
        Self { started: Instant::now(), ahead_ms: AtomicI64::new(0) }
    }

    /// Since this process opened the link, in ms.
    pub(super) fn local_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The time of Redis in ms since 1970, or a moment later: what lives then lives now.
    pub(super) fn redis_ms(&self) -> u64 {
        self.local_ms().saturating_add_signed(self.ahead_ms.load(Ordering::Relaxed))
    }

    /// Redis said that it was `redis_ms` when it had been asked at `asked_ms` of ours.
    fn set(&self, asked_ms: u64, redis_ms: u64) {
        let ahead_ms = i64::try_from(redis_ms.saturating_sub(asked_ms)).unwrap_or(0);
        self.ahead_ms.store(ahead_ms, Ordering::Relaxed);
    }
}

/// The task behind a [`Link`].
struct Keeper {
    config: AsyncConnectionConfig,
    sender: watch::Sender<Option<Main>>,
    clock: Arc<RedisClock>,
    generation: AtomicU64,
    doubt: Arc<Notify>,
    scripts: Arc<Scripts>,
    rules: Rules,
}

impl Keeper {
    async fn run(self, mut finder: Finder) {
        let mut state = State::default();
        loop {
            let Err(error) = self.serve_one_connection(&mut finder, &mut state).await;
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
        let generation = self.generation.fetch_add(1, Ordering::Relaxed);
        self.sender.send_replace(Some(Main { connection: connection.clone(), client, generation }));
        state.failures = 0;
        tracing::info!("Redis is available");
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
            recount::run(connection, &self.scripts).await.map_err(|error| error.to_string())?;
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
