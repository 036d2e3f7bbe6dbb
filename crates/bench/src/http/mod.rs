//! The load generator for the tracker.

pub(crate) mod bare;
pub(crate) mod connection;
pub(crate) mod expected;
pub(crate) mod load;
pub(crate) mod population;
mod response;
pub(crate) mod workload;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use crate::cli::length;

use load::Load;
use workload::{Known, Mode, Workload};

const EXAMPLES: &str = "\
Examples:
  bench http --url http://127.0.0.1:8000
  bench http --url http://127.0.0.1:8000 --mode add --duration 30s
  bench http --url http://127.0.0.1:8000 --mode mixed --rate 5000";

/// Measure a tracker that runs already
///
/// Opens keep-alive connections, sends requests, checks every answer and reports requests a second and
/// latencies. Without --rate each connection waits for its answer before it asks again (closed loop: how much
/// can the server do?). With --rate requests are sent at fixed times, and latency counts from the time that a
/// request was due (open loop: how does it feel at this load?).
///
/// Callers are told apart by X-Forwarded-For, so the tracker must trust the address that this runs on; with
/// its default settings it trusts the loopback and private networks. What it publishes stays there until it
/// expires: use a tracker of your own.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct HttpArgs {
    /// The tracker, like `http://127.0.0.1:8000`
    #[arg(long)]
    url: String,
    /// Connections that are open at the same time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    connections: u16,
    /// How long to measure: 500ms, 10s, 2m
    #[arg(long, default_value = "10s", value_parser = length)]
    duration: Duration,
    /// What to ask for
    #[arg(long, value_enum, default_value_t = Mode::Peers)]
    mode: Mode,
    /// Requests a second over all connections, as an open loop [default: closed loop]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: Option<u32>,
    /// peers, mixed: ask for this many files, each filled with --peers peers before the measurement
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    known_files: u64,
    /// peers, mixed: peers of each of those files; so many must be in every answer
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=1000))]
    peers: u64,
    /// add, mixed: publish mappings of this many files in rotation
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    files: u64,
    /// add, mixed: number of the first mapping; go on here to make new ones in a second run
    #[arg(long, default_value_t = 0)]
    first: u64,
}

/// Runs `bench http`.
pub(crate) async fn run(args: &HttpArgs) -> anyhow::Result<()> {
    let (host, address) = resolve(&args.url).await?;
    tokio::net::TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    let connections = usize::from(args.connections);
    let load = Load { address, connections, depth: 1 };
    let known = Known { files: args.known_files, peers: args.peers };
    if args.mode != Mode::Add {
        fill(&load, &host, known).await?;
    }
    let workload = Arc::new(Workload::endless(host, args.mode, known, args.files, args.first));
    let rate = args.rate.map(f64::from);
    let outcome = load.run_for("measuring", &workload, args.duration, rate).await?;
    print!("{}", outcome.describe(rate));
    if args.mode != Mode::Peers {
        println!("next mapping   --first {}", workload.position());
    }
    anyhow::ensure!(outcome.errors() == 0, "{} requests went wrong", outcome.errors());
    Ok(())
}

/// Publishes the known files with pipelined requests.
pub(crate) async fn fill(load: &Load, host: &str, known: Known) -> anyhow::Result<()> {
    const DEPTH: usize = 8;
    let load = Load { depth: DEPTH, ..*load };
    let workload = Arc::new(Workload::fill(host.to_owned(), known));
    load.run_all("filling", &workload, known.mappings()).await?;
    Ok(())
}

/// The `Host` and the socket address of `http://host:port`.
async fn resolve(url: &str) -> anyhow::Result<(String, SocketAddr)> {
    let host = authority(url).with_context(|| format!("{url:?} is not like http://127.0.0.1:8000"))?;
    let with_port = if has_port(host) { host.to_owned() } else { format!("{host}:80") };
    let address = tokio::net::lookup_host(&with_port)
        .await
        .with_context(|| format!("looking up {with_port:?}"))?
        .next()
        .with_context(|| format!("{with_port:?} has no address"))?;
    Ok((host.to_owned(), address))
}

fn authority(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("http://")?;
    let host = rest.strip_suffix('/').unwrap_or(rest);
    (!host.is_empty() && !host.contains(['/', '@', ' '])).then_some(host)
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_its_host_and_port() {
        assert_eq!(authority("http://127.0.0.1:8000"), Some("127.0.0.1:8000"));
        assert_eq!(authority("http://[::1]:8000/"), Some("[::1]:8000"));
        assert!(has_port("[::1]:8000") && !has_port("[::1]") && !has_port("tracker"));
    }

    #[test]
    fn a_url_with_a_path_or_without_http_is_refused() {
        for url in ["https://x", "127.0.0.1:8000", "http://", "http://x/peers", "http://user@x"] {
            assert_eq!(authority(url), None, "{url}");
        }
    }
}
