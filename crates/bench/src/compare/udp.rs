//! `bench compare udp`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::cli::length;
use crate::figures::{milliseconds, thousands};
use crate::report::{Bar, Chart, Circumstances, Report, Table};
use crate::servers::{self, Redis, ServerProcess};
use crate::udp::addresses::MANY;
use crate::udp::{Load, Mode};

use super::filled::Filled;
use super::meter::Meter;
use super::summary::{Row, Sample, fail_on_errors, summarize};

const EXAMPLES: &str = "\
Examples:
  bench compare udp
  bench compare udp --registrations 1000000
  bench compare udp --nodes
  bench compare udp --pairs 200 --report docs/benchmarks";

/// Measure the matchmaker against the bare limit
///
/// Starts, in turns and each fresh in every round: the bare limit (`bench udp-echo`) and the `matchmaker` beside this
/// program, without limits for legacy peers and filled with live registrations. Registrations and connects are
/// measured in a closed loop of pairs of peers, each peer on an address of its own, and so are keepalives of version 2
/// and first registers of an id, with a signature. Every answer is checked; an answer that is not there after a
/// second is lost. With `--nodes` a matchmaker that meets others over a Redis, one of its own, is measured as well.
///
/// The table shows the median over the rounds: answers a second, CPU time of the server process an answer, and both
/// as a ratio to the bare limit in the same round.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct CompareUdpArgs {
    /// How often each is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// How long each operation is measured in a round: 500ms, 5s, 1m
    #[arg(long, default_value = "5s", value_parser = length)]
    duration: Duration,
    /// Registrations, each of another address, that the matchmaker keeps beside those of the pairs
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(0..=i64::from(MANY)))]
    registrations: u32,
    /// Pairs of peers, each with one exchange on the way
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pairs: u16,
    /// Also measure a matchmaker that meets others over a Redis
    #[arg(long)]
    nodes: bool,
    /// Write DATE-udp.md, .json and .svg into this directory; with --nodes, DATE-udp-nodes
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// Before each measurement the same load runs for so long and is forgotten.
const WARM_UP: Duration = Duration::from_secs(1);

/// How long a Redis may take to end.
const REDIS_LIMIT: Duration = Duration::from_secs(30);

const BARE: &str = "bare echo";
const OURS: &str = "matchmaker";
const NODE: &str = "matchmaker, a node";
const SERVERS: [&str; 3] = [BARE, OURS, NODE];

const ECHO: &str = "fixed answer";
const REGISTER: &str = "register";
const CONNECT: &str = "connect";
const KEEPALIVE: &str = "v2 keepalive";
const SIGNED: &str = "v2 signed register";
const OPERATIONS: [&str; 5] = [ECHO, REGISTER, CONNECT, KEEPALIVE, SIGNED];

/// The original server in Python, measured once on a machine of this kind (AMD EPYC, 2 cores): microseconds of CPU
/// time an answer.
const ORIGINAL: &str = "original (Python)";
const ORIGINAL_CPU_US: [(&str, f64); 2] = [(REGISTER, 36.0), (CONNECT, 29.0)];

#[derive(Serialize)]
struct Figures<'a> {
    registrations: u32,
    pairs: u16,
    seconds_each: f64,
    original_cpu_us: BTreeMap<&'static str, f64>,
    medians: &'a [Row],
    samples: &'a [Sample],
}

/// Runs the comparison, prints it, and writes it where asked.
pub(crate) async fn run(args: &CompareUdpArgs) -> anyhow::Result<()> {
    let circumstances = Circumstances::now();
    let mut samples = Vec::new();
    for round in 1..=args.rounds {
        // The other one is the first in every second round, so that none always has the cooler machine.
        let mut order = SERVERS.to_vec();
        if round % 2 == 0 {
            order.reverse();
        }
        for name in order.into_iter().filter(|name| args.nodes || *name != NODE) {
            samples.extend(measure(name, round, args).await?);
        }
    }
    let is_limit = |sample: &Sample, other: &Sample| other.round == sample.round && other.server == BARE;
    let rows = summarize(&samples, &OPERATIONS, &SERVERS, is_limit);
    let table = table(&rows).render();
    println!("{}\n{table}", circumstances.describe());
    if let Some(directory) = &args.report {
        let figures = Figures {
            registrations: args.registrations,
            pairs: args.pairs,
            seconds_each: args.duration.as_secs_f64(),
            original_cpu_us: ORIGINAL_CPU_US.into_iter().collect(),
            medians: &rows,
            samples: &samples,
        };
        Report {
            kind: if args.nodes { "udp-nodes" } else { "udp" },
            title: "The matchmaker against its limit",
            circumstances: &circumstances,
            body: &format!("{}\n{table}\n{NOTES}", method(args)),
            figures: &figures,
            charts: &charts(&rows),
            curves: &[],
        }
        .write(directory)?;
    }
    fail_on_errors(&samples)
}

async fn measure(name: &'static str, round: u16, args: &CompareUdpArgs) -> anyhow::Result<Vec<Sample>> {
    let ours = [
        (REGISTER, Mode::Register),
        (CONNECT, Mode::Connect),
        (KEEPALIVE, Mode::V2Keepalive),
        (SIGNED, Mode::V2Signed),
    ];
    if name != BARE {
        let directory = tempfile::tempdir()?;
        let redis = if name == NODE { Some(Redis::start(directory.path()).await?) } else { None };
        let mut filled = Filled::start_on(redis.as_ref(), args.registrations).await?;
        let (process, address) = filled.server();
        let samples = run_loads(name, round, args, process, address, &ours).await?;
        filled.check().await?;
        if let Some(redis) = redis {
            anyhow::ensure!(filled.matchmaker.figure("matchmaker_node_linked").await? == 1, "it is a node");
            drop(filled);
            redis.terminate(REDIS_LIMIT).await?;
        }
        return Ok(samples);
    }
    let (mut process, address) = servers::own("udp-echo", &[]).await?;
    run_loads(name, round, args, &mut process, address, &[(ECHO, Mode::Echo)]).await
}

async fn run_loads(
    name: &'static str,
    round: u16,
    args: &CompareUdpArgs,
    server: &mut ServerProcess,
    address: SocketAddr,
    operations: &[(&'static str, Mode)],
) -> anyhow::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for (operation, mode) in operations {
        let what = format!("round {round}/{}: {name}, {operation}", args.rounds);
        let mut load = Load::open(address, args.pairs, *mode).await?;
        load.run_for(&what, *mode, WARM_UP, None).await?;
        let meter = Meter::start(&[("server", server.pid())])?;
        let outcome = load.run_for(&what, *mode, args.duration, None).await?;
        server.check_running()?;
        let cost = meter.stop(outcome.right + outcome.wrong)?;
        samples.push(Sample::new(round, name, operation, outcome, cost));
    }
    Ok(samples)
}

fn original(operation: &str) -> Option<f64> {
    ORIGINAL_CPU_US.iter().find(|(name, _)| *name == operation).map(|(_, micros)| *micros)
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(
        2,
        [
            "server",
            "operation",
            "answers/s",
            "of bare",
            "CPU µs",
            "x bare",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "errors",
            "original's CPU",
            "generator",
        ],
    );
    let ratio = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.2}"));
    for row in rows {
        let saved = original(row.operation).map(|micros| format!("{:.1} x", micros / row.cpu_us_sum));
        table.row([
            row.server.to_owned(),
            row.operation.to_owned(),
            thousands(row.per_second),
            ratio(row.per_second_of_limit),
            format!("{:.2}", row.cpu_us_sum),
            ratio(row.cpu_of_limit),
            milliseconds(row.p50_us),
            milliseconds(row.p99_us),
            milliseconds(row.p999_us),
            row.errors.to_string(),
            saved.unwrap_or_default(),
            format!("{:.0} %", row.generator_share * 100.0),
        ]);
    }
    for (operation, micros) in ORIGINAL_CPU_US {
        let empty = String::new();
        let cpu = format!("{micros:.2}");
        table.row([ORIGINAL.to_owned(), operation.to_owned(), empty.clone(), empty, cpu]);
    }
    table
}

fn charts(rows: &[Row]) -> Vec<Chart> {
    let bars = |value: fn(&Row) -> f64| {
        let bar = |row: &Row| Bar {
            label: format!("{}: {}", row.server, row.operation),
            value: value(row),
            hue: SERVERS.iter().position(|name| *name == row.server).unwrap_or_default(),
        };
        rows.iter().map(bar).collect::<Vec<_>>()
    };
    let mut costs = bars(|row| row.cpu_us_sum);
    for (operation, value) in ORIGINAL_CPU_US {
        costs.push(Bar { label: format!("{ORIGINAL}: {operation}"), value, hue: SERVERS.len() });
    }
    vec![
        Chart { title: "CPU time an answer in µs (less is better)".to_owned(), bars: costs },
        Chart { title: "Answers a second (more is better)".to_owned(), bars: bars(|row| row.per_second) },
    ]
}

fn method(args: &CompareUdpArgs) -> String {
    format!(
        "{} pairs of peers in a closed loop, each peer with a socket on an address of its own (127.0.0.0/8), from one \
         thread of the same machine; the matchmaker keeps {} more registrations, each of another address, as its own \
         count confirms before and after; {} rounds of {:?} for each operation after a warm-up of {WARM_UP:?}, every server \
         fresh in each round and in turns; medians over the rounds. A registration has one answer, a connect has two, \
         one to either side. A keepalive of version 2 names an id and shows a token, a signed register has an Ed25519 \
         signature of an id that its address did not have before. Every answer was checked.\n",
        args.pairs,
        thousands(f64::from(args.registrations)),
        args.rounds,
        args.duration,
    )
}

const NOTES: &str = "\
    ## What can be compared, and what cannot\n\n\
    * **x bare** is the figure to watch: CPU time an answer against the bare limit, which receives and sends in \
    batches and looks at nothing, in the same round. A connect has two answers for one datagram received, so that an \
    answer of it can cost less than one of the limit.\n\
    * **CPU µs** is user and system time of the server process (`/proc/PID/stat`). The kernel delivers a datagram on \
    the loopback to its receiver on the time of the sender, so the work of delivering answers is in it, as it is in \
    that of the limit.\n\
    * **answers/s** depends on who shares the machine: generator and server run side by side here. Where \
    **generator** is near 100 %, the one thread of the generator was the limit and the server could do more.\n\
    * How many datagrams the server finds at once, and so how far a batch reaches, depends on the load: with few \
    pairs every datagram costs a wake-up.\n\
    * **matchmaker, a node** (with `--nodes`) meets others over a Redis of its own. Beside its answers it says there again and \
    again whom it hears, which is in its CPU time; that of Redis is not.\n\
    * **original's CPU** is how many times as much CPU time the original server took for an answer, on another day \
    on a machine of the same kind. Take it as a magnitude.\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_how_much_more_the_original_took() {
        let row = Row {
            server: OURS,
            operation: REGISTER,
            per_second: 150_000.0,
            per_second_of_limit: Some(0.9),
            cpu_us: BTreeMap::from([("server", 5.0)]),
            cpu_us_sum: 5.0,
            cpu_of_limit: Some(1.25),
            generator_share: 1.0,
            p50_us: 300.0,
            p99_us: 500.0,
            p999_us: 600.0,
            errors: 0,
        };
        let text = table(&[row]).render();
        let line = text.lines().nth(2).unwrap_or_default().split('|').map(str::trim).collect::<Vec<_>>();
        let figures =
            ["150,000", "0.90", "5.00", "1.25", "0.300", "0.500", "0.600", "0", "7.2 x", "100 %", ""];
        assert_eq!(line, [&["", OURS, REGISTER], &figures[..]].concat());
    }
}
