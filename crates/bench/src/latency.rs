//! Latencies in a histogram of constant size and constant relative error.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Shorter latencies count as this long.
const SHORTEST: Duration = Duration::from_micros(1);
/// Longer latencies count as this long: more than any timeout here.
const LONGEST: Duration = Duration::from_mins(1);
/// Three significant digits: a figure is right to 0.1 %.
const DIGITS: u8 = 3;

/// Latencies seen so far.
#[derive(Debug)]
pub(crate) struct Latencies {
    nanoseconds: Histogram<u64>,
}

/// What a report says of many latencies, all in microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[expect(clippy::struct_field_names, reason = "the unit is part of a figure's name, in the reports too")]
pub(crate) struct Quantiles {
    /// Half of the answers took at most this long.
    pub p50_us: f64,
    /// 99 of 100.
    pub p99_us: f64,
    /// 999 of 1000.
    pub p999_us: f64,
    /// The slowest.
    pub max_us: f64,
}

impl Latencies {
    /// No latency yet.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let (low, high) = (nanoseconds(SHORTEST), nanoseconds(LONGEST));
        Ok(Self { nanoseconds: Histogram::new_with_bounds(low, high, DIGITS)? })
    }

    /// Counts one, clamped to the range that the histogram covers.
    pub(crate) fn record(&mut self, latency: Duration) {
        self.nanoseconds.saturating_record(nanoseconds(latency));
    }

    /// The quantiles of all that was counted; zeros where nothing was.
    pub(crate) fn quantiles(&self) -> Quantiles {
        let at = |quantile| micros(self.nanoseconds.value_at_quantile(quantile));
        Quantiles {
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: micros(self.nanoseconds.max()),
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn micros(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;

    fn close(value: f64, expected: f64) -> bool {
        (value - expected).abs() <= expected * 0.002
    }

    #[test]
    fn quantiles_of_one_to_ten_thousand_microseconds_are_where_they_must_be() {
        let mut latencies = Latencies::new().unwrap();
        for micros in 1..=10_000 {
            latencies.record(Duration::from_micros(micros));
        }
        let quantiles = latencies.quantiles();
        assert!(close(quantiles.p50_us, 5_000.0), "{quantiles:?}");
        assert!(close(quantiles.p99_us, 9_900.0), "{quantiles:?}");
        assert!(close(quantiles.p999_us, 9_990.0), "{quantiles:?}");
        assert!(close(quantiles.max_us, 10_000.0), "{quantiles:?}");
    }

    #[test]
    fn a_latency_beyond_the_range_counts_as_the_longest_and_is_not_lost() {
        let mut latencies = Latencies::new().unwrap();
        latencies.record(Duration::from_hours(1));
        assert!(close(latencies.quantiles().p50_us, 60e6));
    }

    #[test]
    fn no_latency_has_quantiles_of_zero() {
        let quantiles = Latencies::new().unwrap().quantiles();
        assert!(quantiles.p50_us.abs() < f64::EPSILON && quantiles.max_us.abs() < f64::EPSILON);
    }
}
