//! Numbers as people read them, and the few sums that the reports need.

use std::time::Duration;

/// A count as a float, to divide with.
#[expect(clippy::cast_precision_loss, reason = "counts and sizes here stay far below 2^53")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// How many a second; 0 for no time at all.
pub(crate) fn per_second(count: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { float(count) / elapsed.as_secs_f64() }
}

/// What one of `count` cost; nothing to report where nothing was counted.
pub(crate) fn micros_each(cost: Duration, count: u64) -> Option<f64> {
    (count > 0).then(|| cost.as_secs_f64() * 1e6 / float(count))
}

/// The middle value, or the mean of the two middle ones. `None` for an empty list.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(sorted.len() / 2 - 1)?;
    Some(f64::midpoint(lower, upper))
}

/// `1234567.8` as `1,234,568`.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut grouped = String::new();
    if value <= -0.5 {
        grouped.push('-');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A size in MiB with one decimal.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", float(bytes) / f64::from(1 << 20))
}

/// Microseconds as milliseconds with three decimals.
pub(crate) fn milliseconds(micros: f64) -> String {
    format!("{:.3}", micros / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middle_values() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median([7.0]), Some(7.0));
        assert_eq!(median([]), None);
    }

    #[test]
    fn thousands_are_grouped_from_the_right() {
        assert_eq!(thousands(0.0), "0");
        assert_eq!(thousands(999.4), "999");
        assert_eq!(thousands(1000.0), "1,000");
        assert_eq!(thousands(1_234_567.8), "1,234,568");
        assert_eq!(thousands(-1_234.0), "-1,234");
    }

    #[test]
    fn a_cost_is_shared_by_what_was_counted_and_by_nothing_else() {
        assert_eq!(micros_each(Duration::from_millis(10), 1000), Some(10.0));
        assert_eq!(micros_each(Duration::from_millis(10), 0), None);
    }

    #[test]
    fn a_rate_over_no_time_is_zero_and_not_infinite() {
        assert!(per_second(10, Duration::ZERO).abs() < f64::EPSILON);
        assert!((per_second(10, Duration::from_millis(500)) - 20.0).abs() < 1e-9);
    }

    #[test]
    fn sizes_and_times_carry_their_unit_and_a_fixed_precision() {
        assert_eq!(mebibytes(1_572_864), "1.5 MiB");
        assert_eq!(milliseconds(1234.5), "1.234");
    }
}
