//! `bench mappings`: memory, restart and disk of a tracker that holds very many mappings.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use crate::cli::length;
use crate::figures::{float, mebibytes, thousands};
use crate::http::load::Load;
use crate::http::workload::Workload;
use crate::process::resident_bytes;
use crate::report::{Circumstances, Report, Table};
use crate::servers::{Store, Tracker};

const EXAMPLES: &str = "\
Examples:
  bench mappings
  bench mappings --count 5000000 --store redis --report docs/benchmarks";

/// Fill a tracker with very many mappings and see what they cost
///
/// Starts the `tracker` beside this program on an empty store, publishes the mappings (20 peers a file, names of 30
/// bytes, hashes of 32), and reports the memory that they take, and the disk. Then it ends the tracker with
/// SIGTERM, starts it again and takes the time until the first file that was published is answered right,
/// with all its peers. With Redis that is ended and started again as well. Everything is removed afterwards.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct MappingsArgs {
    /// How many mappings; rounded up to whole files of 20 peers
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    count: u64,
    /// Where the tracker keeps them
    #[arg(long, value_enum, default_value_t = Store::Embedded)]
    store: Store,
    /// Connections that publish, each with 16 requests on the way
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1000))]
    connections: u16,
    /// Give up where a tracker started again has not answered by then
    #[arg(long, default_value = "2m", value_parser = length)]
    restart_limit: Duration,
    /// Write DATE-mappings-STORE.md and .json into this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// Requests on the way for each connection: what actix-web takes at once.
const DEPTH: usize = 16;
const PEERS_PER_FILE: u64 = 20;
/// How often a tracker that starts is asked.
const POLL: Duration = Duration::from_millis(2);
/// So many lookups after the restart must find their file with all its peers.
const CHECKS: u64 = 1000;

/// What was found.
#[derive(Debug, Serialize)]
struct Figures {
    store: Store,
    mappings: u64,
    files: u64,
    fill_per_second: f64,
    refused: u64,
    tracker_resident_before: u64,
    tracker_resident_after: u64,
    redis_used_before: Option<u64>,
    redis_used_after: Option<u64>,
    bytes_per_mapping: f64,
    shutdown_seconds: f64,
    disk_bytes: u64,
    restart_seconds: f64,
    tracker_resident_restarted: u64,
}

/// Memory of the tracker, and of the data in Redis.
#[derive(Debug, Clone, Copy)]
struct Memory {
    tracker: u64,
    redis: Option<u64>,
}

impl Memory {
    async fn of(tracker: &Tracker) -> anyhow::Result<Self> {
        let redis = match tracker.redis() {
            Some(redis) => Some(redis.used_memory().await?),
            None => None,
        };
        Ok(Self { tracker: resident_bytes(tracker.pid())?, redis })
    }

    /// What holds the mappings: Redis where there is one.
    fn of_data(self) -> u64 {
        self.redis.unwrap_or(self.tracker)
    }
}

/// Runs the measurement, prints it, and writes it where asked.
pub(crate) async fn run(args: &MappingsArgs) -> anyhow::Result<()> {
    let circumstances = Circumstances::now();
    let figures = measure(args).await?;
    let table = table(&figures).render();
    println!("{}\n{table}", circumstances.describe());
    if let Some(directory) = &args.report {
        let kind = match args.store {
            Store::Embedded => "mappings-embedded",
            Store::Redis => "mappings-redis",
        };
        Report {
            kind,
            title: "What many mappings cost",
            circumstances: &circumstances,
            body: &format!("{table}\n{NOTES}"),
            figures: &figures,
            charts: &[],
            curves: &[],
        }
        .write(directory)?;
    }
    Ok(())
}

async fn measure(args: &MappingsArgs) -> anyhow::Result<Figures> {
    let files = args.count.div_ceil(PEERS_PER_FILE);
    let mappings = files * PEERS_PER_FILE;
    let tracker = Tracker::start(args.store).await?;
    let before = Memory::of(&tracker).await?;
    let load = Load { address: tracker.address(), connections: usize::from(args.connections), depth: DEPTH };
    let workload = Arc::new(Workload::publish(tracker.address().to_string(), files, mappings));
    let filled = load.run_all("publishing", &workload, mappings).await?;
    let after = Memory::of(&tracker).await?;

    let stopped = tracker.stop().await?;
    let shutdown = stopped.shutdown;
    let disk_bytes = disk_usage(stopped.directory())?;

    let started = Instant::now();
    let mut tracker = stopped.start().await?;
    await_answer(&mut tracker, args.restart_limit.saturating_sub(started.elapsed())).await?;
    let restart = started.elapsed();
    check(&tracker, files).await?;
    Ok(Figures {
        store: args.store,
        mappings,
        files,
        fill_per_second: filled.per_second,
        refused: filled.refused,
        tracker_resident_before: before.tracker,
        tracker_resident_after: after.tracker,
        redis_used_before: before.redis,
        redis_used_after: after.redis,
        bytes_per_mapping: float(after.of_data().saturating_sub(before.of_data())) / float(mappings),
        shutdown_seconds: shutdown.as_secs_f64(),
        disk_bytes,
        restart_seconds: restart.as_secs_f64(),
        tracker_resident_restarted: resident_bytes(tracker.pid())?,
    })
}

/// Waits until the first file that was published is answered with all its peers.
async fn await_answer(tracker: &mut Tracker, limit: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        tracker.check_running()?;
        let lookup = Workload::lookup(tracker.address().to_string(), 1, PEERS_PER_FILE, 1);
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = tokio::time::timeout(left, Load::ask(tracker.address(), &lookup)).await;
        if answer
            .with_context(|| format!("no right answer {limit:?} after the restart"))?
            .is_ok_and(|right| right)
        {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Looks files up all over what was published: all of them must be there, with all their peers.
async fn check(tracker: &Tracker, files: u64) -> anyhow::Result<()> {
    let count = CHECKS.min(files);
    let load = Load { address: tracker.address(), connections: 1, depth: 1 };
    let lookups = Workload::lookup(tracker.address().to_string(), files, PEERS_PER_FILE, count);
    load.run_all("checking after the restart", &Arc::new(lookups), count).await?;
    Ok(())
}

/// Bytes that a directory takes on the disk, with all below it: blocks, and not lengths, since a store may
/// set files aside that are mostly holes.
fn disk_usage(path: &Path) -> anyhow::Result<u64> {
    const BLOCK_BYTES: u64 = 512;
    let metadata = fs::symlink_metadata(path).with_context(|| format!("looking at {}", path.display()))?;
    let mut bytes = metadata.blocks() * BLOCK_BYTES;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            bytes += disk_usage(&entry?.path())?;
        }
    }
    Ok(bytes)
}

fn table(figures: &Figures) -> Table {
    let store = match figures.store {
        Store::Embedded => "the embedded store",
        Store::Redis => "Redis",
    };
    let mut table = Table::new(1, [&format!("on {store}"), "figure"]);
    let mut row = |what: &str, value: String| table.row([what.to_owned(), value]);
    row("mappings", thousands(float(figures.mappings)));
    row("files, of 20 peers each", thousands(float(figures.files)));
    row("published a second", thousands(figures.fill_per_second));
    row("refused as too many at once (503), and repeated", thousands(float(figures.refused)));
    row("tracker's memory before (VmRSS)", mebibytes(figures.tracker_resident_before));
    row("tracker's memory with all of them (VmRSS)", mebibytes(figures.tracker_resident_after));
    if let (Some(before), Some(after)) = (figures.redis_used_before, figures.redis_used_after) {
        row("Redis' memory before (used_memory)", mebibytes(before));
        row("Redis' memory with all of them (used_memory)", mebibytes(after));
    }
    row("bytes of memory a mapping", format!("{:.0}", figures.bytes_per_mapping));
    row("on the disk after the end", mebibytes(figures.disk_bytes));
    row("bytes on the disk a mapping", format!("{:.0}", float(figures.disk_bytes) / float(figures.mappings)));
    row("from SIGTERM to the end", format!("{:.2} s", figures.shutdown_seconds));
    row("from the start to the first right answer", format!("{:.2} s", figures.restart_seconds));
    row("tracker's memory after the restart (VmRSS)", mebibytes(figures.tracker_resident_restarted));
    table
}

const NOTES: &str = "\
    ## How to read it\n\n\
    * Names have 30 bytes, hashes 32, and there are 131,072 peers. Longer names cost more, once for each file.\n\
    * Memory is what the kernel holds in RAM for the process (VmRSS), code and buffers included; *bytes a mapping* is \
    the growth by what was published, divided by the number of mappings. What the store keeps for itself to write \
    with is part of it, so that few mappings look dearer than many. With Redis it is the growth of Redis' own count \
    (`used_memory`), without fragmentation.\n\
    * *To the first right answer* is counted from before the start of the process (with Redis: of both, one after the \
    other), and the answer must name all peers of the first file that was published. Afterwards up to 1,000 files all \
    over the set were looked up, and all had all their peers.\n\
    * The restart finds the files in the page cache of the kernel. After a reboot the disk has to be read as well.\n";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;

    #[test]
    fn disk_usage_counts_files_below_directories_and_no_holes() {
        let directory = tempfile::tempdir().unwrap();
        let empty = disk_usage(directory.path()).unwrap();
        fs::create_dir(directory.path().join("below")).unwrap();
        fs::write(directory.path().join("below/file"), vec![1; 1 << 20]).unwrap();
        fs::File::create(directory.path().join("hole")).unwrap().set_len(1 << 30).unwrap();
        let grown = disk_usage(directory.path()).unwrap() - empty;
        assert!((1 << 20..2 << 20).contains(&grown), "{grown}");
    }

    #[test]
    fn the_table_has_the_memory_of_redis_where_there_is_one() {
        let mut figures = Figures {
            store: Store::Embedded,
            mappings: 1000,
            files: 50,
            fill_per_second: 1.0,
            refused: 0,
            tracker_resident_before: 1,
            tracker_resident_after: 2,
            redis_used_before: None,
            redis_used_after: None,
            bytes_per_mapping: 111.4,
            shutdown_seconds: 0.5,
            disk_bytes: 2000,
            restart_seconds: 1.5,
            tracker_resident_restarted: 3,
        };
        let embedded = table(&figures).render();
        assert!(
            embedded.contains("on the embedded store") && !embedded.contains("used_memory"),
            "{embedded}"
        );
        assert!(embedded.contains("111 |") && embedded.contains("1.50 s |"), "{embedded}");
        (figures.store, figures.redis_used_before, figures.redis_used_after) =
            (Store::Redis, Some(1), Some(2));
        assert!(table(&figures).render().contains("used_memory"));
    }
}
