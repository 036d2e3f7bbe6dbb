//! The load generator for the matchmaker.

pub(crate) mod addresses;
mod crowd;
pub(crate) mod datagram;
pub(crate) mod echo;
mod lane;
mod pair;
pub(crate) mod stun;
mod swarm;
pub(crate) mod tracking;
pub(crate) mod v2;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use crate::cli::length;
use crate::load::{self, pace, time_bar};
use crate::pace::Pace;
use crate::tally::{Outcome, SharedTally};

pub(crate) use crowd::{Crowd, LANES};
pub(crate) use lane::Exchange;
pub(crate) use pair::Mode;
pub(crate) use swarm::Swarm;

use pair::Pair;

const EXAMPLES: &str = "\
Examples:
  bench udp --target 127.0.0.1:12345
  bench udp --target 127.0.0.1:12345 --mode connect --pairs 200
  bench udp --target 127.0.0.1:12345 --mode mixed --rate 20000";

/// Measure a matchmaker that runs already on this machine
///
/// Pairs of peers, each peer with a socket on an address of its own out of 127.0.0.0/8, send datagrams and check
/// every answer. Without --rate each pair waits for its answer before it speaks again (closed loop: how much
/// can the server do?). With --rate datagrams are sent at fixed times, and latency counts from the time that
/// one was due (open loop: how does it feel at this load?). An answer that is not there after a second is lost.
///
/// Start the matchmaker with `MATCHMAKER_LEGACY=on`, or its limits are what you measure.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct UdpArgs {
    /// The matchmaker, an IPv4 address of the loopback and a port
    #[arg(long, value_name = "IP:PORT", value_parser = loopback)]
    target: SocketAddr,
    /// Pairs of peers, each with one exchange on the way
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pairs: u16,
    /// How long to measure: 500ms, 10s, 2m
    #[arg(long, default_value = "10s", value_parser = length)]
    duration: Duration,
    /// What to say
    #[arg(long, value_enum, default_value_t = Mode::Register)]
    mode: Mode,
    /// Exchanges a second over all pairs, as an open loop [default: closed loop]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: Option<u32>,
}

/// Runs `bench udp`.
pub(crate) async fn run(args: &UdpArgs) -> anyhow::Result<()> {
    let mut load = Load::open(args.target, args.pairs, args.mode).await?;
    let rate = args.rate.map(f64::from);
    let outcome = load.run_for("measuring", args.mode, args.duration, rate).await?;
    print!("{}", outcome.describe(rate));
    anyhow::ensure!(outcome.errors() == 0, "{} answers were lost or wrong", outcome.errors());
    Ok(())
}

/// Pairs of peers of one matchmaker.
#[derive(Debug)]
pub(crate) struct Load {
    pairs: Vec<Pair>,
}

impl Load {
    /// Opens all sockets and registers all peers, where the mode has use for it.
    pub(crate) async fn open(server: SocketAddr, pairs: u16, mode: Mode) -> anyhow::Result<Self> {
        let tally = SharedTally::new()?;
        let mut load = Self { pairs: Vec::new() };
        for number in 1..=pairs {
            let mut pair = Pair::open(number, server).await?;
            if mode.registers() {
                pair.register(&tally).await?;
            }
            load.pairs.push(pair);
        }
        let outcome = tally.outcome(0);
        anyhow::ensure!(outcome.errors() == 0, "registering: {:?}", outcome.first_error);
        Ok(load)
    }

    /// Lets all pairs act for `length`; with a `rate` as an open loop.
    pub(crate) async fn run_for(
        &mut self,
        what: &str,
        mode: Mode,
        length: Duration,
        rate: Option<f64>,
    ) -> anyhow::Result<Outcome> {
        let tally = Arc::new(SharedTally::new()?);
        let pace = Arc::new(pace(length, rate));
        pace.start(self.pairs.len());
        let pairs = std::mem::take(&mut self.pairs);
        self.pairs = load::all(pairs, &tally, time_bar(what, length), |mut pair| {
            let (pace, tally) = (Arc::clone(&pace), Arc::clone(&tally));
            async move {
                drive(&mut pair, mode, &pace, &tally).await?;
                Ok(pair)
            }
        })
        .await?;
        Ok(tally.outcome(pace.unsent()))
    }
}

async fn drive(pair: &mut Pair, mode: Mode, pace: &Pace, tally: &SharedTally) -> anyhow::Result<()> {
    while let Some(since) = pace.turn().await {
        pair.turn(mode, since, tally).await?;
    }
    Ok(())
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "must be like 127.0.0.1:12345".to_owned())?;
    if address.is_ipv4() && address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("must be an IPv4 address of the loopback: every peer of the load has one of 127.0.0.0/8"
            .to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_matchmaker_on_this_machine_is_a_target() {
        assert!(loopback("127.0.0.1:12345").is_ok());
        for target in ["203.0.113.1:1", "[::1]:1", "127.0.0.1", "localhost:1"] {
            assert!(loopback(target).is_err(), "{target}");
        }
    }
}
