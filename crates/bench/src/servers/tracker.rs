//! The real tracker, on a store of its own that is removed afterwards.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;
use tempfile::TempDir;

use crate::cores::Halves;
use crate::http::connection::status;

use super::{Redis, START_LIMIT, ServerProcess, program};

/// A tracker or Redis that has not ended by then will not. Redis may have much to save.
const STOP_LIMIT: Duration = Duration::from_mins(1);

/// How often a starting tracker is asked whether it is ready.
const READY_POLL: Duration = Duration::from_millis(2);

/// Where a tracker keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Store {
    /// The embedded store, on disk in a temporary directory
    Embedded,
    /// A Redis of its own, with append-only file, synced every second
    Redis,
}

/// A running tracker and what it needs. The fields are dropped in this order: first who writes, then where.
#[derive(Debug)]
pub(crate) struct Tracker {
    process: ServerProcess,
    redis: Option<Redis>,
    address: SocketAddr,
    store: Store,
    directory: TempDir,
}

/// What is left of a tracker that was stopped: its data.
#[derive(Debug)]
pub(crate) struct Stopped {
    store: Store,
    directory: TempDir,
    /// From SIGTERM to the end of the tracker's process.
    pub shutdown: Duration,
}

impl Tracker {
    /// Starts one on an empty store, and waits until it is ready.
    pub(crate) async fn start(store: Store) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("bench-tracker-").tempdir()?;
        let mut tracker = Self::start_in(store, directory).await?;
        tracker.ready().await?;
        Ok(tracker)
    }

    /// The same on cores of its own, where there are `halves`: this process, the load, has the others from here on.
    pub(crate) async fn start_apart(store: Store, halves: Option<&Halves>) -> anyhow::Result<Self> {
        halves.map(Halves::start_servers).transpose()?;
        let tracker = Self::start(store).await?;
        halves.map(Halves::make_load).transpose()?;
        Ok(tracker)
    }

    /// Starts one on the Redis of somebody else, and waits until it is ready.
    pub(crate) async fn sharing(redis: &Redis) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("bench-tracker-").tempdir()?;
        let mut tracker = Self::start_with(Store::Redis, directory, None, Some(redis.url())).await?;
        tracker.ready().await?;
        Ok(tracker)
    }

    /// Waits until the tracker says that it and its store are ready.
    async fn ready(&mut self) -> anyhow::Result<()> {
        let admin = self.process.listening("tracker-admin", START_LIMIT).await?;
        let deadline = Instant::now() + START_LIMIT;
        while status(admin, "/ready").await? != 200 {
            anyhow::ensure!(Instant::now() < deadline, "the tracker is not ready after {START_LIMIT:?}");
            self.process.check_running()?;
            tokio::time::sleep(READY_POLL).await;
        }
        Ok(())
    }

    async fn start_in(store: Store, directory: TempDir) -> anyhow::Result<Self> {
        let redis = match store {
            Store::Embedded => None,
            Store::Redis => Some(Redis::start(directory.path()).await?),
        };
        let url = redis.as_ref().map(Redis::url);
        Self::start_with(store, directory, redis, url).await
    }

    async fn start_with(
        store: Store,
        directory: TempDir,
        redis: Option<Redis>,
        url: Option<String>,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program("tracker")?);
        // Whatever is set outside must not change what is measured.
        command
            .env_clear()
            .env("TRACKER_LISTEN", "127.0.0.1:0")
            .env("TRACKER_ADMIN_LISTEN", "127.0.0.1:0")
            .env("TRUSTED_PROXIES", "loopback")
            // All the load comes from one machine; a limit for each caller would be what is measured.
            .env("TRACKER_RATE_PER_SEC", "0")
            .env("LOG_FORMAT", "json")
            .env("RUST_LOG", "info")
            .env("DATA_DIR", directory.path())
            // A `.env` file where the benchmark happens to be started is none of its business.
            .current_dir(directory.path());
        if let Some(url) = url {
            command.env("REDIS_URL", url);
        }
        let mut process = ServerProcess::start("tracker", &mut command)?;
        let address = process.listening("tracker", START_LIMIT).await?;
        Ok(Self { process, redis, address, store, directory })
    }

    /// Where it serves HTTP.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process id of the tracker itself.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its Redis, if it is on one.
    pub(crate) fn redis(&self) -> Option<&Redis> {
        self.redis.as_ref()
    }

    /// An error if the tracker has ended.
    pub(crate) fn check_running(&mut self) -> anyhow::Result<()> {
        self.process.check_running()
    }

    /// Ends the tracker as a supervisor would, and then its Redis. The data stays.
    pub(crate) async fn stop(self) -> anyhow::Result<Stopped> {
        // Dropped from the last to the first where something fails: first who writes, then where.
        let Self { directory, store, redis, process, .. } = self;
        let (status, shutdown) = process.terminate(STOP_LIMIT).await?;
        anyhow::ensure!(status.success(), "the tracker ended with {status} after SIGTERM");
        if let Some(redis) = redis {
            redis.terminate(STOP_LIMIT).await.context("ending Redis")?;
        }
        Ok(Stopped { store, directory, shutdown })
    }
}

impl Stopped {
    /// Where the data is.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Starts it again, on the same data, and waits only until it listens.
    pub(crate) async fn start(self) -> anyhow::Result<Tracker> {
        Tracker::start_in(self.store, self.directory).await
    }
}
