//! Requests as they are answered: how many with which status, and how fast.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;

/// The statuses that are told apart.
const STATUSES: [u16; 14] = [200, 304, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 500, 503];
/// Buckets of time between two powers of two of microseconds: a figure is at most an eighth too large.
const PER_OCTAVE: usize = 8;
/// Up to 2^24 us, 16 s; what takes longer is in the last one.
const BUCKETS: usize = 22 * PER_OCTAVE;

/// Counters that only grow.
pub(crate) struct Traffic {
    /// As in [`STATUSES`], then all others.
    by_status: [AtomicU64; STATUSES.len() + 1],
    by_time: [AtomicU64; BUCKETS],
}

impl Default for Traffic {
    fn default() -> Self {
        Self { by_status: [const { AtomicU64::new(0) }; _], by_time: [const { AtomicU64::new(0) }; _] }
    }
}

impl Traffic {
    /// One more answer, and how long it took to make.
    pub(crate) fn answered(&self, status: u16, took: Duration) {
        let place = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len());
        if let Some(count) = self.by_status.get(place) {
            count.fetch_add(1, Relaxed);
        }
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.by_time.get(bucket(us)) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn totals(&self) -> Totals {
        let read = |counts: &[AtomicU64]| counts.iter().map(|count| count.load(Relaxed)).collect();
        Totals { by_status: read(&self.by_status), by_time: read(&self.by_time) }
    }
}

/// The bucket of a time: exact below 8 us, eighths of an octave above.
fn bucket(us: u64) -> usize {
    let octave = us.max(PER_OCTAVE as u64).ilog2() - PER_OCTAVE.ilog2();
    let within = usize::try_from(us >> octave).unwrap_or(BUCKETS);
    (octave as usize * PER_OCTAVE + within).min(BUCKETS - 1)
}

/// The longest time in a bucket, in us.
fn longest_us(bucket: usize) -> u64 {
    let octave = (bucket / PER_OCTAVE).saturating_sub(1);
    ((bucket - octave * PER_OCTAVE + 1) as u64 * (1 << octave)) - 1
}

/// What was counted up to a moment.
#[derive(Debug, Default)]
pub(super) struct Totals {
    by_status: Vec<u64>,
    by_time: Vec<u64>,
}

/// What was answered between two moments.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Answers {
    /// Answers by status; the statuses that none had are left out.
    #[serde(rename = "answers")]
    by_status: BTreeMap<String, u64>,
    /// How long the faster half took at most, in us; null where nothing was answered.
    p50_us: Option<u64>,
    /// How long all but one in a hundred took at most, in us.
    p99_us: Option<u64>,
}

impl Totals {
    pub(super) fn since(&self, before: &Self) -> Answers {
        let names = STATUSES.iter().map(u16::to_string).chain(["other".to_owned()]);
        let by_status = names.zip(grown(&self.by_status, &before.by_status)).filter(|(_, count)| *count > 0);
        let by_time: Vec<u64> = grown(&self.by_time, &before.by_time).collect();
        Answers {
            by_status: by_status.collect(),
            p50_us: percentile_us(&by_time, 50),
            p99_us: percentile_us(&by_time, 99),
        }
    }
}

fn grown<'a>(now: &'a [u64], before: &'a [u64]) -> impl Iterator<Item = u64> + 'a {
    let before = before.iter().copied().chain(std::iter::repeat(0));
    now.iter().zip(before).map(|(now, before)| now.saturating_sub(before))
}

fn percentile_us(by_time: &[u64], percent: u64) -> Option<u64> {
    let all: u64 = by_time.iter().sum();
    let wanted = (all * percent).div_ceil(100);
    let mut seen = 0;
    let place = by_time.iter().position(|count| {
        seen += count;
        wanted > 0 && seen >= wanted
    });
    place.map(longest_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_at_most_an_eighth_too_large() {
        for us in (0..100_000).chain([1_000_000, 5_000_000, 16_000_000]) {
            let told = longest_us(bucket(us));
            assert!(told >= us && told <= us + us / 8, "{us} is told as {told}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn only_what_was_answered_since_the_sample_before_counts() {
        let traffic = Traffic::default();
        traffic.answered(200, Duration::from_secs(1));
        let before = traffic.totals();
        for us in 1..=98 {
            traffic.answered(200, Duration::from_micros(us % 8));
        }
        traffic.answered(404, Duration::from_millis(7));
        traffic.answered(418, Duration::from_millis(7));
        let answers = traffic.totals().since(&before);
        let expected = [("200", 98), ("404", 1), ("other", 1)];
        assert_eq!(answers.by_status, expected.map(|(name, count)| (name.to_owned(), count)).into());
        assert!(answers.p50_us.is_some_and(|us| us < 8), "{answers:?}");
        assert!(answers.p99_us.is_some_and(|us| (7_000..7_900).contains(&us)), "{answers:?}");
        let nothing = traffic.totals().since(&traffic.totals());
        assert_eq!((nothing.by_status.len(), nothing.p50_us), (0, None));
    }
}
