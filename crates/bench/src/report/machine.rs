//! Where and of what a measurement was taken.

use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::figures::float;

/// The machine, the source and the command of a measurement.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Circumstances {
    /// Day of the measurement in UTC, `YYYY-MM-DD`.
    pub date: String,
    /// Model name of the processor.
    pub cpu: String,
    /// Cores that this program may run on.
    pub cores: usize,
    /// Memory of the machine.
    pub memory: String,
    /// Release of the kernel.
    pub kernel: String,
    /// How many processes wanted to run in the minute before: what else the machine was busy with.
    pub load: String,
    /// Version of `redis-server`.
    pub redis: String,
    /// Short hash of the commit that is checked out, with a remark if files differ from it.
    pub commit: String,
    /// Whether the programs were built for speed.
    pub profile: &'static str,
    /// What was typed.
    pub command: String,
}

impl Circumstances {
    /// Those of this moment.
    pub(crate) fn now() -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self {
            date: date(seconds / 86_400),
            cpu: value_in("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory(&value_in("/proc/meminfo", "MemTotal")),
            kernel: first_line(fs::read_to_string("/proc/sys/kernel/osrelease").ok().as_deref()),
            load: first_word(&fs::read_to_string("/proc/loadavg").unwrap_or_default()),
            redis: redis_version(&first_line(output("redis-server", &["--version"]).as_deref())),
            commit: commit(),
            profile: if cfg!(debug_assertions) { "debug: these figures mean nothing" } else { "release" },
            command: command_line(std::env::args()),
        }
    }

    /// A list for the head of a report.
    pub(crate) fn describe(&self) -> String {
        let Self { date, cpu, cores, memory, kernel, load, redis, commit, profile, command } = self;
        format!(
            "* Date: {date}\n* Machine: {cpu}, {cores} cores, {memory}, Linux {kernel}\n\
             * Load of the machine in the minute before: {load} (more than 0.5: something else ran)\n* Redis: {redis}\n\
             * Commit: {commit}, {profile} build\n* Command: `{command}`\n"
        )
    }
}

/// The programs are named, and not the directory that they happen to be in.
fn command_line(mut args: impl Iterator<Item = String>) -> String {
    let program = args.next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default().to_owned();
    std::iter::once(name).chain(args).collect::<Vec<_>>().join(" ")
}

fn commit() -> String {
    let Some(hash) = output("git", &["rev-parse", "--short", "HEAD"]) else { return "unknown".to_owned() };
    let changed = output("git", &["status", "--porcelain"]).is_none_or(|files| !files.trim().is_empty());
    let remark = if changed { " with local changes" } else { "" };
    format!("{}{remark}", first_line(Some(&hash)))
}

/// What a program prints, if it is there and succeeds.
fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

fn first_line(text: Option<&str>) -> String {
    text.and_then(|text| text.lines().next()).unwrap_or("unknown").trim().to_owned()
}

fn value_in(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    value(&text, name).unwrap_or("unknown").to_owned()
}

/// `Redis server v=7.0.15 sha=00000000:0 malloc=...` as `7.0.15`.
fn redis_version(line: &str) -> String {
    line.split_ascii_whitespace().find_map(|word| word.strip_prefix("v=")).unwrap_or("unknown").to_owned()
}

/// `24684084 kB` as `23.5 GiB`.
fn memory(total: &str) -> String {
    let kibibytes = total.strip_suffix(" kB").and_then(|number| number.parse().ok());
    kibibytes
        .map_or("unknown".to_owned(), |number: u64| format!("{:.1} GiB", float(number) / f64::from(1 << 20)))
}

fn first_word(text: &str) -> String {
    text.split_ascii_whitespace().next().unwrap_or("unknown").to_owned()
}

/// The first `name : value` of a text from `/proc`.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

/// The Gregorian date of a day counted from 1970-01-01.
///
/// After Howard Hinnant's `civil_from_days`: years begin in March, so that leap days are at their end.
fn date(days: u64) -> String {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates_across_leap_years() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(11_017), "2000-03-01");
        assert_eq!(date(19_782), "2024-02-29");
        assert_eq!(date(20_819), "2027-01-01");
        assert_eq!(date(47_540), "2100-02-28");
        assert_eq!(date(47_541), "2100-03-01");
    }

    #[test]
    fn values_of_proc_are_found_by_name() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC\nprocessor\t: 1\nmodel name\t: other\n";
        assert_eq!(value(text, "model name"), Some("AMD EPYC"));
        assert_eq!(value(text, "model"), None);
    }

    #[test]
    fn the_version_of_redis_is_found_in_its_line() {
        assert_eq!(
            redis_version("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"),
            "7.0.15"
        );
        assert_eq!(redis_version("unknown"), "unknown");
    }

    #[test]
    fn memory_is_told_in_gibibytes() {
        assert_eq!(memory("24684084 kB"), "23.5 GiB");
        assert_eq!(memory("unknown"), "unknown");
    }

    #[test]
    fn the_command_line_has_no_path_of_this_machine() {
        let args = ["/somewhere/target/release/bench", "compare", "http"].map(str::to_owned);
        assert_eq!(command_line(args.into_iter()), "bench compare http");
    }
}
