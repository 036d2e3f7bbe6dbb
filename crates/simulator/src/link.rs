use std::time::Duration;

use fastrand::Rng;

/// What a line does to the datagrams on it, each way alike.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Link {
    /// The least that a datagram takes.
    pub delay: Duration,
    /// What it may take beyond that, evenly spread. More than the distance of two datagrams lets one overtake the other.
    pub jitter: Duration,
    /// The share of datagrams that are lost, from 0.0 to 1.0.
    pub loss: f64,
}

impl Link {
    /// One that only takes time.
    pub fn delayed(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }

    /// What the next datagram takes; `None` where it is lost.
    pub fn pass(&self, rng: &mut Rng) -> Option<Duration> {
        if self.loss > 0.0 && rng.f64() < self.loss {
            return None;
        }
        Some(self.delay + self.jitter.mul_f64(rng.f64()))
    }
}
