//! `bench compare http`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::cli::length;
use crate::figures::{milliseconds, thousands};
use crate::http;
use crate::http::load::Load;
use crate::http::workload::{Known, Mode, Workload};
use crate::report::{Bar, Chart, Circumstances, Report, Table};
use crate::servers::{self, ServerProcess, Store, Tracker};

use super::meter::Meter;
use super::summary::{Row, Sample, fail_on_errors, summarize};

const EXAMPLES: &str = "\
Examples:
  bench compare http
  bench compare http --connections 32 --report docs/benchmarks";

/// Measure the tracker on both stores against the bare limit
///
/// Starts, in turns and each fresh in every round: the bare limit (`bench bare-http`), the `tracker` beside this
/// program on its embedded store, and the same on a `redis-server` of its own. Each gets 10,000 files of 20 peers
/// (the bare limit: one), then `GET /peers` of 50 of these (hot), of all of these (cold: none is asked for often) and
/// `POST /add` of new mappings over 10,000 other files are measured. All of them listen on free ports, and their data goes to temporary directories.
///
/// The table shows the median over the rounds: requests a second, CPU time of each server process a request,
/// and both as a ratio to the bare limit in the same round.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct CompareHttpArgs {
    /// How often each is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// How long each operation is measured in a round: 500ms, 5s, 1m
    #[arg(long, default_value = "5s", value_parser = length)]
    duration: Duration,
    /// Connections that are open at the same time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    connections: u16,
    /// Write DATE-http.md, .json and .svg into this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// Before each measurement the same load runs for so long and is forgotten.
const WARM_UP: Duration = Duration::from_secs(1);
/// Files that `POST /add` goes round over.
const FILES: u64 = 10_000;
/// Files that `GET /peers` goes round over where they are hot.
const HOT_FILES: u64 = 50;
/// The same where they are cold: a file comes again after a second or more.
const COLD_FILES: u64 = 10_000;

const GET: &str = "GET /peers";
const COLD: &str = "GET /peers, cold";
const POST: &str = "POST /add";
/// What is measured, and over how many known files.
const OPERATIONS: [(&str, Mode, u64); 3] =
    [(GET, Mode::Peers, HOT_FILES), (COLD, Mode::Peers, COLD_FILES), (POST, Mode::Add, HOT_FILES)];

const BARE: &str = "bare actix-web";
const EMBEDDED: &str = "tracker, embedded";
const REDIS: &str = "tracker, Redis";
const SERVERS: [&str; 3] = [BARE, EMBEDDED, REDIS];

/// The original server in Python on Redis, measured once on a machine of this kind (AMD EPYC, 2 cores) with
/// `wrk -t1 -c32`: requests a second.
const ORIGINAL: &str = "original (Python, Redis)";
const ORIGINAL_GET: f64 = 2035.0;
const ORIGINAL_POST: f64 = 1183.0;

#[derive(Serialize)]
struct Figures<'a> {
    connections: u16,
    seconds_each: f64,
    original_get_per_second: f64,
    original_post_per_second: f64,
    medians: &'a [Row],
    samples: &'a [Sample],
}

/// A server under measurement.
enum Server {
    Bare(ServerProcess, SocketAddr),
    Tracker(Box<Tracker>),
}

impl Server {
    async fn start(name: &str) -> anyhow::Result<Self> {
        Ok(match name {
            EMBEDDED => Self::Tracker(Box::new(Tracker::start(Store::Embedded).await?)),
            REDIS => Self::Tracker(Box::new(Tracker::start(Store::Redis).await?)),
            _ => {
                let (process, address) = servers::own("bare-http", &[]).await?;
                Self::Bare(process, address)
            }
        })
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Bare(_, address) => *address,
            Self::Tracker(tracker) => tracker.address(),
        }
    }

    fn known(&self, files: u64) -> Known {
        let files = if matches!(self, Self::Bare(..)) { 1 } else { files };
        Known { files, peers: http::bare::PEERS }
    }

    fn processes(&self) -> Vec<(&'static str, u32)> {
        match self {
            Self::Bare(process, _) => vec![("server", process.pid())],
            Self::Tracker(tracker) => {
                let redis = tracker.redis().map(|redis| ("redis", redis.pid()));
                std::iter::once(("server", tracker.pid())).chain(redis).collect()
            }
        }
    }

    fn check_running(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Bare(process, _) => process.check_running(),
            Self::Tracker(tracker) => tracker.check_running(),
        }
    }
}

/// Runs the comparison, prints it, and writes it where asked.
pub(crate) async fn run(args: &CompareHttpArgs) -> anyhow::Result<()> {
    let circumstances = Circumstances::now();
    let mut samples = Vec::new();
    for round in 1..=args.rounds {
        for place in 0..SERVERS.len() {
            // Another one is the first in each round, so that none is always measured on the coolest machine.
            let Some(name) = SERVERS.get((place + usize::from(round)) % SERVERS.len()) else { continue };
            samples.extend(measure(name, round, args).await?);
        }
    }
    let is_limit = |sample: &Sample, other: &Sample| {
        other.round == sample.round && other.operation == sample.operation && other.server == BARE
    };
    let rows = summarize(&samples, &OPERATIONS.map(|(name, ..)| name), &SERVERS, is_limit);
    let table = table(&rows).render();
    println!("{}\n{table}", circumstances.describe());
    if let Some(directory) = &args.report {
        let figures = Figures {
            connections: args.connections,
            seconds_each: args.duration.as_secs_f64(),
            original_get_per_second: ORIGINAL_GET,
            original_post_per_second: ORIGINAL_POST,
            medians: &rows,
            samples: &samples,
        };
        Report {
            kind: "http",
            title: "The tracker's HTTP service against its limit",
            circumstances: &circumstances,
            body: &format!("{}\n{table}\n{}", method(args), notes()),
            figures: &figures,
            charts: &charts(&rows),
            curves: &[],
        }
        .write(directory)?;
    }
    fail_on_errors(&samples)
}

async fn measure(name: &'static str, round: u16, args: &CompareHttpArgs) -> anyhow::Result<Vec<Sample>> {
    let mut server = Server::start(name).await?;
    let load = Load { address: server.address(), connections: usize::from(args.connections), depth: 1 };
    let host = server.address().to_string();
    http::fill(&load, &host, server.known(COLD_FILES)).await?;
    let mut samples = Vec::new();
    for (operation, mode, files) in OPERATIONS {
        let what = format!("round {round}/{}: {name}, {operation}", args.rounds);
        let workload = Arc::new(Workload::endless(host.clone(), mode, server.known(files), FILES, 0));
        load.run_for(&what, &workload, WARM_UP, None).await?;
        let meter = Meter::start(&server.processes())?;
        let outcome = load.run_for(&what, &workload, args.duration, None).await?;
        server.check_running()?;
        let cost = meter.stop(outcome.right + outcome.wrong)?;
        samples.push(Sample::new(round, name, operation, outcome, cost));
    }
    Ok(samples)
}

fn original(operation: &str) -> f64 {
    if operation == POST { ORIGINAL_POST } else { ORIGINAL_GET }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(
        2,
        [
            "server",
            "operation",
            "requests/s",
            "of bare",
            "CPU µs",
            "of it Redis",
            "x bare",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "errors",
            "x original",
            "generator",
        ],
    );
    for row in rows {
        let ratio = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.2}"));
        table.row([
            row.server.to_owned(),
            row.operation.to_owned(),
            thousands(row.per_second),
            ratio(row.per_second_of_limit),
            format!("{:.1}", row.cpu_us_sum),
            row.cpu_us.get("redis").map_or(String::new(), |micros| format!("{micros:.1}")),
            ratio(row.cpu_of_limit),
            milliseconds(row.p50_us),
            milliseconds(row.p99_us),
            milliseconds(row.p999_us),
            row.errors.to_string(),
            format!("{:.1}", row.per_second / original(row.operation)),
            format!("{:.0} %", row.generator_share * 100.0),
        ]);
    }
    for (operation, per_second) in [(GET, ORIGINAL_GET), (POST, ORIGINAL_POST)] {
        table.row([ORIGINAL.to_owned(), operation.to_owned(), thousands(per_second)]);
    }
    table
}

fn charts(rows: &[Row]) -> Vec<Chart> {
    let label = |row: &Row| format!("{}: {}", row.operation, row.server);
    let hue = |row: &Row| SERVERS.iter().position(|name| *name == row.server).unwrap_or_default();
    let bars = |value: fn(&Row) -> f64| {
        rows.iter().map(|row| Bar { label: label(row), value: value(row), hue: hue(row) }).collect::<Vec<_>>()
    };
    let mut rates = bars(|row| row.per_second);
    for (operation, value) in [(GET, ORIGINAL_GET), (POST, ORIGINAL_POST)] {
        rates.push(Bar { label: format!("{operation}: {ORIGINAL}"), value, hue: SERVERS.len() });
    }
    vec![
        Chart { title: "Requests a second (more is better)".to_owned(), bars: rates },
        Chart {
            title: "CPU time a request in µs, all processes of the server (less is better)".to_owned(),
            bars: bars(|row| row.cpu_us_sum),
        },
    ]
}

fn method(args: &CompareHttpArgs) -> String {
    format!(
        "{} keep-alive connections in a closed loop from one thread of the same machine; {} rounds of {:?} for each \
         operation after a warm-up of {WARM_UP:?}, every server fresh in each round and in turns; medians over the \
         rounds. `GET /peers` asks for {HOT_FILES} files in rotation, or for {COLD_FILES}, each with {} peers, and gets all of \
         them. \
         `POST /add` stores a new mapping with every request, from many callers, over {FILES} files. Every answer \
         was checked.\n",
        args.connections,
        args.rounds,
        args.duration,
        http::bare::PEERS,
    )
}

fn notes() -> &'static str {
    "## What can be compared, and what cannot\n\n\
     * **x bare** is the figure to watch: CPU time a request against the bare limit, which answers with the same \
     bytes through the same library and does nothing else, in the same round. The bare limit is asked for one file, the \
     trackers for many; the requests have the same length.\n\
     * **CPU µs** is user and system time of the server's processes (`/proc/PID/stat`), the tracker and its Redis \
     together, and then Redis alone. What Redis forks off to rewrite its files is not in it.\n\
     * **requests/s** depends on who shares the machine: generator and servers run side by side here. Where \
     **generator** is near 100 %, the one thread of the generator was the limit and the server could do more.\n\
     * **x original** divides by figures of the original server taken on another day, on a machine of the same kind \
     and with another generator (`wrk -t1 -c32`), for the same number of peers. Whether its \
     `POST /add` stored new mappings or repeated one is not recorded; ours stores a new one with every request. Take \
     it as a magnitude.\n\
     * Latencies are those of a closed loop that keeps the machine full: they say how long the queue is, and not \
     how long a request takes on a server with time to spare. For that: `bench http --rate`.\n"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn row(server: &'static str, operation: &'static str) -> Row {
        Row {
            server,
            operation,
            per_second: 20_350.0,
            per_second_of_limit: Some(0.5),
            cpu_us: BTreeMap::from([("server", 20.0), ("redis", 10.0)]),
            cpu_us_sum: 30.0,
            cpu_of_limit: Some(2.0),
            generator_share: 0.9,
            p50_us: 1500.0,
            p99_us: 3000.0,
            p999_us: 4000.0,
            errors: 0,
        }
    }

    #[test]
    fn a_row_shows_the_ratio_to_the_limit_and_to_the_original() {
        let text = table(&[row(REDIS, GET)]).render();
        let line = text.lines().nth(2).unwrap_or_default().split('|').map(str::trim).collect::<Vec<_>>();
        let expected = [
            "", REDIS, GET, "20,350", "0.50", "30.0", "10.0", "2.00", "1.500", "3.000", "4.000", "0", "10.0",
            "90 %", "",
        ];
        assert_eq!(line, expected);
        assert!(text.contains(ORIGINAL));
    }

    #[test]
    fn the_original_is_in_the_picture_of_rates_and_not_in_that_of_cpu_time() {
        let charts = charts(&[row(BARE, GET), row(REDIS, GET)]);
        assert_eq!(charts.iter().map(|chart| chart.bars.len()).collect::<Vec<_>>(), [4, 2]);
    }
}
