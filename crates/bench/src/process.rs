//! What the kernel tells about a process: the CPU time it took and the memory it holds.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use nix::unistd::{SysconfVar, sysconf};

/// CPU time, user and system together, that a process and its threads have taken since they started.
///
/// Children are not in it, so a background rewrite that Redis forks off is not either.
pub(crate) fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let line = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let ticks = cpu_ticks(&line).with_context(|| format!("{path} does not look like stat: {line:?}"))?;
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("the system has no clock tick")?;
    let micros_per_tick = 1_000_000 / u64::try_from(per_second)?.max(1);
    Ok(Duration::from_micros(ticks * micros_per_tick))
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    resident(&text).with_context(|| format!("{path} has no VmRSS"))
}

/// utime + stime of a `/proc/PID/stat` line.
fn cpu_ticks(line: &str) -> Option<u64> {
    // The name in parentheses may hold blanks and parentheses itself: count from behind the last one.
    let (_, fields) = line.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    // proc_pid_stat(5): the state behind the name is field 3, utime 14, stime 15.
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// `VmRSS` of a `/proc/PID/status` text, in bytes.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;

    #[test]
    fn ticks_are_counted_behind_a_name_with_blanks_and_parentheses() {
        let line = "4711 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 4 0 1 2 3";
        assert_eq!(cpu_ticks(line), Some(300));
    }

    #[test]
    fn a_line_cut_short_has_no_ticks() {
        assert_eq!(cpu_ticks("4711 (a) S 1 2"), None);
        assert_eq!(cpu_ticks(""), None);
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(resident("Name:\tx\nVmPeak:\t  9 kB\nVmRSS:\t    1234 kB\n"), Some(1234 * 1024));
        assert_eq!(resident("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_has_memory_and_its_work_shows_as_cpu_time() {
        let pid = std::process::id();
        assert!(resident_bytes(pid).unwrap() > 100_000);
        let before = cpu_time(pid).unwrap();
        let mut spins = 0_u64;
        while cpu_time(pid).unwrap() < before + Duration::from_millis(20) {
            spins = std::hint::black_box(spins + 1);
        }
        assert!(spins > 0);
    }
}
