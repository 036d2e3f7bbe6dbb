use std::hash::{BuildHasher as _, Hash};
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::DefaultHashBuilder;

/// Places; a power of two.
const PLACES: usize = 65_536;
/// Bits for a time in ms: 34 years since the process began. The others tell apart who shares a place.
const TIME_BITS: u32 = 40;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// Until when something need not be done again, for very many whose names are not kept: a fixed amount of memory, in which a
/// newcomer takes the place of another. Two are taken for one another once in 2^40 pairs.
pub(super) struct Recent {
    hasher: DefaultHashBuilder,
    places: Box<[AtomicU64]>,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Whether `until` was set for `who` and is not over at `local_ms`.
    pub(super) fn holds(&self, who: impl Hash, local_ms: u64) -> bool {
        let (place, tag) = self.place(who);
        place.is_some_and(|place| {
            let value = place.load(Ordering::Relaxed);
            value & !TIME_MASK == tag && value & TIME_MASK > local_ms
        })
    }

    /// It need not be done for `who` until `until_ms`.
    pub(super) fn set(&self, who: impl Hash, until_ms: u64) {
        let (place, tag) = self.place(who);
        if let Some(place) = place {
            place.store(tag | until_ms.min(TIME_MASK), Ordering::Relaxed);
        }
    }

    /// It is to be done for `who` again.
    pub(super) fn clear(&self, who: impl Hash) {
        let (place, tag) = self.place(who);
        if let Some(place) = place
            && place.load(Ordering::Relaxed) & !TIME_MASK == tag
        {
            place.store(0, Ordering::Relaxed);
        }
    }

    fn place(&self, who: impl Hash) -> (Option<&AtomicU64>, u64) {
        let hash = self.hasher.hash_one(who);
        (self.places.get(usize::try_from(hash).unwrap_or(0) & (PLACES - 1)), hash & !TIME_MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_holds_until_its_time_and_for_nobody_else() {
        let recent = Recent::new();
        assert!(!recent.holds(1, 0));
        recent.set(1, 100);
        assert!(recent.holds(1, 99) && !recent.holds(1, 100) && !recent.holds(2, 99));
        recent.clear(2);
        assert!(recent.holds(1, 99));
        recent.clear(1);
        assert!(!recent.holds(1, 99));
    }
}
