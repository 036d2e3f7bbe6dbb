//! `bench compare trackers`: what a request costs with one, two and three trackers over one Redis.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::cli::length;
use crate::figures::{float, median, thousands};
use crate::http::load::Load;
use crate::http::workload::{Known, Mode, Workload};
use crate::http::{self, bare};
use crate::report::{Circumstances, Report, Table};
use crate::servers::{Redis, Tracker};
use crate::tally::Outcome;

use super::meter::Meter;

const EXAMPLES: &str = "\
Examples:
  bench compare trackers
  bench compare trackers --counts 1,2,3 --rounds 5 --report docs/benchmarks";

/// Compare a request's CPU time with one, two and three trackers over one Redis
///
/// Each tracker gets the same number of requests a second, at fixed times: what is asked grows with their number. CPU time
/// of all trackers and of Redis is divided by the answers. Every answer is checked; everything is removed afterwards.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct CompareTrackersArgs {
    /// How many trackers
    #[arg(long, value_delimiter = ',', default_value = "1,2,3", value_parser = clap::value_parser!(u8).range(1..=16))]
    counts: Vec<u8>,
    /// Requests a second of each tracker
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// How often each is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// How long each operation is measured in a round
    #[arg(long, default_value = "3s", value_parser = length)]
    duration: Duration,
    /// Connections to each tracker
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    connections: u16,
    /// Write DATE-trackers.md and .json into this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

const WARM_UP: Duration = Duration::from_secs(1);
/// Files that are looked up: more than any tracker remembers.
const KNOWN: Known = Known { files: 10_000, peers: bare::PEERS };
/// Files that are published, and numbers of mappings between two trackers.
const FILES: u64 = 10_000;
const APART: u64 = 10_000_000;
const OPERATIONS: [(&str, Mode); 2] = [("GET /peers, cold", Mode::Peers), ("POST /add", Mode::Add)];

#[derive(Debug, Serialize)]
struct Sample {
    trackers: u8,
    operation: &'static str,
    round: u16,
    per_second: f64,
    /// CPU time a request, in us: of all trackers together, and of Redis.
    tracker_us: f64,
    redis_us: f64,
    errors: u64,
    unsent: u64,
}

/// Runs the comparison, prints it, and writes it where asked.
pub(crate) async fn run(args: &CompareTrackersArgs) -> anyhow::Result<()> {
    let circumstances = Circumstances::now();
    let mut samples = Vec::new();
    for round in 1..=args.rounds {
        for place in 0..args.counts.len() {
            // Another one is the first in each round.
            let place = (place + usize::from(round)) % args.counts.len();
            let Some(count) = args.counts.get(place) else { continue };
            samples.extend(measure(args, *count, round).await?);
        }
    }
    let table = table(args, &samples).render();
    println!("{}\n{table}", circumstances.describe());
    if let Some(directory) = &args.report {
        let body = format!("{}\n{table}\n{NOTES}", method(args));
        let title = "One, two and three trackers over one Redis";
        let (circumstances, figures) = (&circumstances, &samples);
        Report { kind: "trackers", title, circumstances, body: &body, figures, charts: &[], curves: &[] }
            .write(directory)?;
    }
    let errors: u64 = samples.iter().map(|sample| sample.errors).sum();
    anyhow::ensure!(errors == 0, "{errors} requests went wrong");
    Ok(())
}

async fn measure(args: &CompareTrackersArgs, count: u8, round: u16) -> anyhow::Result<Vec<Sample>> {
    let directory = tempfile::Builder::new().prefix("bench-trackers-").tempdir()?;
    let redis = Redis::start(directory.path()).await?;
    let mut trackers = Vec::new();
    for _ in 0..count {
        trackers.push(Tracker::sharing(&redis).await?);
    }
    let first = trackers.first().context("no tracker")?.address();
    let connections = usize::from(args.connections);
    http::fill(&Load { address: first, connections, depth: 1 }, &first.to_string(), KNOWN).await?;
    redis.settle().await?;
    let mut samples = Vec::new();
    for (operation, mode) in OPERATIONS {
        let workloads: Vec<(Load, Arc<Workload>)> = trackers
            .iter()
            .zip(0_u64..)
            .map(|(tracker, number)| {
                let (address, host) = (tracker.address(), tracker.address().to_string());
                let workload = Workload::endless(host, mode, KNOWN, FILES, number * APART);
                (Load { address, connections, depth: 1 }, Arc::new(workload))
            })
            .collect();
        load(args, &workloads, WARM_UP).await?;
        let mut processes: Vec<(&'static str, u32)> = vec![("redis", redis.pid())];
        // Of each by a name of its own, since the meter has one a name.
        processes.extend(NAMES.iter().zip(&trackers).map(|(name, tracker)| (*name, tracker.pid())));
        let meter = Meter::start(&processes)?;
        let outcomes = load(args, &workloads, args.duration).await?;
        let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
        let cost = meter.stop(sum(|outcome| outcome.right + outcome.wrong))?;
        let redis_us = cost.cpu_us.get("redis").copied().unwrap_or_default();
        samples.push(Sample {
            trackers: count,
            operation,
            round,
            per_second: outcomes.iter().map(|outcome| outcome.per_second).sum(),
            tracker_us: cost.cpu_us.values().sum::<f64>() - redis_us,
            redis_us,
            errors: sum(Outcome::errors),
            unsent: sum(|outcome| outcome.unsent),
        });
        for tracker in &mut trackers {
            tracker.check_running()?;
        }
    }
    Ok(samples)
}

const NAMES: [&str; 16] =
    ["t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9", "t10", "t11", "t12", "t13", "t14", "t15", "t16"];

/// All trackers at the same time.
async fn load(
    args: &CompareTrackersArgs,
    workloads: &[(Load, Arc<Workload>)],
    length: Duration,
) -> anyhow::Result<Vec<Outcome>> {
    let mut running = JoinSet::new();
    for (load, workload) in workloads {
        let (load, workload, rate) = (*load, Arc::clone(workload), f64::from(args.rate));
        running.spawn(async move { load.run_for("measuring", &workload, length, Some(rate)).await });
    }
    running.join_all().await.into_iter().collect()
}

fn table(args: &CompareTrackersArgs, samples: &[Sample]) -> Table {
    let mut table = Table::new(
        1,
        [
            "operation",
            "trackers",
            "requests/s",
            "tracker us",
            "Redis us",
            "together us",
            "x first",
            "errors",
            "unsent",
        ],
    );
    for (operation, _) in OPERATIONS {
        let of = |count: u8, value: fn(&Sample) -> f64| {
            let own = samples.iter().filter(|it| it.operation == operation && it.trackers == count);
            median(own.map(value)).unwrap_or_default()
        };
        let both = |sample: &Sample| sample.tracker_us + sample.redis_us;
        for count in &args.counts {
            let first = args.counts.first().map_or(0.0, |first| of(*first, both));
            table.row([
                operation.to_owned(),
                count.to_string(),
                thousands(of(*count, |sample| sample.per_second)),
                format!("{:.1}", of(*count, |sample| sample.tracker_us)),
                format!("{:.1}", of(*count, |sample| sample.redis_us)),
                format!("{:.1}", of(*count, both)),
                format!("{:.2}", of(*count, both) / first),
                thousands(of(*count, |sample| float(sample.errors))),
                thousands(of(*count, |sample| float(sample.unsent))),
            ]);
        }
    }
    table
}

fn method(args: &CompareTrackersArgs) -> String {
    format!(
        "{} requests a second to each tracker at fixed times, over {} connections each; {} rounds of {:?} for each operation after \
         a warm-up of {WARM_UP:?}, everything fresh in each round and in turns; medians over the rounds. `GET /peers` asks for 10,000 \
         files in rotation, each with 20 peers; `POST /add` stores a new mapping with every request. Every answer was checked.\n",
        thousands(f64::from(args.rate)),
        args.connections,
        args.rounds,
        args.duration,
    )
}

const NOTES: &str = "## How to read it\n\n\
    * **x first** is the figure to watch: CPU time a request, of all trackers and Redis together, against the first line. A tracker \
    that made the others dearer would show in it.\n\
    * The rate is far below what a tracker can do, so that the two cores are shared by all without a queue; a request costs more \
    than in a closed loop, where more of them travel together.\n\
    * **CPU us** is user and system time of the processes (`/proc/PID/stat`), without what Redis forks off.\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_each_number_of_trackers_against_the_first() {
        let args = CompareTrackersArgs {
            counts: vec![1, 3],
            rate: 1,
            rounds: 1,
            duration: Duration::from_secs(1),
            connections: 1,
            report: None,
        };
        let sample = |trackers, operation, tracker_us| Sample {
            trackers,
            operation,
            round: 1,
            per_second: 5.0,
            tracker_us,
            redis_us: 10.0,
            errors: 0,
            unsent: 0,
        };
        let samples =
            OPERATIONS.map(|(operation, _)| [sample(1, operation, 30.0), sample(3, operation, 34.0)]);
        let text = table(&args, &samples.into_iter().flatten().collect::<Vec<_>>()).render();
        let ratios: Vec<&str> =
            text.lines().skip(2).filter_map(|line| line.split('|').nth(7)).map(str::trim).collect();
        assert_eq!(ratios, ["1.00", "1.10", "1.00", "1.10"]);
    }
}
