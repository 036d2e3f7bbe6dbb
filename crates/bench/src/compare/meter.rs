//! CPU time of servers while a load runs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::figures::micros_each;
use crate::process::cpu_time;

/// Processes of which the CPU time is taken before and after a load.
#[derive(Debug)]
pub(crate) struct Meter {
    started: Instant,
    generator: Duration,
    servers: Vec<(&'static str, u32, Duration)>,
}

/// What a load cost.
#[derive(Debug, Clone)]
pub(crate) struct Cost {
    /// Microseconds of CPU time an answer, user and system together, for each process by its name.
    pub cpu_us: BTreeMap<&'static str, f64>,
    /// CPU time of the load generator as a share of one core: near 1 it, and not the server, was the limit.
    pub generator_share: f64,
}

impl Meter {
    /// Starts now. Each server has a name and a process id.
    pub(crate) fn start(servers: &[(&'static str, u32)]) -> anyhow::Result<Self> {
        let servers = servers.iter().map(|(name, pid)| Ok((*name, *pid, cpu_time(*pid)?)));
        Ok(Self {
            servers: servers.collect::<anyhow::Result<_>>()?,
            generator: cpu_time(std::process::id())?,
            started: Instant::now(),
        })
    }

    /// The cost since the start, for so many answers.
    pub(crate) fn stop(&self, answers: u64) -> anyhow::Result<Cost> {
        let elapsed = self.started.elapsed();
        let generator = cpu_time(std::process::id())?.saturating_sub(self.generator);
        let mut cpu_us = BTreeMap::new();
        for (name, pid, before) in &self.servers {
            if let Some(micros) = micros_each(cpu_time(*pid)?.saturating_sub(*before), answers) {
                cpu_us.insert(*name, micros);
            }
        }
        Ok(Cost { cpu_us, generator_share: generator.as_secs_f64() / elapsed.as_secs_f64() })
    }
}
