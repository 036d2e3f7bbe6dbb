//! `bench nodes`: what very many matchmakers ask of the Redis that they share.

pub(crate) mod cost;
mod engine;
pub(crate) mod expected;
mod fleet;
mod ledger;
mod processes;
mod report;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::figures::float;
use crate::process::resident_bytes;
use crate::report::Circumstances;
use crate::servers::Redis;

use cost::Costs;
use engine::EngineCost;
use fleet::{Fleet, Scene};
use ledger::Load;
use processes::Comparison;

const EXAMPLES: &str = "\
Examples:
  bench nodes
  bench nodes --counts 3,30 --peers-per-node 1000
  bench nodes --processes 3
  bench nodes --report docs/benchmarks";

/// Measure what very many matchmakers ask of their Redis
///
/// Three things. Fleets in virtual time: the real engines, whose wishes go into a table in the place of Redis, which counts
/// commands, bytes and homes. What each word costs a real Redis, over the connections that a matchmaker uses, of as many nodes.
/// And a small fleet of real processes over a real Redis for 40 seconds, beside the same one simulated: what both count.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct NodesArgs {
    /// Nodes of each fleet
    #[arg(long, value_delimiter = ',', default_value = "3,30,300,1000", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    counts: Vec<u16>,
    /// Peers of each node
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    peers_per_node: u32,
    /// Connects of a peer in an hour, each for another peer at random
    #[arg(long, default_value_t = 10.0)]
    connects_per_hour: f64,
    /// Do nothing but this: so many real processes beside as many simulated ones, and fail where they are further apart than a
    /// tenth
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=8))]
    processes: Option<u16>,
    /// Peers of all real processes together
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(2..=800))]
    peers: u16,
    /// Write DATE-nodes.md, .json and .svg into this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// How far apart the simulation and the processes may be.
const APART_MAX: f64 = 0.1;
/// Room of a simulated node.
const ROOM: u32 = 65_000;

/// A fleet in virtual time, over one walk of every node.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Simulated {
    pub nodes: usize,
    pub peers: usize,
    pub seconds: f64,
    pub load: Load,
    /// Peers in Redis, each in each way that it is heard.
    pub homes: usize,
    pub matched: u64,
    pub missed: u64,
    /// Memory of all engines with their peers, in bytes.
    pub engines_bytes: u64,
}

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Findings {
    pub connects_per_hour: f64,
    pub costs: Costs,
    pub engine: EngineCost,
    pub simulated: Vec<Simulated>,
    pub comparison: Comparison,
}

/// Runs it, prints it, and writes it where asked.
pub(crate) async fn run(args: &NodesArgs) -> anyhow::Result<()> {
    let peers = usize::from(args.peers);
    if let Some(nodes) = args.processes {
        let comparison = processes::compare(usize::from(nodes), peers).await?;
        print!("{}", report::comparison(&comparison).render());
        return hold(&comparison);
    }
    let circumstances = Circumstances::now();
    let counts: Vec<usize> = args.counts.iter().map(|count| usize::from(*count)).collect();
    let directory = tempfile::tempdir()?;
    let redis = Redis::start(directory.path()).await?;
    let costs = cost::measure(&redis, &[&[1], &counts[..]].concat()).await?;
    drop(redis);
    let engine = engine::measure()?;
    let mut simulated = Vec::new();
    for nodes in counts {
        eprintln!("a fleet of {nodes}");
        simulated.push(simulate(args, nodes)?);
    }
    let comparison = processes::compare(3, peers).await?;
    let findings =
        Findings { connects_per_hour: args.connects_per_hour, costs, engine, simulated, comparison };
    report::print_and_write(&circumstances, &findings, args.report.as_deref())?;
    hold(&findings.comparison)
}

fn hold(comparison: &Comparison) -> anyhow::Result<()> {
    let (name, apart) = comparison.worst();
    anyhow::ensure!(
        apart <= APART_MAX,
        "the simulation is {:.0} % apart from the processes in {name}: {comparison:?}",
        apart * 100.0
    );
    Ok(())
}

fn simulate(args: &NodesArgs, nodes: usize) -> anyhow::Result<Simulated> {
    const SECOND_US: u64 = 1_000_000;
    const WINDOW_SECS: u64 = 40;
    let peers = nodes * usize::try_from(args.peers_per_node)?;
    let connects_per_second = float(peers as u64) * args.connects_per_hour / 3_600.0;
    // They come within a keepalive, so that these are spread.
    let joining_us = 20 * SECOND_US;
    let scene = Scene { nodes, peers, connects_per_second, room: ROOM, joining_us, seed: 1 };
    let before = resident_bytes(std::process::id())?;
    let mut fleet = Fleet::new(&scene);
    // Until the first whole walk after the last has come.
    let start_us = 2 * joining_us + 45 * SECOND_US;
    fleet.run_until(start_us)?;
    let load = fleet.run_until(start_us + WINDOW_SECS * SECOND_US)?;
    Ok(Simulated {
        nodes,
        peers,
        seconds: float(WINDOW_SECS),
        load,
        homes: fleet.ledger.homes(),
        matched: fleet.matched,
        missed: fleet.missed,
        engines_bytes: resident_bytes(std::process::id())?.saturating_sub(before),
    })
}
