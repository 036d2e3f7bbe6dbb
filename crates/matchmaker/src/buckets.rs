use std::sync::atomic::{AtomicU64, Ordering};

/// Entries that share a place; among them the one that is least in use makes room.
const WAYS: usize = 8;

/// Charges a bucket, which is the time until which it is used up (the generic cell rate algorithm, ITU-T I.371).
/// Gives its new value, or `None` when that would be more than `burst_us` ahead of now.
pub(crate) fn charge(used_until_us: u64, now_us: u64, cost_us: i64, burst_us: i64) -> Option<u64> {
    let until = used_until_us.max(now_us).saturating_add_signed(cost_us).max(now_us);
    let ahead = i64::try_from(until - now_us).unwrap_or(i64::MAX);
    (ahead <= burst_us).then_some(until)
}

/// Buckets by key, a fixed number of them in fixed memory.
///
/// A bucket that is not used up is as good as none, so that its place is free for the next. Only when all the places
/// where a key could stand are in use is a charge refused that its own bucket would allow: a stranger who fills the
/// table gains nothing by it.
#[derive(Debug)]
pub(crate) struct Buckets {
    sets: Box<[[Bucket; WAYS]]>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    key: u64,
    used_until_us: u64,
}

impl Buckets {
    /// With room for `most` keys, rounded up to a power of two.
    pub(crate) fn new(most: usize) -> Self {
        let sets = most.div_ceil(WAYS).next_power_of_two();
        Self { sets: vec![[Bucket::default(); WAYS]; sets].into_boxed_slice() }
    }

    /// Charges the bucket of `key`, a well-mixed hash. False, and nothing is charged, when it does not allow it.
    pub(crate) fn charge(&mut self, key: u64, now_us: u64, cost_us: i64, burst_us: i64) -> bool {
        let Some(bucket) = self.bucket(key, now_us) else { return false };
        let until = charge(bucket.used_until_us, now_us, cost_us, burst_us);
        match until {
            Some(until) => bucket.used_until_us = until,
            None => return false,
        }
        true
    }

    fn bucket(&mut self, key: u64, now_us: u64) -> Option<&mut Bucket> {
        // A power of two, so that this is the remainder.
        let place = usize::try_from(key >> 32).unwrap_or(0) & (self.sets.len() - 1);
        let set = self.sets.get_mut(place)?;
        let way = if let Some(way) = set.iter().position(|bucket| bucket.key == key) {
            way
        } else {
            let idlest = set.iter().enumerate().min_by_key(|(_, bucket)| bucket.used_until_us);
            let (way, _) = idlest.filter(|(_, bucket)| bucket.used_until_us <= now_us)?;
            if let Some(bucket) = set.get_mut(way) {
                *bucket = Bucket { key, used_until_us: 0 };
            }
            way
        };
        set.get_mut(way)
    }
}

/// One bucket that all threads share.
#[derive(Debug, Default)]
pub(crate) struct SharedBucket(AtomicU64);

impl SharedBucket {
    pub(crate) fn charge(&self, now_us: u64, cost_us: i64, burst_us: i64) -> bool {
        let taken = |until| charge(until, now_us, cost_us, burst_us);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COST_US: i64 = 5_000;
    const BURST_US: i64 = 5_000 * 10;

    fn key(number: u64) -> u64 {
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn a_bucket_grants_its_burst_and_then_its_rate() {
        let mut buckets = Buckets::new(1);
        let granted = |buckets: &mut Buckets, now_us| {
            (0..100).filter(|_| buckets.charge(key(1), now_us, COST_US, BURST_US)).count()
        };
        assert_eq!(granted(&mut buckets, 1_000_000), 10);
        assert_eq!(granted(&mut buckets, 1_004_999), 0);
        assert_eq!(granted(&mut buckets, 1_005_000), 1);
        assert_eq!(granted(&mut buckets, 9_000_000), 10);
    }

    #[test]
    fn a_full_table_refuses_the_new_and_keeps_the_old() {
        let mut buckets = Buckets::new(8);
        let taken: Vec<u64> =
            (1..=8).filter(|number| buckets.charge(key(*number), 0, BURST_US, BURST_US)).collect();
        assert_eq!(taken.len(), 8);
        assert!(!buckets.charge(key(9), 0, COST_US, BURST_US));
        assert!((1..=8).all(|number| !buckets.charge(key(number), 0, COST_US, BURST_US)));
        let later = 50_000;
        assert!(buckets.charge(key(9), later, COST_US, BURST_US));
    }

    #[test]
    fn what_is_given_back_is_not_given_twice() {
        let mut buckets = Buckets::new(8);
        assert!(buckets.charge(key(1), 0, BURST_US, BURST_US));
        assert!(buckets.charge(key(1), 0, -COST_US, BURST_US));
        assert!(buckets.charge(key(1), 0, -10 * BURST_US, BURST_US));
        assert!(buckets.charge(key(1), 0, BURST_US, BURST_US));
        assert!(!buckets.charge(key(1), 0, COST_US, BURST_US));
    }

    proptest! {
        /// Whatever the times, in any window no more is granted than the burst and the rate of the window.
        #[test]
        fn no_window_grants_more_than_burst_and_rate(steps in prop::collection::vec(0..20_000_u64, 1..300)) {
            let mut buckets = Buckets::new(8);
            let (mut now_us, mut granted) = (0_u64, Vec::new());
            for step in steps {
                now_us += step;
                if buckets.charge(key(1), now_us, COST_US, BURST_US) {
                    granted.push(now_us);
                }
            }
            for (index, start) in granted.iter().enumerate() {
                for (count, end) in granted.iter().skip(index).enumerate() {
                    prop_assert!(count as u64 <= 10 + (end - start) / 5_000);
                }
            }
        }
    }
}
