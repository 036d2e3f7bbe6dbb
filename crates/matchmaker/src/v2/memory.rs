/// Entries that share a place; among them the one that is over first makes room.
const WAYS: usize = 8;

/// Numbers by key, each for some time, in fixed memory. When a place is full, what would be over first is forgotten early.
#[derive(Debug)]
pub(super) struct Memory {
    sets: Box<[[Remembered; WAYS]]>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Remembered {
    key: u64,
    value: u64,
    until_us: u64,
}

impl Memory {
    /// With room for `most` keys, rounded up to a power of two.
    pub(super) fn new(most: usize) -> Self {
        let sets = most.div_ceil(WAYS).next_power_of_two();
        Self { sets: vec![[Remembered::default(); WAYS]; sets].into_boxed_slice() }
    }

    /// Remembers `value` under `key`, a well-mixed hash, until a time.
    pub(super) fn keep(&mut self, key: u64, value: u64, until_us: u64) {
        let Some(set) = self.set(key) else { return };
        let place = match set.iter().position(|entry| entry.key == key) {
            Some(place) => set.get_mut(place),
            None => set.iter_mut().min_by_key(|entry| entry.until_us),
        };
        if let Some(place) = place {
            *place = Remembered { key, value, until_us };
        }
    }

    /// What is remembered under `key`.
    pub(super) fn recall(&mut self, key: u64, now_us: u64) -> Option<u64> {
        let set = self.set(key)?;
        set.iter().find(|entry| entry.key == key && entry.until_us > now_us).map(|entry| entry.value)
    }

    /// The same, and forgets it.
    pub(super) fn take(&mut self, key: u64, now_us: u64) -> Option<u64> {
        let value = self.recall(key, now_us)?;
        let entry = self.set(key)?.iter_mut().find(|entry| entry.key == key)?;
        entry.until_us = 0;
        Some(value)
    }

    fn set(&mut self, key: u64) -> Option<&mut [Remembered; WAYS]> {
        // A power of two, so that this is the remainder.
        let place = usize::try_from(key >> 32).unwrap_or(0) & (self.sets.len() - 1);
        self.sets.get_mut(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_there_until_its_time_or_until_it_is_taken() {
        let mut memory = Memory::new(16);
        memory.keep(7, 70, 100);
        assert_eq!(
            (memory.recall(7, 99), memory.recall(7, 100), memory.recall(8, 0)),
            (Some(70), None, None)
        );
        memory.keep(7, 71, 200);
        assert_eq!((memory.take(7, 100), memory.take(7, 100)), (Some(71), None));
    }

    #[test]
    fn a_full_place_forgets_what_would_be_over_first() {
        let mut memory = Memory::new(WAYS);
        for key in 1..=9 {
            memory.keep(key, key, 100 - key);
        }
        let there: Vec<u64> = (1..=9).filter(|key| memory.recall(*key, 0).is_some()).collect();
        assert_eq!(there, [1, 2, 3, 4, 5, 6, 7, 9]);
    }
}
