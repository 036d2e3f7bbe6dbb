//! The time of the cores that a hypervisor gave to other machines. A latency that was measured meanwhile is its own.

use anyhow::Context as _;

/// The cores' times so far, in ticks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stolen {
    stolen: u64,
    all: u64,
}

impl Stolen {
    /// From now on.
    pub(crate) fn watch() -> anyhow::Result<Self> {
        let stat = std::fs::read_to_string("/proc/stat").context("/proc/stat")?;
        Self::read(&stat).context("/proc/stat has no times of all cores")
    }

    /// Which share of the cores' time was taken since then.
    pub(crate) fn share(self) -> anyhow::Result<f64> {
        let now = Self::watch()?;
        let all = now.all.saturating_sub(self.all).max(1);
        Ok(crate::figures::float(now.stolen.saturating_sub(self.stolen)) / crate::figures::float(all))
    }

    /// The line of all cores (`proc_stat(5)`): user, nice, system, idle, iowait, irq, softirq, steal. What follows is in these.
    fn read(stat: &str) -> Option<Self> {
        let mut words = stat.lines().next()?.split_whitespace();
        let times: Vec<u64> =
            (words.next()? == "cpu").then(|| words.take(8).map_while(|word| word.parse().ok()).collect())?;
        let [.., stolen] = times[..] else { return None };
        (times.len() == 8).then(|| Self { stolen, all: times.iter().sum() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;

    #[test]
    fn the_eighth_time_of_all_cores_is_what_was_stolen() {
        let stat = "cpu  10 1 2 80 3 0 1 4 7 7\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        let read = Stolen::read(stat).unwrap();
        assert_eq!((read.stolen, read.all), (4, 101));
        assert!(Stolen::read("cpu0 1 1 1 1 1 1 1 1\n").is_none());
        assert!(Stolen::read("cpu 1 1 1 1\n").is_none());
        assert!(Stolen::watch().unwrap().share().unwrap() <= 1.0);
    }
}
