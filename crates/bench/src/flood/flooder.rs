//! Who floods: registrations from very many addresses, whose answers nobody reads.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::figures::float;
use crate::udp::Swarm;
use crate::udp::addresses::one_of_many;
use crate::udp::datagram::REGISTER;

/// How long the flooder waits where nothing is due.
const PAUSE: Duration = Duration::from_micros(500);
/// What was missed while the flooder was not on a core is made up for, but not more than so long: the rest of it would
/// be a burst and not the rate that was asked for.
const MOST_DEBT: Duration = Duration::from_millis(10);

/// A flood that runs, and how far it has come.
#[derive(Debug)]
pub(super) struct Flood {
    pub server: SocketAddr,
    /// So many registrations, each from another address.
    pub count: u32,
    /// So many a second; as many as can be for none.
    pub rate: Option<f64>,
    pub sent: Arc<AtomicU64>,
    pub stop: Arc<AtomicBool>,
}

impl Flood {
    /// Sends them all. Blocks its thread. Gives how long it took.
    pub(super) fn run(&self) -> anyhow::Result<Duration> {
        let swarm = Swarm::open(self.server)?;
        let started = Instant::now();
        let mut allowance = self.rate.map(|rate| Allowance::new(rate, started));
        for number in 0..self.count {
            while allowance.as_mut().is_some_and(|allowance| !allowance.take(Instant::now())) {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(started.elapsed());
                }
                thread::sleep(PAUSE);
            }
            while let Err(error) = swarm.send(one_of_many(number), REGISTER) {
                anyhow::ensure!(error.kind() == io::ErrorKind::WouldBlock, "sending: {error}");
                thread::sleep(PAUSE);
            }
            self.sent.store(u64::from(number) + 1, Ordering::Relaxed);
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        Ok(started.elapsed())
    }
}

/// What may be sent now at a rate.
#[derive(Debug)]
struct Allowance {
    rate: f64,
    since: Instant,
    taken: u64,
}

impl Allowance {
    fn new(rate: f64, since: Instant) -> Self {
        Self { rate, since, taken: 0 }
    }

    /// Takes one, if it is due.
    fn take(&mut self, now: Instant) -> bool {
        let due = self.since + Duration::from_secs_f64(float(self.taken) / self.rate);
        if now < due {
            return false;
        }
        if let Some(earliest) = now.checked_sub(MOST_DEBT)
            && due < earliest
        {
            *self = Self::new(self.rate, earliest);
        }
        self.taken += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_the_rate_and_a_long_pause_is_not_made_up_for() {
        let start = Instant::now();
        let mut allowance = Allowance::new(10_000.0, start);
        let mut take_all = |at: Duration| {
            let mut taken = 0;
            while allowance.take(start + at) {
                taken += 1;
            }
            taken
        };
        assert_eq!(take_all(Duration::ZERO), 1);
        assert_eq!(take_all(Duration::from_millis(5)), 50);
        // A second late: ten milliseconds of it count, and the one that is due at their end.
        assert!((100..=102).contains(&take_all(Duration::from_secs(1))));
        assert!((9..=11).contains(&take_all(Duration::from_millis(1001))));
    }
}
