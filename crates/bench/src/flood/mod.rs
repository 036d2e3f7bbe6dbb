//! `bench flood`: whether honest peers notice that somebody floods the matchmaker.

mod findings;
mod flooder;
mod honest;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};

use crate::cli::length;
use crate::figures::thousands;
use crate::process::{cpu_time, resident_bytes};
use crate::progress::Progress;
use crate::report::{Circumstances, Report};
use crate::servers::{Legacy, Matchmaker};
use crate::udp::addresses::MANY;
use crate::udp::tracking;

use findings::{Findings, Moment, curves, table};
use flooder::Flood;
use honest::{Habits, Honest, Seen};

const EXAMPLES: &str = "\
Examples:
  bench flood
  bench flood --legacy limited --flood-rate 0 --report docs/benchmarks";

/// Flood a matchmaker with registrations while honest peers use it
///
/// A fresh `matchmaker` with room for few, honest peers that keep themselves registered and ask for each other at fixed
/// times (open loop: latency counts from the time that a question was due), and beside them a flood of registrations,
/// each from an address of its own. In the end every honest peer is asked for once more. An honest peer that was not
/// there when asked for, or an honest question without answer, is an error.
///
/// Both generators and the matchmaker share the cores of the machine: a flood that takes all of them shows how the
/// kernel shares them out, and not what the matchmaker does. So it has a rate.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct FloodArgs {
    /// Registrations that flood, each from an address of its own
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(MANY)))]
    flood: u32,
    /// How many of them a second; 0 is as many as can be sent
    #[arg(long, default_value_t = 50_000)]
    flood_rate: u32,
    /// Room of the matchmaker, its `MAX_CLIENTS`
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    max_clients: u32,
    /// Honest peers
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(10..=5000))]
    honest: u16,
    /// How often each honest peer registers again
    #[arg(long, default_value = "20s", value_parser = length)]
    keep_alive: Duration,
    /// Connects a second between random honest peers
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connect_rate: u32,
    /// `MATCHMAKER_LEGACY` of the matchmaker; with limited, the default limits hold for the loopback too [default: both]
    #[arg(long, value_enum)]
    legacy: Option<Legacy>,
    /// Write DATE-flood.md, .json and .svg into this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// The honest go on for so long after the flood.
const AFTER: Duration = Duration::from_secs(2);
/// How often memory and registrations are looked at.
const WATCH: Duration = Duration::from_secs(1);
const REGISTERED: &str = r#"matchmaker_datagrams_total{outcome="registered"}"#;

#[derive(Serialize)]
struct Figures<'a> {
    flood: u32,
    flood_rate: u32,
    max_clients: u32,
    honest: u16,
    keep_alive_seconds: f64,
    connects_per_second: u32,
    runs: &'a [Findings],
}

/// Runs the floods, prints what they did, and writes it where asked.
pub(crate) async fn run(args: &FloodArgs) -> anyhow::Result<()> {
    let circumstances = Circumstances::now();
    let mut runs = Vec::new();
    for legacy in [Legacy::On, Legacy::Limited] {
        if args.legacy.is_none_or(|wanted| wanted == legacy) {
            runs.push(flood(legacy, args).await?);
        }
    }
    let table = table(&runs).render();
    println!("{}\n{table}", circumstances.describe());
    if let Some(directory) = &args.report {
        let figures = Figures {
            flood: args.flood,
            flood_rate: args.flood_rate,
            max_clients: args.max_clients,
            honest: args.honest,
            keep_alive_seconds: args.keep_alive.as_secs_f64(),
            connects_per_second: args.connect_rate,
            runs: &runs,
        };
        Report {
            kind: "flood",
            title: "A flood beside honest peers",
            circumstances: &circumstances,
            body: &format!("{}\n{table}\n{NOTES}", method(args)),
            figures: &figures,
            charts: &[],
            curves: &curves(&runs),
        }
        .write(directory)?;
    }
    let faults = runs.iter().flat_map(Findings::faults).collect::<Vec<_>>();
    anyhow::ensure!(faults.is_empty(), "{}", faults.join(", "));
    Ok(())
}

/// Ends threads when the work that needs them is dropped.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn flood(legacy: Legacy, args: &FloodArgs) -> anyhow::Result<Findings> {
    tracking::check(args.flood)?;
    let mut matchmaker = Matchmaker::start(legacy, args.max_clients).await?;
    let habits = Habits {
        peers: args.honest,
        connects_per_second: f64::from(args.connect_rate),
        keep_alive: args.keep_alive,
    };
    let address = matchmaker.address;
    let mut honest = spawn_blocking(move || {
        let mut honest = Honest::open(address, habits)?;
        honest.register_all()?;
        anyhow::Ok(honest)
    })
    .await??;
    matchmaker.await_registrations(u32::from(args.honest)).await?;

    let pid = matchmaker.process.pid();
    let (cpu, before) = (cpu_time(pid)?, matchmaker.figure(REGISTERED).await?);
    let stop = StopOnDrop(Arc::default());
    let stop_honest = Arc::clone(&stop.0);
    let mut acting = spawn_blocking(move || {
        let seen = honest.run(&stop_honest)?;
        anyhow::Ok((honest, seen))
    });
    let flood = Flood {
        server: address,
        count: args.flood,
        rate: (args.flood_rate > 0).then(|| f64::from(args.flood_rate)),
        sent: Arc::new(AtomicU64::new(0)),
        stop: Arc::clone(&stop.0),
    };
    let sent = Arc::clone(&flood.sent);
    let started = Instant::now();
    let mut flooding = spawn_blocking(move || flood.run());
    let mut watch = Watch::new(&matchmaker, legacy, args, started);
    let flood_time = watch.until(&mut flooding, &mut acting, &sent).await??;
    let server_cpu = cpu_time(pid)?.saturating_sub(cpu);
    tokio::time::sleep(AFTER).await;
    drop(stop);
    let (mut honest, seen) = acting.await??;
    let lost_in_the_end = spawn_blocking(move || honest.missing()).await??.len();
    watch.look().await?;
    let moments = watch.moments;
    let registered = matchmaker.figure(REGISTERED).await? - before;
    matchmaker.process.check_running()?;
    let Seen { connects, connects_answered, connects_not_found, keep_alives, keep_alives_answered, .. } =
        seen;
    Ok(Findings {
        legacy,
        max_clients: args.max_clients,
        flood_sent: sent.load(Ordering::Relaxed),
        flood_seconds: flood_time.as_secs_f64(),
        registered,
        connects,
        connects_answered,
        connects_not_found,
        keep_alives,
        keep_alives_answered,
        wrong: seen.wrong,
        lost_for_a_time: seen.missing.len(),
        lost_in_the_end,
        latency: seen.latencies.quantiles(),
        server_cpu_seconds: server_cpu.as_secs_f64(),
        moments,
    })
}

/// Looks at the matchmaker while it is flooded.
struct Watch<'a> {
    matchmaker: &'a Matchmaker,
    progress: Progress,
    started: Instant,
    moments: Vec<Moment>,
}

impl<'a> Watch<'a> {
    fn new(matchmaker: &'a Matchmaker, legacy: Legacy, args: &FloodArgs, started: Instant) -> Self {
        let progress = Progress::of_count(&format!("flooding, legacy {legacy:?}"), u64::from(args.flood));
        Self { matchmaker, progress, started, moments: Vec::new() }
    }

    /// Waits for the end of the flood; an end of the honest before is an error.
    async fn until(
        &mut self,
        flooding: &mut JoinHandle<anyhow::Result<Duration>>,
        acting: &mut JoinHandle<anyhow::Result<(Honest, Seen)>>,
        sent: &AtomicU64,
    ) -> anyhow::Result<anyhow::Result<Duration>> {
        let mut watch = interval(WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                done = &mut *flooding => return Ok(done?),
                ended = &mut *acting => {
                    ended??;
                    anyhow::bail!("the honest peers ended before the flood");
                }
                _ = watch.tick() => {
                    self.look().await?;
                    self.progress.at(sent.load(Ordering::Relaxed));
                }
            }
        }
    }

    async fn look(&mut self) -> anyhow::Result<()> {
        self.moments.push(Moment {
            seconds: self.started.elapsed().as_secs_f64(),
            registrations: self.matchmaker.registrations().await?,
            resident: resident_bytes(self.matchmaker.process.pid())?,
        });
        Ok(())
    }
}

fn method(args: &FloodArgs) -> String {
    let rate = match args.flood_rate {
        0 => "as fast as one thread could send them".to_owned(),
        rate => format!("{} a second (`--flood-rate`)", thousands(f64::from(rate))),
    };
    format!(
        "A fresh matchmaker with `MAX_CLIENTS={}`. {} honest peers, each on an address of its own (127.3.0.0 and on), \
         register, do so again every {:?}, and {} times a second one asks for another at random. Meanwhile {} \
         registrations come from as many other addresses, {rate}; nobody reads their answers. {AFTER:?} later, further \
         peers ask once for every honest one. The flood has a thread of its own, so have the honest peers; they and \
         the matchmaker share the cores of one machine. With *limited*, the default limits hold for the loopback \
         too (`MATCHMAKER_LIMIT_LOOPBACK=on`).\n",
        args.max_clients,
        thousands(f64::from(args.honest)),
        args.keep_alive,
        args.connect_rate,
        thousands(f64::from(args.flood)),
    )
}

const NOTES: &str = "\
    ## How to read it\n\n\
    * **Missing for a time** are honest peers for which somebody asked once without finding them, or without any answer \
    within a second. Who registers again is found again, so that few are missing *in the end*.\n\
    * **Latency** counts from the time that a datagram was due to be sent, over all answers to honest peers. The \
    generators take turns with the matchmaker on the cores, so waiting for a core is part of it.\n\
    * **Registrations that the matchmaker took** are fewer than were sent where the kernel had no room for a datagram: \
    nothing that a matchmaker can do about a flood that its cores cannot keep up with.\n\
    * **Memory** grows until the table is full. From then on it must not.\n";
