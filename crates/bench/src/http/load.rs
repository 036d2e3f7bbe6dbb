//! Runs a workload over many connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::load::{Clients, pace, time_bar, watch};
use crate::pace::Pace;
use crate::progress::Progress;
use crate::tally::{Outcome, SharedTally};

use super::connection::{Connection, Exchange};
use super::workload::Workload;

/// A server that refuses connections is tried again after this long.
const RECONNECT: Duration = Duration::from_millis(20);

/// A server that has too much to do is left alone for so long.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// Where a load goes, and over how many connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub address: SocketAddr,
    pub connections: usize,
    /// Requests on the way per connection: 1 waits for each answer, more is pipelining.
    pub depth: usize,
}

impl Load {
    /// Runs an endless workload for `length`; with a `rate` as an open loop.
    pub(crate) async fn run_for(
        &self,
        what: &str,
        workload: &Arc<Workload>,
        length: Duration,
        rate: Option<f64>,
    ) -> anyhow::Result<Outcome> {
        let tally = Arc::new(SharedTally::new()?);
        self.run(workload, pace(length, rate), &tally, time_bar(what, length)).await
    }

    /// Runs a workload to its end. Anything but right answers to all of it is a failure.
    pub(crate) async fn run_all(
        &self,
        what: &str,
        workload: &Arc<Workload>,
        count: u64,
    ) -> anyhow::Result<Outcome> {
        let tally = Arc::new(SharedTally::new()?);
        let progress = Progress::of_count(what, count);
        let moved = || progress.at(tally.answers());
        let outcome = self.run(workload, Pace::Closed { end: None }, &tally, moved).await?;
        anyhow::ensure!(
            outcome.right == count && outcome.errors() == 0,
            "{what}: {} of {count} answers were right; first error: {}",
            outcome.right,
            outcome.first_error.as_deref().unwrap_or("none, answers are missing"),
        );
        Ok(outcome)
    }

    /// Sends one request on a connection of its own. False where the answer is not the right one.
    pub(crate) async fn ask(address: SocketAddr, workload: &Workload) -> anyhow::Result<bool> {
        let tally = SharedTally::new()?;
        Connection::open(address).await?.exchange(workload, 1, Instant::now(), &tally).await?;
        Ok(tally.outcome(0).right == 1)
    }

    async fn run(
        &self,
        workload: &Arc<Workload>,
        pace: Pace,
        tally: &Arc<SharedTally>,
        moved: impl Fn(),
    ) -> anyhow::Result<Outcome> {
        let pace = Arc::new(pace);
        let mut clients = Clients::new();
        for _ in 0..self.connections {
            clients.spawn(drive(*self, Arc::clone(workload), Arc::clone(&pace), Arc::clone(tally)));
        }
        pace.start(self.connections);
        watch(clients, tally, moved).await?;
        Ok(tally.outcome(pace.unsent()))
    }
}

/// One connection, opened again when it breaks.
async fn drive(
    load: Load,
    workload: Arc<Workload>,
    pace: Arc<Pace>,
    tally: Arc<SharedTally>,
) -> anyhow::Result<()> {
    let mut connection = None;
    while let Some(since) = pace.turn().await {
        let open = match &mut connection {
            Some(open) => open,
            None => match Connection::open(load.address).await {
                Ok(new) => connection.insert(new),
                Err(error) => {
                    tally.broken(&error);
                    sleep(RECONNECT).await;
                    continue;
                }
            },
        };
        match open.exchange(&workload, load.depth, since, &tally).await {
            Ok(Exchange { refused: 1.., .. }) => sleep(BUSY_PAUSE).await,
            Ok(Exchange { sent, .. }) if sent < load.depth => break,
            Ok(_) => {}
            Err(broken) => {
                tally.broken(&broken);
                connection = None;
            }
        }
    }
    Ok(())
}
