//! A crowd that fills a matchmaker and then speaks at random.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::load::{self, time_bar};
use crate::progress::Progress;
use crate::tally::{Outcome, SharedTally};

use super::lane::{Exchange, Lane};

/// Sockets that the peers of a crowd share, each with one exchange on the way: as many as `bench compare udp` has pairs.
pub(crate) const LANES: u32 = 64;

/// Many peers, on addresses of their own.
#[derive(Debug)]
pub(crate) struct Crowd {
    lanes: Vec<Lane>,
    peers: u32,
}

impl Crowd {
    /// A crowd that has not said anything yet. Fewer than two peers a lane cannot connect.
    pub(crate) fn open(server: SocketAddr, peers: u32) -> anyhow::Result<Self> {
        let lanes = LANES.min(peers);
        let lanes = (0..lanes).map(|number| Lane::open(server, number, lanes, peers));
        Ok(Self { lanes: lanes.collect::<anyhow::Result<_>>()?, peers })
    }

    /// Registers every peer, as fast as answers come.
    pub(crate) async fn register_all(&mut self, what: &str) -> anyhow::Result<Outcome> {
        let tally = Arc::new(SharedTally::new()?);
        let progress = Progress::of_count(what, u64::from(self.peers));
        let lanes = std::mem::take(&mut self.lanes);
        let moved = || progress.at(tally.answers());
        self.lanes = load::all(lanes, &tally, moved, |mut lane| {
            let tally = Arc::clone(&tally);
            async move {
                lane.register_all(&tally).await?;
                Ok(lane)
            }
        })
        .await?;
        let outcome = tally.outcome(0);
        anyhow::ensure!(
            outcome.right == u64::from(self.peers),
            "{} of {} registrations were answered right; first error: {:?}",
            outcome.right,
            self.peers,
            outcome.first_error
        );
        Ok(outcome)
    }

    /// Lets all lanes act for `length` in a closed loop.
    pub(crate) async fn run_for(
        &mut self,
        what: &str,
        exchange: Exchange,
        length: Duration,
    ) -> anyhow::Result<Outcome> {
        let tally = Arc::new(SharedTally::new()?);
        let pace = Arc::new(load::pace(length, None));
        let lanes = std::mem::take(&mut self.lanes);
        self.lanes = load::all(lanes, &tally, time_bar(what, length), |mut lane| {
            let (pace, tally) = (Arc::clone(&pace), Arc::clone(&tally));
            async move {
                while let Some(since) = pace.turn().await {
                    lane.turn(exchange, since, &tally).await?;
                }
                Ok(lane)
            }
        })
        .await?;
        Ok(tally.outcome(0))
    }
}
