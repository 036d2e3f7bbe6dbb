//! `bench compare stun`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::cli::length;
use crate::figures::{milliseconds, thousands};
use crate::report::{Bar, Chart, Circumstances, Report, Table};
use crate::servers::{self, Coturn, Legacy, Matchmaker, ServerProcess};
use crate::udp::{Load, Mode};

use super::meter::Meter;
use super::summary::{Row, Sample, fail_on_errors, summarize};

const EXAMPLES: &str = "\
Examples:
  bench compare stun
  bench compare stun --pairs 200 --report docs/benchmarks";

/// Measure STUN of the matchmaker against the bare limit and coturn
///
/// Starts, in turns and each fresh in every round: the bare limit (`bench udp-echo`), the `matchmaker` beside this
/// program, without limits, and coturn's `turnserver` with STUN only. Binding requests are measured in a closed loop of
/// pairs of peers, each peer on an address of its own. Every answer is checked; an answer that is not there after a
/// second is lost.
///
/// The table shows the median over the rounds: answers a second, CPU time of the server process an answer, and both
/// as a ratio to the bare limit in the same round.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct CompareStunArgs {
    /// How often each is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// How long each is measured in a round: 500ms, 5s, 1m
    #[arg(long, default_value = "4s", value_parser = length)]
    duration: Duration,
    /// Pairs of peers, each with one exchange on the way
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pairs: u16,
    /// Write DATE-stun.md, .json and .svg into this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// Before each measurement the same load runs for so long and is forgotten.
const WARM_UP: Duration = Duration::from_secs(1);
/// Room for registrations, of which there are none.
const ROOM: u32 = 1_000_000;

const BARE: &str = "bare echo";
const OURS: &str = "matchmaker";
const COTURN: &str = "coturn";
const SERVERS: [&str; 3] = [BARE, OURS, COTURN];

const ECHO: &str = "fixed answer";
const BINDING: &str = "binding";
const OPERATIONS: [&str; 2] = [ECHO, BINDING];

#[derive(Serialize)]
struct Figures<'a> {
    pairs: u16,
    seconds_each: f64,
    medians: &'a [Row],
    samples: &'a [Sample],
}

/// Runs the comparison, prints it, and writes it where asked.
pub(crate) async fn run(args: &CompareStunArgs) -> anyhow::Result<()> {
    let circumstances = Circumstances::now();
    let mut samples = Vec::new();
    for round in 1..=args.rounds {
        // Another one is the first in every round, so that none always has the cooler machine.
        let first = usize::from(round) % SERVERS.len();
        for name in SERVERS.iter().cycle().skip(first).take(SERVERS.len()) {
            samples.push(measure(name, round, args).await?);
        }
    }
    let is_limit = |sample: &Sample, other: &Sample| other.round == sample.round && other.server == BARE;
    let rows = summarize(&samples, &OPERATIONS, &SERVERS, is_limit);
    let table = table(&rows).render();
    println!("{}\n{table}", circumstances.describe());
    if let Some(directory) = &args.report {
        let figures = Figures {
            pairs: args.pairs,
            seconds_each: args.duration.as_secs_f64(),
            medians: &rows,
            samples: &samples,
        };
        Report {
            kind: "stun",
            title: "STUN of the matchmaker against its limit and coturn",
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

async fn measure(name: &'static str, round: u16, args: &CompareStunArgs) -> anyhow::Result<Sample> {
    let what = format!("round {round}/{}: {name}", args.rounds);
    match name {
        OURS => {
            let mut matchmaker = Matchmaker::start(Legacy::On, ROOM).await?;
            let address = matchmaker.address;
            let (outcome, cost) = load(&what, Mode::Stun, args, &mut matchmaker.process, address).await?;
            Ok(Sample::new(round, name, BINDING, outcome, cost))
        }
        COTURN => {
            let mut coturn = Coturn::start().await?;
            let address = coturn.address;
            let (outcome, cost) = load(&what, Mode::Stun, args, &mut coturn.process, address).await?;
            Ok(Sample::new(round, name, BINDING, outcome, cost))
        }
        _ => {
            let (mut process, address) = servers::own("udp-echo", &[]).await?;
            let (outcome, cost) = load(&what, Mode::Echo, args, &mut process, address).await?;
            Ok(Sample::new(round, name, ECHO, outcome, cost))
        }
    }
}

async fn load(
    what: &str,
    mode: Mode,
    args: &CompareStunArgs,
    server: &mut ServerProcess,
    address: SocketAddr,
) -> anyhow::Result<(crate::tally::Outcome, super::meter::Cost)> {
    let mut load = Load::open(address, args.pairs, mode).await?;
    load.run_for(what, mode, WARM_UP, None).await?;
    let meter = Meter::start(&[("server", server.pid())])?;
    let outcome = load.run_for(what, mode, args.duration, None).await?;
    server.check_running()?;
    let cost = meter.stop(outcome.right + outcome.wrong)?;
    Ok((outcome, cost))
}

fn table(rows: &[Row]) -> Table {
    let head = [
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
        "generator",
    ];
    let mut table = Table::new(2, head);
    let ratio = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.2}"));
    for row in rows {
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
            format!("{:.0} %", row.generator_share * 100.0),
        ]);
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
    vec![
        Chart {
            title: "CPU time an answer in µs (less is better)".to_owned(),
            bars: bars(|row| row.cpu_us_sum),
        },
        Chart { title: "Answers a second (more is better)".to_owned(), bars: bars(|row| row.per_second) },
    ]
}

fn method(args: &CompareStunArgs) -> String {
    format!(
        "{} pairs of peers in a closed loop, each peer with a socket on an address of its own (127.0.0.0/8), from one \
         thread of the same machine; {} rounds of {:?} after a warm-up of {WARM_UP:?}, every server fresh in each round \
         and in turns; medians over the rounds. A Binding request has 20 bytes. Every answer was checked: its \
         transaction id and the address that it tells.\n",
        args.pairs, args.rounds, args.duration,
    )
}

const NOTES: &str = "\
    ## What can be compared, and what cannot\n\n\
    * **x bare** is the figure to watch: CPU time an answer against the bare limit, which receives and sends in \
    batches and looks at nothing, in the same round.\n\
    * **coturn** runs with `--stun-only`, one thread for requests, and without TCP, TLS, DTLS, RFC 5780 and SOFTWARE. It \
    takes and sends a datagram a system call. Its answers are longer than ours: they have MAPPED-ADDRESS and \
    RESPONSE-ORIGIN too.\n\
    * The matchmaker runs without limits (`MATCHMAKER_LEGACY=on`), as every peer of the load is a loopback one.\n\
    * **CPU µs** is user and system time of the server process (`/proc/PID/stat`). The kernel delivers a datagram on \
    the loopback to its receiver on the time of the sender, so the work of delivering answers is in it, as it is in \
    that of the limit.\n\
    * **answers/s** depends on who shares the machine: generator and server run side by side here. Where \
    **generator** is near 100 %, the one thread of the generator was the limit and the server could do more.\n";
