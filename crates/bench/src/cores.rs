//! Cores of its own for the load, so that a server's latencies are not those of its load.

use anyhow::Context as _;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The cores of this process in two halves.
#[derive(Debug)]
pub(crate) struct Halves {
    load: CpuSet,
    servers: CpuSet,
}

impl Halves {
    /// `None` on one core, where there is nothing to halve.
    pub(crate) fn of_this_process() -> anyhow::Result<Option<Self>> {
        let all = sched_getaffinity(Pid::from_raw(0)).context("asking for the cores of this process")?;
        let cores: Vec<usize> =
            (0..CpuSet::count()).filter(|core| all.is_set(*core).unwrap_or(false)).collect();
        let (load, servers) = cores.split_at(cores.len() / 2);
        if load.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { load: set(load)?, servers: set(servers)? }))
    }

    /// What is started from here on is on the servers' half: a child has the cores of the thread that starts it.
    pub(crate) fn start_servers(&self) -> anyhow::Result<()> {
        move_all_threads(&self.servers)
    }

    /// This process is on the load's half from here on.
    pub(crate) fn make_load(&self) -> anyhow::Result<()> {
        move_all_threads(&self.load)
    }
}

fn set(cores: &[usize]) -> anyhow::Result<CpuSet> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core)?;
    }
    Ok(set)
}

/// All threads of this process, since it has no one affinity (`sched_setaffinity(2)`).
fn move_all_threads(cores: &CpuSet) -> anyhow::Result<()> {
    for entry in std::fs::read_dir("/proc/self/task").context("listing the threads of this process")? {
        let name = entry?.file_name();
        let Some(thread) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        match sched_setaffinity(Pid::from_raw(thread), cores) {
            // It has ended meanwhile.
            Err(nix::Error::ESRCH) => {}
            moved => moved.context("choosing the cores of a thread")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;

    #[test]
    fn load_and_servers_share_no_core_and_leave_none_out() {
        let all = sched_getaffinity(Pid::from_raw(0)).unwrap();
        let Some(halves) = Halves::of_this_process().unwrap() else { return };
        for core in 0..CpuSet::count() {
            let of = |set: &CpuSet| usize::from(set.is_set(core).unwrap());
            assert_eq!(of(&halves.load) + of(&halves.servers), of(&all), "core {core}");
        }
    }
}
