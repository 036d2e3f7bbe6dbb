use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, Pipeline, RedisError, ServerErrorKind,
};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::clock::RedisClock;
use super::cluster::MapKeeper;
use super::connection::Connection;
use super::endpoint::Endpoint;
use super::keeper::{Keeper, Source};
use super::lanes::Lanes;
use super::publish::Rules;
use super::scripts::Scripts;
use crate::{Durations, RegistryError};

/// How long a command may take before its request is told that Redis is not there. With the rest of a request
/// it stays below the 300 ms that callers are promised.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(200);
/// How long a new connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// Shortest time between two lines about failed commands: a full or read-only Redis fails every one.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// The connection that all requests share.
///
/// Commands of concurrent requests travel on few multiplexed connections, so that they share system calls and
/// no request pays for a check of its own. A task holds the main one: it connects, loads the scripts, takes over the
/// original's data, looks after the connection and replaces it when it breaks, behind Sentinels by one to whoever is the
/// master then; or looks after those to a Cluster. While there is none, requests fail at once. The task belongs to the runtime that opened the link. Each thread that has a runtime to itself, as the
/// workers of an HTTP server have, gets a connection of its own besides (see [`Lanes`]): what goes over it wakes no other
/// thread.
pub(super) struct Link {
    current: watch::Receiver<Option<Main>>,
    lanes: Lanes,
    clock: Arc<RedisClock>,
    /// Tells the task that a request saw the connection fail.
    doubt: Arc<Notify>,
    is_cluster: bool,
    keeper: JoinHandle<()>,
    scripts: Arc<Scripts>,
    rules: Rules,
    round_trips: Arc<Durations>,
    /// When a failed command was last logged.
    complained: Mutex<Option<Instant>>,
}

impl Link {
    /// Starts to connect; does not wait for it.
    pub(super) fn open(url: &str, rules: Rules) -> Result<Self, RegistryError> {
        let broken = |error: &dyn std::fmt::Display| RegistryError::Broken(format!("REDIS_URL: {error}"));
        let endpoint = Endpoint::parse(url).map_err(|error| broken(&error))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let scripts = Arc::new(Scripts::new());
        let (sender, current) = watch::channel(None);
        let doubt = Arc::new(Notify::new());
        let source = match &endpoint {
            Endpoint::Cluster(seeds) => {
                let (scripts, doubt) = (Arc::clone(&scripts), Arc::clone(&doubt));
                Source::Cluster(MapKeeper::new(seeds.clone(), config.clone(), scripts, doubt))
            }
            _ => Source::One(endpoint.finder().map_err(|error| broken(&error))?),
        };
        let is_cluster = matches!(source, Source::Cluster(_));
        let clock = Arc::new(RedisClock::new());
        let keeper = Keeper::new(
            config.clone(),
            sender,
            Arc::clone(&clock),
            Arc::clone(&doubt),
            Arc::clone(&scripts),
            rules,
        );
        Ok(Self {
            current,
            lanes: Lanes::new(config),
            clock,
            doubt,
            is_cluster,
            keeper: tokio::spawn(keeper.run(source)),
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

    /// Whether keys are spread over slots of which a script touches one only.
    pub(super) fn is_cluster(&self) -> bool {
        self.is_cluster
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
        let mut connection = lane.map_or(main.connection, Connection::One);
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

    pub(super) fn unavailable(&self, error: &RedisError) -> RegistryError {
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
    pub(super) connection: Connection,
    /// What connects to the same server; none to a Cluster, whose connections threads share.
    pub(super) client: Option<Client>,
    /// Another number for each connection.
    pub(super) generation: u64,
}
