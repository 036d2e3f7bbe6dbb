use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{
    self, AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, IntoConnectionInfo as _, Pipeline,
    RedisError, ServerErrorKind,
};
use deadpool_redis::{Manager, Pool, Runtime};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::import;
use super::scripts::Scripts;
use super::ttl::Ttls;
use crate::RegistryError;

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
/// Commands of concurrent requests travel on one multiplexed connection, so that they share system calls and
/// no request pays for a check of its own. A task holds it: it connects, loads the scripts, takes over the
/// original's data, looks after the connection and replaces it when it breaks. While there is none, requests
/// fail at once. The task belongs to the runtime that opened the link: a connection opened on the runtime of
/// an HTTP worker would die with that worker, under the requests of the others.
pub(super) struct Link {
    current: watch::Receiver<Option<MultiplexedConnection>>,
    /// Tells the task that a request saw the connection fail.
    doubt: Arc<Notify>,
    keeper: JoinHandle<()>,
    scripts: Arc<Scripts>,
    /// When a failed command was last logged.
    complained: Mutex<Option<Instant>>,
}

impl Link {
    /// Whether `url` can be one of a Redis.
    pub(super) fn check_url(url: &str) -> Result<(), String> {
        Client::open(url).map(|_| ()).map_err(|error| error.to_string())
    }

    /// Starts to connect; does not wait for it.
    pub(super) fn open(url: &str, ttls: Ttls) -> Result<Self, RegistryError> {
        let broken = |error: &dyn std::fmt::Display| RegistryError::Broken(format!("REDIS_URL: {error}"));
        let info = url.into_connection_info().map_err(|error| broken(&error))?;
        let tcp = redis::io::tcp::TcpSettings::default().set_nodelay(true);
        let info = info.set_tcp_settings(tcp);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let manager = Manager::new_with_config(info, config).map_err(|error| broken(&error))?;
        let pool = Pool::builder(manager)
            .max_size(1)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(CONNECT_TIMEOUT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .recycle_timeout(Some(RESPONSE_TIMEOUT))
            .build()
            .map_err(|error| broken(&error))?;
        let scripts = Arc::new(Scripts::new());
        let (sender, current) = watch::channel(None);
        let doubt = Arc::new(Notify::new());
        let keeper = Keeper { pool, sender, doubt: Arc::clone(&doubt), scripts: Arc::clone(&scripts), ttls };
        Ok(Self { current, doubt, keeper: tokio::spawn(keeper.run()), scripts, complained: Mutex::new(None) })
    }

    pub(super) fn scripts(&self) -> &Scripts {
        &self.scripts
    }

    /// The connection, when there is one.
    pub(super) fn connection(&self) -> Result<MultiplexedConnection, RegistryError> {
        self.current
            .borrow()
            .clone()
            .ok_or_else(|| RegistryError::Unavailable("no connection to Redis".to_owned()))
    }

    /// Sends a pipeline and reads its answers.
    pub(super) async fn query<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, RegistryError> {
        let mut connection = self.connection()?;
        let answer = match pipeline.query_async(&mut connection).await {
            // SCRIPT FLUSH, or a failover to a server that has not seen the scripts.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.scripts.load(&mut connection).await.map_err(|error| self.unavailable(&error))?;
                pipeline.query_async(&mut connection).await
            }
            answer => answer,
        };
        answer.map_err(|error| self.unavailable(&error))
    }

    pub(super) fn close(&self) {
        self.keeper.abort();
    }

    fn unavailable(&self, error: &RedisError) -> RegistryError {
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

/// The task behind a [`Link`].
struct Keeper {
    pool: Pool,
    sender: watch::Sender<Option<MultiplexedConnection>>,
    doubt: Arc<Notify>,
    scripts: Arc<Scripts>,
    ttls: Ttls,
}

impl Keeper {
    async fn run(self) {
        let mut state = State::default();
        loop {
            let Err(error) = self.serve_one_connection(&mut state).await;
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

    async fn serve_one_connection(&self, state: &mut State) -> Result<Infallible, String> {
        let pooled = self.pool.get().await.map_err(|error| error.to_string())?;
        // Out of the pool for good: its recycling would only repeat what the check below does.
        let mut connection = deadpool_redis::Connection::take(pooled);
        self.scripts.load(&mut connection).await.map_err(|error| error.to_string())?;
        let first_start = import::is_first_start(&mut connection).await.map_err(|error| error.to_string())?;
        if first_start {
            self.take_over(&mut connection, state).await?;
        }
        self.sender.send_replace(Some(connection.clone()));
        state.failures = 0;
        tracing::info!("Redis is available");
        if !first_start {
            self.take_over(&mut connection, state).await?;
        }
        loop {
            redis::cmd("PING").exec_async(&mut connection).await.map_err(|error| error.to_string())?;
            tokio::select! {
                () = tokio::time::sleep(CHECK_INTERVAL) => {}
                () = self.doubt.notified() => {}
            }
        }
    }

    /// Once a process: what is not there at the start does not come later.
    async fn take_over(
        &self,
        connection: &mut MultiplexedConnection,
        state: &mut State,
    ) -> Result<(), String> {
        if !state.taken_over {
            import::take_over(connection, &self.scripts, self.ttls)
                .await
                .map_err(|error| error.to_string())?;
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
