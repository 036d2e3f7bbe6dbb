//! How long things took, for whoever watches.

use std::iter::Sum;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Longest duration of each bucket but the last, in us, which has all that took longer.
const BOUNDS_US: [u64; 14] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    5_000_000,
];
const BUCKETS: usize = BOUNDS_US.len() + 1;

/// Durations since the start, counted in buckets. To add one is two additions without a lock, so that any path can afford it.
#[derive(Debug, Default)]
pub struct Durations {
    counts: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

/// [`Durations`] at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct DurationCounts {
    /// How many there were, by the longest of each bucket in seconds. The last one is infinite.
    pub buckets: [(f64, u64); BUCKETS],
    /// All of them together, in seconds.
    pub sum_secs: f64,
    /// How many there were.
    pub count: u64,
}

impl Durations {
    /// One more.
    pub fn add(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|most| *most < us);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        self.sum_us.fetch_add(us, Relaxed);
    }

    /// What was counted up to now.
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds of 285 years fit into the digits that a double has"
    )]
    pub fn read(&self) -> DurationCounts {
        let mut bounds = BOUNDS_US.iter().map(|us| *us as f64 / 1e6);
        let buckets =
            self.counts.each_ref().map(|count| (bounds.next().unwrap_or(f64::INFINITY), count.load(Relaxed)));
        DurationCounts {
            buckets,
            sum_secs: self.sum_us.load(Relaxed) as f64 / 1e6,
            count: buckets.iter().map(|(_, count)| count).sum(),
        }
    }
}

impl Sum for DurationCounts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Durations::default().read(), |mut sum, counts| {
            for ((_, sum), (_, count)) in sum.buckets.iter_mut().zip(counts.buckets) {
                *sum += count;
            }
            sum.sum_secs += counts.sum_secs;
            sum.count += counts.count;
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_holds_it() {
        let durations = Durations::default();
        for us in [0, 100, 101, 5_000_000, 5_000_001, 60_000_000] {
            durations.add(Duration::from_micros(us));
        }
        let DurationCounts { buckets, sum_secs, count } = durations.read();
        let held: Vec<(f64, u64)> = buckets.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(held, [(0.0001, 2), (0.00025, 1), (5.0, 1), (f64::INFINITY, 2)]);
        assert_eq!((sum_secs, count), (70.000_202, 6));
    }

    #[test]
    fn a_sum_is_what_one_would_have_counted() {
        let (one, other, both) = (Durations::default(), Durations::default(), Durations::default());
        for (durations, ms) in [(&one, 1), (&one, 250), (&other, 250), (&other, 8_000)] {
            durations.add(Duration::from_millis(ms));
            both.add(Duration::from_millis(ms));
        }
        assert_eq!([one.read(), other.read()].into_iter().sum::<DurationCounts>(), both.read());
    }
}
