//! Things by number: what others refer to with 4 bytes.

/// Things in one chunk. Growth copies no chunk, so that no addition takes long however many there are, and sets aside
/// one chunk at most.
const CHUNK: usize = 1_024;

/// Gives each thing a number and uses those of the removed again.
pub(super) struct Numbered<T> {
    chunks: Vec<Vec<Slot<T>>>,
    /// The number that was freed last.
    free: Option<u32>,
    len: usize,
}

enum Slot<T> {
    Taken(T),
    /// With the number that was freed before.
    Free(Option<u32>),
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: None, len: 0 }
    }
}

impl<T> Numbered<T> {
    /// How many there can be: more than memory holds, and fewer than numbers of 32 bits by what one call may add.
    pub(super) const MAX: usize = u32::MAX as usize - 65_536;

    /// Takes `thing` in. `None` when there are [`Numbered::MAX`].
    pub(super) fn insert(&mut self, thing: T) -> Option<u32> {
        if let Some(number) = self.free {
            let slot = self.slot_mut(number)?;
            let Slot::Free(next) = std::mem::replace(slot, Slot::Taken(thing)) else { return None };
            self.free = next;
            self.len += 1;
            return Some(number);
        }
        let number = u32::try_from(self.len).ok().filter(|_| self.len < Self::MAX)?;
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks.last_mut()?.push(Slot::Taken(thing));
        self.len += 1;
        Some(number)
    }

    pub(super) fn get(&self, number: u32) -> Option<&T> {
        let index = number as usize;
        match self.chunks.get(index / CHUNK)?.get(index % CHUNK)? {
            Slot::Taken(thing) => Some(thing),
            Slot::Free(_) => None,
        }
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        match self.slot_mut(number)? {
            Slot::Taken(thing) => Some(thing),
            Slot::Free(_) => None,
        }
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<T> {
        let free = self.free;
        let slot = self.slot_mut(number).filter(|slot| matches!(slot, Slot::Taken(_)))?;
        let Slot::Taken(thing) = std::mem::replace(slot, Slot::Free(free)) else { return None };
        self.free = Some(number);
        self.len -= 1;
        Some(thing)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten().filter_map(|slot| match slot {
            Slot::Taken(thing) => Some(thing),
            Slot::Free(_) => None,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn slot_mut(&mut self, number: u32) -> Option<&mut Slot<T>> {
        let index = number as usize;
        self.chunks.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_removed_are_used_again_before_new_ones() {
        let mut things = Numbered::default();
        let numbers: Vec<_> = (0..3_000).map(|thing| things.insert(thing)).collect();
        assert_eq!(numbers, (0..3_000).map(Some).collect::<Vec<_>>());
        assert_eq!((things.remove(7), things.remove(2_999), things.remove(7)), (Some(7), Some(2_999), None));
        assert_eq!((things.get(7), things.get(8), things.len()), (None, Some(&8), 2_998));
        let again = [things.insert(1), things.insert(2), things.insert(3)];
        assert_eq!(again, [Some(2_999), Some(7), Some(3_000)]);
        assert_eq!((things.get(2_999), things.get(7), things.len()), (Some(&1), Some(&2), 3_001));
    }
}
