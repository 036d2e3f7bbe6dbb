//! `bench stops`: how long a lookup waits at most while the store takes much in, writes it to disk and compacts that.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::cli::length;
use crate::cores::Halves;
use crate::figures::{milliseconds, thousands};
use crate::http::load::Load;
use crate::http::workload::{Known, Mode, Workload};
use crate::http::{self, bare};
use crate::report::{Circumstances, Report, Table};
use crate::servers::{Store, Tracker};
use crate::stolen::Stolen;
use crate::tally::Outcome;

const EXAMPLES: &str = "\
Examples:
  bench stops
  bench stops --store redis --duration 5m --report docs/benchmarks";

/// Measure the longest stop of lookups while the store takes much in
///
/// Starts the `tracker` beside this program on an empty store and asks it for files a thousand times a second, at fixed times,
/// so that whatever stops it is seen from outside: first alone, then while mappings are published at half of the highest
/// rate, which has the store write and compact all the time. The load has half of the cores, the tracker the other half.
/// Everything is removed afterwards.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct StopsArgs {
    /// Where the tracker keeps its mappings
    #[arg(long, value_enum, default_value_t = Store::Embedded)]
    store: Store,
    /// How long each of the two is measured: 10s, 1m
    #[arg(long, default_value = "1m", value_parser = length)]
    duration: Duration,
    /// Write DATE-stops-STORE.md and .json into this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// Lookups a second.
const LOOKUPS: f64 = 1_000.0;
/// Connections that look up: one that waits must not keep the next from being sent.
const LOOKUP_CONNECTIONS: usize = 64;
const PUBLISH_CONNECTIONS: usize = 64;
/// How long the highest rate of publishing is looked for.
const TOP: Duration = Duration::from_secs(2);
/// The files that are looked up.
const KNOWN: Known = Known { files: 50, peers: bare::PEERS };
/// Files that are published.
const FILES: u64 = 10_000;

/// What a kind of request met.
#[derive(Debug, Serialize)]
struct Sample {
    what: &'static str,
    outcome: Outcome,
    /// Which share of the cores' time a hypervisor took meanwhile.
    stolen: f64,
}

/// Runs the measurement, prints it, and writes it where asked.
pub(crate) async fn run(args: &StopsArgs) -> anyhow::Result<()> {
    let circumstances = Circumstances::now();
    let samples = measure(args).await?;
    let table = table(&samples).render();
    println!("{}\n{table}", circumstances.describe());
    if let Some(directory) = &args.report {
        let kind = match args.store {
            Store::Embedded => "stops-embedded",
            Store::Redis => "stops-redis",
        };
        Report {
            kind,
            title: "The longest stop of a lookup",
            circumstances: &circumstances,
            body: &format!("{table}\n{NOTES}"),
            figures: &samples,
            charts: &[],
            curves: &[],
        }
        .write(directory)?;
    }
    let errors: u64 = samples.iter().map(|sample| sample.outcome.errors()).sum();
    anyhow::ensure!(errors == 0, "{errors} requests went wrong");
    Ok(())
}

async fn measure(args: &StopsArgs) -> anyhow::Result<Vec<Sample>> {
    let tracker = Tracker::start_apart(args.store, Halves::of_this_process()?.as_ref()).await?;
    let (host, address) = (tracker.address().to_string(), tracker.address());
    let lookups = Load { address, connections: LOOKUP_CONNECTIONS, depth: 1 };
    let publishes = Load { address, connections: PUBLISH_CONNECTIONS, depth: 1 };
    http::fill(&publishes, &host, KNOWN).await?;
    let look_up = Arc::new(Workload::endless(host.clone(), Mode::Peers, KNOWN, 1, 0));
    let publish = Arc::new(Workload::endless(host, Mode::Add, KNOWN, FILES, 0));

    let watch = Stolen::watch()?;
    let alone = lookups.run_for("lookups alone", &look_up, args.duration, Some(LOOKUPS)).await?;
    let mut samples = vec![Sample { what: "lookups alone", outcome: alone, stolen: watch.share()? }];

    let top = publishes.run_for("publishing at most", &publish, TOP, None).await?;
    anyhow::ensure!(top.errors() == 0, "{:?} while the highest rate was looked for", top.first_error);
    let watch = Stolen::watch()?;
    let (beside, added) = tokio::join!(
        lookups.run_for("lookups beside", &look_up, args.duration, Some(LOOKUPS)),
        publishes.run_for("publishes", &publish, args.duration, Some(top.per_second / 2.0)),
    );
    let stolen = watch.share()?;
    samples.push(Sample { what: "lookups beside publishes", outcome: beside?, stolen });
    samples.push(Sample { what: "publishes", outcome: added?, stolen });
    Ok(samples)
}

fn table(samples: &[Sample]) -> Table {
    let heads = [
        "requests",
        "answered",
        "a second",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "longest ms",
        "unsent",
        "stolen",
    ];
    let mut table = Table::new(1, heads);
    for Sample { what, outcome, stolen } in samples {
        let latency = outcome.latency;
        table.row([
            (*what).to_owned(),
            thousands(crate::figures::float(outcome.right)),
            thousands(outcome.per_second),
            milliseconds(latency.p50_us),
            milliseconds(latency.p99_us),
            milliseconds(latency.p999_us),
            milliseconds(latency.max_us),
            outcome.unsent.to_string(),
            format!("{:.2} %", 100.0 * stolen),
        ]);
    }
    table
}

const NOTES: &str = "## How to read it\n\n\
    * Lookups and publishes come due at fixed times, a thousand lookups a second and publishes at half of the highest rate, and a \
    latency counts from when its request was due. Whatever stops the tracker for longer than a millisecond meets a lookup.\n\
    * **longest ms** is the longest wait of any lookup, for whatever reason: the store, the scheduler, the load generator, or a \
    hypervisor that takes a core for other machines (**stolen**, of proc_stat(5)). What it is without publishes says how \
    much of it the machine is.\n\
    * A publish is a mapping that was not there before, of one more caller each. The embedded store writes groups of changes to \
    disk and merges files all the while; Redis writes its append-only file, and rewrites it from time to time.\n";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;
    use crate::tally::SharedTally;

    #[test]
    fn the_table_has_the_longest_wait_of_each() {
        let sample = |what, max_us| {
            let mut outcome = SharedTally::new().unwrap().outcome(7);
            outcome.latency.max_us = max_us;
            Sample { what, outcome, stolen: 0.0123 }
        };
        let text = table(&[sample("alone", 1_500.0), sample("beside", 48_200.0)]).render();
        let cells: Vec<Vec<&str>> =
            text.lines().skip(2).map(|line| line.split('|').map(str::trim).skip(7).collect()).collect();
        assert_eq!(cells, [["1.500", "7", "1.23 %", ""], ["48.200", "7", "1.23 %", ""]]);
    }
}
