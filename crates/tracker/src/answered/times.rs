//! How long answers took, finely enough for percentiles of a second's.

/// Buckets of time between two powers of two of microseconds: a figure is at most an eighth too large.
const PER_OCTAVE: usize = 8;
/// Up to 2^24 us, 16 s; what takes longer is in the last one.
pub(super) const BUCKETS: usize = 22 * PER_OCTAVE;

/// The bucket of a time: exact below 8 us, eighths of an octave above.
pub(super) fn bucket(us: u64) -> usize {
    let octave = us.max(PER_OCTAVE as u64).ilog2() - PER_OCTAVE.ilog2();
    let within = usize::try_from(us >> octave).unwrap_or(BUCKETS);
    (octave as usize * PER_OCTAVE + within).min(BUCKETS - 1)
}

/// How long all but `100 - percent` in a hundred took at most, in us; `None` of nothing.
pub(super) fn percentile_us(by_time: &[u64], percent: u64) -> Option<u64> {
    let all: u64 = by_time.iter().sum();
    let wanted = (all * percent).div_ceil(100);
    let mut seen = 0;
    let place = by_time.iter().position(|count| {
        seen += count;
        wanted > 0 && seen >= wanted
    });
    place.map(longest_us)
}

/// The longest time in a bucket, in us.
fn longest_us(bucket: usize) -> u64 {
    let octave = (bucket / PER_OCTAVE).saturating_sub(1);
    ((bucket - octave * PER_OCTAVE + 1) as u64 * (1 << octave)) - 1
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
}
