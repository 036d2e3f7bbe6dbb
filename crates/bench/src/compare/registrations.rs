//! `bench registrations`: what an answer costs beside few and very many registrations, and what those cost.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::cli::length;
use crate::figures::{float, mebibytes, milliseconds, thousands};
use crate::report::{Circumstances, Curves, Line, Report, Table};
use crate::servers::{self, ServerProcess};
use crate::udp::addresses::MANY;
use crate::udp::{Crowd, Exchange, LANES, tracking};

use super::filled::Filled;
use super::meter::Meter;
use super::summary::{Row, Sample, fail_on_errors, summarize};

const EXAMPLES: &str = "\
Examples:
  bench registrations
  bench registrations --counts 1000,10000000 --rounds 1 --report docs/benchmarks";

/// Measure what an answer costs beside few and very many registrations
///
/// For each count a fresh `matchmaker` without limits is filled with so many registrations, each of an address of its
/// own. Then random ones of these peers register again, and ask for random others. The bare limit (`bench udp-echo`)
/// answers the same peers in the same rounds. Every answer is checked. A registration that is not renewed lives for two
/// minutes; a count for which filling and measuring take longer ends with an error.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct RegistrationsArgs {
    /// How many registrations, from the smallest
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,100000,1000000,5000000",
          value_parser = clap::value_parser!(u32).range(i64::from(2 * LANES)..=i64::from(MANY)))]
    counts: Vec<u32>,
    /// How often each operation is measured beside each count
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// How long each operation is measured in a round: 500ms, 2s
    #[arg(long, default_value = "2s", value_parser = length)]
    duration: Duration,
    /// Write DATE-registrations.md, .json and .svg into this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// Before each measurement the same load runs for so long and is forgotten.
const WARM_UP: Duration = Duration::from_millis(500);

const BARE: &str = "bare echo";
const OURS: &str = "matchmaker";

const ECHO: &str = "fixed answer";
const REGISTER: &str = "register";
const CONNECT: &str = "connect";
const OPERATIONS: [&str; 3] = [ECHO, REGISTER, CONNECT];

/// What was found beside one count.
#[derive(Debug, Serialize)]
struct Found {
    registrations: u32,
    fill_per_second: f64,
    resident_empty: u64,
    resident_filled: u64,
    bytes_each: f64,
    medians: Vec<Row>,
    samples: Vec<Sample>,
}

#[derive(Serialize)]
struct Figures<'a> {
    rounds: u16,
    seconds_each: f64,
    counts: &'a [Found],
}

/// Runs the measurement, prints it, and writes it where asked.
pub(crate) async fn run(args: &RegistrationsArgs) -> anyhow::Result<()> {
    let circumstances = Circumstances::now();
    let mut found = Vec::new();
    for count in &args.counts {
        found.push(measure(*count, args).await?);
    }
    let table = format!("{}\n{}", table(&found).render(), growth(&found));
    println!("{}\n{table}", circumstances.describe());
    if let Some(directory) = &args.report {
        let figures =
            Figures { rounds: args.rounds, seconds_each: args.duration.as_secs_f64(), counts: &found };
        Report {
            kind: "registrations",
            title: "What an answer costs beside many registrations",
            circumstances: &circumstances,
            body: &format!("{}\n{table}\n{NOTES}", method(args)),
            figures: &figures,
            charts: &[],
            curves: &curves(&found),
        }
        .write(directory)?;
    }
    found.iter().try_for_each(|found| fail_on_errors(&found.samples))
}

async fn measure(count: u32, args: &RegistrationsArgs) -> anyhow::Result<Found> {
    let mut filled = Filled::start(count).await?;
    let (mut echo, address) = servers::own("udp-echo", &[]).await?;
    tracking::check(count)?;
    let mut callers = Crowd::open(address, count)?;
    let mut samples = Vec::new();
    for round in 1..=args.rounds {
        let turn = Turn { count, round, args };
        samples.push(turn.of(BARE, ECHO, Exchange::Echo, &mut echo, &mut callers).await?);
        for (operation, exchange) in [(REGISTER, Exchange::Register), (CONNECT, Exchange::Connect)] {
            let Filled { matchmaker, crowd, .. } = &mut filled;
            samples.push(turn.of(OURS, operation, exchange, &mut matchmaker.process, crowd).await?);
        }
    }
    filled.check().await?;
    let is_limit = |sample: &Sample, other: &Sample| other.round == sample.round && other.server == BARE;
    let [resident_empty, resident_filled] = filled.resident;
    Ok(Found {
        registrations: count,
        fill_per_second: filled.fill_per_second,
        resident_empty,
        resident_filled,
        bytes_each: float(resident_filled.saturating_sub(resident_empty)) / f64::from(count),
        medians: summarize(&samples, &OPERATIONS, &[BARE, OURS], is_limit),
        samples,
    })
}

/// One round beside one count.
struct Turn<'a> {
    count: u32,
    round: u16,
    args: &'a RegistrationsArgs,
}

impl Turn<'_> {
    async fn of(
        &self,
        name: &'static str,
        operation: &'static str,
        exchange: Exchange,
        server: &mut ServerProcess,
        crowd: &mut Crowd,
    ) -> anyhow::Result<Sample> {
        let Self { count, round, args } = self;
        let count = thousands(f64::from(*count));
        let what = format!("{count}, round {round}/{}: {operation}", args.rounds);
        crowd.run_for(&what, exchange, WARM_UP).await?;
        let meter = Meter::start(&[("server", server.pid())])?;
        let outcome = crowd.run_for(&what, exchange, args.duration).await?;
        server.check_running()?;
        let cost = meter.stop(outcome.right + outcome.wrong)?;
        Ok(Sample::new(*round, name, operation, outcome, cost))
    }
}

impl Found {
    fn of(&self, operation: &str) -> Option<&Row> {
        self.medians.iter().find(|row| row.operation == operation)
    }
}

fn table(all: &[Found]) -> Table {
    let head = [
        "registrations",
        "operation",
        "CPU µs",
        "x bare",
        "answers/s",
        "p50 ms",
        "p99 ms",
        "errors",
        "generator",
        "memory",
        "bytes each",
        "filled/s",
    ];
    let mut table = Table::new(2, head);
    for found in all {
        for row in &found.medians {
            let mut cells = vec![
                thousands(f64::from(found.registrations)),
                if row.server == BARE {
                    format!("{BARE}: {}", row.operation)
                } else {
                    row.operation.to_owned()
                },
                format!("{:.2}", row.cpu_us_sum),
                row.cpu_of_limit.map_or(String::new(), |ratio| format!("{ratio:.2}")),
                thousands(row.per_second),
                milliseconds(row.p50_us),
                milliseconds(row.p99_us),
                row.errors.to_string(),
                format!("{:.0} %", row.generator_share * 100.0),
            ];
            if row.operation == REGISTER {
                cells.push(mebibytes(found.resident_filled));
                cells.push(format!("{:.0}", found.bytes_each));
                cells.push(thousands(found.fill_per_second));
            }
            table.row(cells);
        }
    }
    table
}

/// How much more an answer costs beside the most registrations than beside the fewest.
fn growth(all: &[Found]) -> String {
    let count = |found: &&Found| found.registrations;
    let (Some(least), Some(most)) = (all.iter().min_by_key(count), all.iter().max_by_key(count)) else {
        return String::new();
    };
    let line = |operation: &str| {
        let (few, many) = (least.of(operation)?, most.of(operation)?);
        Some(format!(
            "* {operation}: {:.2} times the CPU time an answer beside {} registrations as beside {}; against the bare \
             limit of the same minutes {:.2} times.\n",
            many.cpu_us_sum / few.cpu_us_sum,
            thousands(f64::from(most.registrations)),
            thousands(f64::from(least.registrations)),
            many.cpu_of_limit? / few.cpu_of_limit?,
        ))
    };
    [REGISTER, CONNECT].into_iter().filter_map(line).collect()
}

fn curves(all: &[Found]) -> Vec<Curves> {
    let line = |label: &str, hue, value: &dyn Fn(&Found) -> Option<f64>| {
        let points = all.iter().filter_map(|found| Some((f64::from(found.registrations), value(found)?)));
        Line { label: label.to_owned(), points: points.collect(), hue }
    };
    let chart = |title: &str, lines| Curves {
        title: title.to_owned(),
        across: "registrations".to_owned(),
        magnitudes: true,
        lines,
    };
    let (names, hues) = ([BARE, REGISTER, CONNECT], 0..);
    let all_operations = || OPERATIONS.iter().zip(names).zip(hues.clone());
    let costs = all_operations()
        .map(|((operation, name), hue)| line(name, hue, &|found| Some(found.of(operation)?.cpu_us_sum)));
    let ratios = all_operations()
        .skip(1)
        .map(|((operation, name), hue)| line(name, hue, &|found| found.of(operation)?.cpu_of_limit));
    vec![
        chart("CPU time an answer in µs (less is better)", costs.collect()),
        chart("CPU time an answer against the bare limit", ratios.collect()),
        chart(
            "Memory of the process in MiB",
            vec![line("matchmaker", 1, &|found| Some(float(found.resident_filled) / f64::from(1 << 20)))],
        ),
    ]
}

fn method(args: &RegistrationsArgs) -> String {
    format!(
        "For each count a fresh matchmaker with `MATCHMAKER_LEGACY=on` and room for twice as many (at least 1,000,000), \
         filled with registrations that each came from another address (127.16.0.0 and on); its own count confirmed \
         them before and after. Then {} rounds of {:?} each after a warm-up of {WARM_UP:?}: the bare limit, random \
         peers of the crowd that register again, random peers that ask for random others. The crowd shares {LANES} \
         sockets, each with one exchange on the way; one thread of the same machine. Medians over the rounds. Every \
         answer was checked: what it says, from whom it came and to whose address.\n",
        args.rounds, args.duration,
    )
}

const NOTES: &str = "\
    ## How to read it\n\n\
    * **x bare** is CPU time an answer against the bare limit in the same round, with the same peers. A connect has two \
    answers for one datagram received.\n\
    * **bytes each** is the growth of the process's memory (VmRSS) from empty to filled by the number of \
    registrations. Stacks and buffers that are touched for the first time are in it, so that few registrations look \
    dear; tables that grow in steps are, so that it is not the same for all counts.\n\
    * A random peer among millions is in no cache of the processor, neither in the matchmaker nor in the kernel. The \
    bare limit has that of the kernel too.\n";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn row(server: &'static str, operation: &'static str, cpu: f64, ratio: f64) -> Row {
        Row {
            server,
            operation,
            per_second: 1000.0,
            per_second_of_limit: None,
            cpu_us: BTreeMap::new(),
            cpu_us_sum: cpu,
            cpu_of_limit: Some(ratio),
            generator_share: 1.0,
            p50_us: 1.0,
            p99_us: 2.0,
            p999_us: 3.0,
            errors: 0,
        }
    }

    fn found(registrations: u32, register: f64, ratio: f64) -> Found {
        Found {
            registrations,
            fill_per_second: 100_000.0,
            resident_empty: 0,
            resident_filled: 80 << 20,
            bytes_each: 77.7,
            medians: vec![row(BARE, ECHO, 1.0, 1.0), row(OURS, REGISTER, register, ratio)],
            samples: Vec::new(),
        }
    }

    #[test]
    fn growth_is_told_from_the_fewest_to_the_most_in_any_order() {
        let text = growth(&[found(5_000_000, 3.0, 1.5), found(1000, 2.0, 1.25)]);
        assert!(text.contains("register: 1.50 times"), "{text}");
        assert!(text.contains("beside 5,000,000 registrations as beside 1,000"), "{text}");
        assert!(text.contains("minutes 1.20 times") && !text.contains("connect"), "{text}");
    }

    #[test]
    fn memory_stands_once_beside_each_count() {
        let text = table(&[found(1_000_000, 2.0, 1.2)]).render();
        assert_eq!(text.matches("80.0 MiB").count(), 1, "{text}");
        assert!(text.contains("bare echo: fixed answer"), "{text}");
    }

    #[test]
    fn a_curve_has_a_point_for_each_count_that_was_measured() {
        let curves = curves(&[found(1000, 2.0, 1.2), found(10_000, 2.0, 1.2)]);
        let points: Vec<Vec<usize>> =
            curves.iter().map(|curves| curves.lines.iter().map(|line| line.points.len()).collect()).collect();
        assert_eq!(points, [vec![2, 2, 0], vec![2, 0], vec![2]]);
    }
}
