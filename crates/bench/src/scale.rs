//! `bench scale`: what a lookup costs where there is much, against where there is little.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::cli::length;
use crate::cores::Halves;
use crate::figures::{float, median, milliseconds, thousands};
use crate::http::load::Load;
use crate::http::workload::{Known, Mode, Workload};
use crate::http::{self, bare};
use crate::report::{Circumstances, Report, Table};
use crate::servers::{Store, Tracker};
use crate::stolen::Stolen;
use crate::tally::Outcome;

const EXAMPLES: &str = "\
Examples:
  bench scale
  bench scale --store redis --mappings 1000000 --report docs/benchmarks";

/// Ask a small and a large tracker in turns
///
/// Starts two trackers beside this program, each on an empty store of its own: one with 10,000 mappings and a file of 100
/// peers, one with very many mappings and a file of very many peers. Then `GET /peers` is measured on both in turns: of files
/// of 20 peers, and of the one file, of which an answer has 100. First as fast as they go, then at half of the
/// small one's rate as an open loop: the latencies are of that. The load has half of the cores, the trackers the other
/// half, with their Redis. Everything is removed afterwards.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct ScaleArgs {
    /// Where the trackers keep them
    #[arg(long, value_enum, default_value_t = Store::Embedded)]
    store: Store,
    /// Mappings of the large tracker besides those of the one file
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(10_000..=100_000_000))]
    mappings: u64,
    /// Peers of the one file on the large tracker
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100..=2_000_000))]
    peers: u64,
    /// How often each is measured
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// How long each is measured in a round, as fast as it goes and at half of that: 500ms, 5s, 1m
    #[arg(long, default_value = "2s", value_parser = length)]
    duration: Duration,
    /// Connections that are open at the same time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    connections: u16,
    /// Write DATE-scale-STORE.md and .json into this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// Mappings of the small tracker.
const FEW_MAPPINGS: u64 = 10_000;
/// Peers of the one file on the small tracker, and in an answer.
const FEW_PEERS: u64 = 100;
/// The files of 20 peers that are asked for.
const KNOWN: Known = Known { files: 50, peers: bare::PEERS };
/// Requests on the way for each connection while filling: what actix-web takes at once.
const DEPTH: usize = 16;

/// A round is none of a quiet machine where a hypervisor took more of it. Of two seconds on two cores a tick is a quarter of this.
const LITTLE_STOLEN: f64 = 0.01;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Question {
    Files,
    Crowd,
}

#[derive(Debug, Serialize)]
struct Sample {
    question: Question,
    large: bool,
    round: u16,
    top_per_second: f64,
    /// Of the open loop.
    at_half: Outcome,
    /// Which share of the cores' time a hypervisor took meanwhile.
    stolen: f64,
}

/// A tracker and how much it has.
struct Filled {
    tracker: Tracker,
    mappings: u64,
    peers: u64,
}

/// Runs the measurement, prints it, and writes it where asked.
pub(crate) async fn run(args: &ScaleArgs) -> anyhow::Result<()> {
    let circumstances = Circumstances::now();
    let halves = Halves::of_this_process()?;
    let small = fill(args, halves.as_ref(), FEW_MAPPINGS, FEW_PEERS).await?;
    let large = fill(args, halves.as_ref(), args.mappings, args.peers).await?;
    for filled in [&small, &large] {
        if let Some(redis) = filled.tracker.redis() {
            redis.settle().await?;
        }
    }
    let mut samples = Vec::new();
    for round in 1..=args.rounds {
        for question in [Question::Files, Question::Crowd] {
            let top = ask(args, &small, question, None).await?.per_second;
            for filled in [&small, &large] {
                let large = filled.peers != FEW_PEERS;
                let top_per_second =
                    if large { ask(args, filled, question, None).await?.per_second } else { top };
                let watch = Stolen::watch()?;
                let at_half = ask(args, filled, question, Some(top / 2.0)).await?;
                let stolen = watch.share()?;
                samples.push(Sample { question, large, round, top_per_second, at_half, stolen });
            }
        }
    }
    let table = table(args, &samples).render();
    println!("{}\n{table}", circumstances.describe());
    if let Some(directory) = &args.report {
        let kind = match args.store {
            Store::Embedded => "scale-embedded",
            Store::Redis => "scale-redis",
        };
        Report {
            kind,
            title: "A lookup where there is much",
            circumstances: &circumstances,
            body: &format!("{table}\n{NOTES}"),
            figures: &samples,
            charts: &[],
            curves: &[],
        }
        .write(directory)?;
    }
    let errors: u64 = samples.iter().map(|sample| sample.at_half.errors()).sum();
    anyhow::ensure!(errors == 0, "{errors} requests went wrong");
    Ok(())
}

async fn fill(
    args: &ScaleArgs,
    halves: Option<&Halves>,
    mappings: u64,
    peers: u64,
) -> anyhow::Result<Filled> {
    let tracker = Tracker::start_apart(args.store, halves).await?;
    let (host, address) = (tracker.address().to_string(), tracker.address());
    let load = Load { address, connections: usize::from(args.connections), depth: DEPTH };
    http::fill(&load, &host, KNOWN).await?;
    let publish = Arc::new(Workload::publish_all(host.clone(), mappings));
    load.run_all(&format!("publishing {mappings}"), &publish, publish.requests()).await?;
    let join = Arc::new(Workload::join_crowd(host, 0, peers));
    load.run_all(&format!("a file of {peers} peers"), &join, peers).await?;
    Ok(Filled { tracker, mappings, peers })
}

async fn ask(
    args: &ScaleArgs,
    filled: &Filled,
    question: Question,
    rate: Option<f64>,
) -> anyhow::Result<Outcome> {
    let address = filled.tracker.address();
    let load = Load { address, connections: usize::from(args.connections), depth: 1 };
    let workload = Arc::new(match question {
        Question::Files => Workload::endless(address.to_string(), Mode::Peers, KNOWN, 1, 0),
        Question::Crowd => Workload::ask_crowd(address.to_string(), FEW_PEERS),
    });
    let what = format!("{} mappings, a file of {} peers: {question:?}", filled.mappings, filled.peers);
    let outcome = load.run_for(&what, &workload, args.duration, rate).await?;
    // Of the highest rate nothing else is kept; those of the open loop are in the report.
    let lost = rate.is_none() && outcome.errors() > 0;
    anyhow::ensure!(!lost, "{what}: {:?}", outcome.first_error);
    Ok(outcome)
}

fn table(args: &ScaleArgs, samples: &[Sample]) -> Table {
    let heads = [
        "asked for",
        "requests/s at most",
        "at",
        "p50 ms",
        "p99 ms",
        "x small",
        "p99.9 ms",
        "unsent",
        "stolen",
    ];
    let mut table = Table::new(1, heads);
    for question in [Question::Files, Question::Crowd] {
        let rounds = least_disturbed(samples, question);
        let samples_of = |large: bool| {
            let is_of = move |sample: &&Sample| sample.question == question && sample.large == large;
            samples.iter().filter(is_of).filter(|sample| rounds.contains(&sample.round))
        };
        let of =
            |large: bool, value: fn(&Sample) -> f64| median(samples_of(large).map(value)).unwrap_or_default();
        let p99 = |sample: &Sample| sample.at_half.latency.p99_us;
        // Round by round, as what comes and goes on a machine lasts longer than one.
        let of_small = |sample: &Sample| {
            let small = samples_of(false).find(|small| small.round == sample.round)?;
            Some(p99(sample) / p99(small))
        };
        for large in [false, true] {
            let (mappings, peers) =
                if large { (args.mappings, args.peers) } else { (FEW_MAPPINGS, FEW_PEERS) };
            let what = match question {
                Question::Files => {
                    format!("files of 20 peers, among {} mappings", thousands(float(mappings)))
                }
                Question::Crowd => format!("a file of {} peers", thousands(float(peers))),
            };
            let unsent = |sample: &Sample| float(sample.at_half.unsent);
            table.row([
                what,
                thousands(of(large, |sample| sample.top_per_second)),
                thousands(of(large, |sample| sample.at_half.per_second)),
                milliseconds(of(large, |sample| sample.at_half.latency.p50_us)),
                milliseconds(of(large, p99)),
                format!("{:.2}", median(samples_of(large).filter_map(of_small)).unwrap_or_default()),
                milliseconds(of(large, |sample| sample.at_half.latency.p999_us)),
                thousands(of(large, unsent)),
                format!("{:.2} %", 100.0 * of(large, |sample| sample.stolen)),
            ]);
        }
    }
    table
}

/// The rounds in which other machines took little of the time of both, or the half in which they took least: where they take a
/// core for 10 ms, whoever is asked then answers 10 ms later.
fn least_disturbed(samples: &[Sample], question: Question) -> Vec<u16> {
    let mut stolen: BTreeMap<u16, f64> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.question == question) {
        let most = stolen.entry(sample.round).or_default();
        *most = most.max(sample.stolen);
    }
    let mut rounds: Vec<(u16, f64)> = stolen.into_iter().collect();
    rounds.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    let quiet = rounds.iter().filter(|(_, stolen)| *stolen <= LITTLE_STOLEN).count();
    rounds.truncate(quiet.max(rounds.len().div_ceil(2)));
    rounds.into_iter().map(|(round, _)| round).collect()
}

const NOTES: &str = "## How to read it\n\n\
    * Both trackers run at the same time, each on a store of its own, and are asked in turns; medians over the rounds in which a hypervisor took at most 1 % \
    of the cores' time for other machines (**stolen**, of proc_stat(5)), or over the half in which it took least.\n\
    * The load ran on half of the cores and both trackers on the other half, each Redis with its tracker: with fewer cores \
    than there are programs at work, the longest waits would be those for a core.\n\
    * Each Redis has saved to disk what was filled in before it is measured: a save takes one of the two cores for seconds.\n\
    * **at** is half of what the small tracker answers at most in the same round, as an open loop: requests are sent at fixed \
    times, and a latency counts from the time that a request was due.\n\
    * **x small** is the p99 against that of the small tracker in the same round, the median of these ratios.\n\
    * Every answer was checked: all 20 peers of a file, 100 of the one file.\n";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;
    use crate::tally::SharedTally;

    #[test]
    fn the_table_holds_the_large_against_the_small() {
        let args = ScaleArgs {
            store: Store::Embedded,
            mappings: 20_000,
            peers: 300,
            rounds: 1,
            duration: Duration::from_secs(1),
            connections: 1,
            report: None,
        };
        let sample = |question, large, p99_us| {
            let mut at_half = SharedTally::new().unwrap().outcome(0);
            at_half.latency.p99_us = p99_us;
            Sample { question, large, round: 1, top_per_second: 1_000.0, at_half, stolen: 0.0 }
        };
        let samples = [
            // A round that other machines disturbed is no part of it.
            Sample { round: 4, stolen: 0.1, ..sample(Question::Files, false, 9_000.0) },
            Sample { round: 4, ..sample(Question::Files, true, 90_000.0) },
            // Round by round: what disturbs both trackers alike makes none of them the slower one.
            Sample { round: 2, ..sample(Question::Files, false, 20_000.0) },
            Sample { round: 2, ..sample(Question::Files, true, 32_000.0) },
            // A tick that was taken is no disturbance.
            Sample { round: 5, stolen: 0.009, ..sample(Question::Files, false, 1_000.0) },
            Sample { round: 5, ..sample(Question::Files, true, 1_700.0) },
            Sample { round: 3, stolen: 0.1, ..sample(Question::Files, false, 1_000.0) },
            Sample { round: 3, ..sample(Question::Files, true, 7_000.0) },
            sample(Question::Files, false, 2_000.0),
            sample(Question::Files, true, 3_000.0),
            sample(Question::Crowd, false, 1_000.0),
            sample(Question::Crowd, true, 1_100.0),
        ];
        let text = table(&args, &samples).render();
        let ratios: Vec<&str> =
            text.lines().skip(2).filter_map(|line| line.split('|').nth(6)).map(str::trim).collect();
        // The median of 1.5, 1.6 and 1.7; that of the times by that of the times would be 1.5.
        assert_eq!(ratios, ["1.00", "1.60", "1.00", "1.10"]);
        assert!(text.contains("a file of 300 peers") && text.contains("among 20,000 mappings"), "{text}");
    }
}
