//! A matchmaker that keeps a known number of live registrations while it is measured.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::process::resident_bytes;
use crate::servers::{Legacy, Matchmaker, Redis, ServerProcess};
use crate::udp::{Crowd, tracking};

/// A registration that is not renewed is dead after so long; so a measurement must be over by then.
const LIFE: Duration = Duration::from_mins(2);
/// Room that a matchmaker has by default, and that is kept for far more than are registered: none may have to make room.
const USUAL_ROOM: u32 = 1_000_000;

/// A fresh matchmaker with registrations of a crowd.
#[derive(Debug)]
pub(crate) struct Filled {
    pub matchmaker: Matchmaker,
    /// The peers that are registered.
    pub crowd: Crowd,
    count: u32,
    started: Instant,
    /// Registrations a second while it was filled.
    pub fill_per_second: f64,
    /// Memory of the process without registrations and with all of them.
    pub resident: [u64; 2],
}

impl Filled {
    /// Starts and fills one, and waits until it says itself that it keeps so many.
    pub(crate) async fn start(count: u32) -> anyhow::Result<Self> {
        Self::start_on(None, count).await
    }

    /// The same, with a Redis over which it meets others, where there is one.
    pub(crate) async fn start_on(redis: Option<&Redis>, count: u32) -> anyhow::Result<Self> {
        tracking::check(count)?;
        let room = USUAL_ROOM.max(count.saturating_mul(2));
        let matchmaker = Matchmaker::start_on(redis, Legacy::On, room).await?;
        let empty = resident_bytes(matchmaker.process.pid())?;
        let mut crowd = Crowd::open(matchmaker.address, count)?;
        let started = Instant::now();
        let outcome = crowd.register_all("filling the matchmaker").await?;
        matchmaker.await_registrations(count).await?;
        let resident = [empty, resident_bytes(matchmaker.process.pid())?];
        Ok(Self { matchmaker, crowd, count, started, fill_per_second: outcome.per_second, resident })
    }

    /// The process, and where it serves.
    pub(crate) fn server(&mut self) -> (&mut ServerProcess, SocketAddr) {
        (&mut self.matchmaker.process, self.matchmaker.address)
    }

    /// An error if it may have kept fewer while it was measured.
    pub(crate) async fn check(&self) -> anyhow::Result<()> {
        let age = self.started.elapsed();
        anyhow::ensure!(
            age < LIFE,
            "registrations live for {LIFE:?}, and filling and measuring took {age:?}: measure shorter or fewer"
        );
        let kept = self.matchmaker.registrations().await?;
        anyhow::ensure!(
            kept >= u64::from(self.count),
            "only {kept} of {} registrations were kept",
            self.count
        );
        Ok(())
    }
}
