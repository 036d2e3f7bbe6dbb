//! Sets of numbers that stand close together: the peers of a file, the files of a peer.

use hashbrown::HashTable;

/// As many are found by looking at all of them, which is faster than an index in two cache lines and needs none.
const SCAN_MAX: usize = 32;
/// From as few on the index is dropped again; fewer than [`SCAN_MAX`], so that it does not come and go.
const INDEX_MIN: usize = 16;

/// From so many on the index is in [`PARTS`] tables, one of which grows at a time: no addition takes long.
const PARTED_MIN: usize = 8_192;
const PARTS: usize = 64;

/// What is found by its number.
pub(super) trait Member: Copy {
    fn number(self) -> u32;
}

impl Member for u32 {
    fn number(self) -> u32 {
        self
    }
}

/// Members without gaps, so that a reader may start at any place; the last takes the place of one that goes.
///
/// Adding, finding and removing one take the same time however many there are.
pub(super) struct Dense<T> {
    members: Vec<T>,
    /// Places by number, where there are more than [`SCAN_MAX`].
    places: Option<Box<[HashTable<u32>]>>,
}

impl<T> Default for Dense<T> {
    fn default() -> Self {
        Self { members: Vec::new(), places: None }
    }
}

impl<T: Member> Dense<T> {
    pub(super) fn get(&self, number: u32) -> Option<T> {
        self.place(number).and_then(|place| self.members.get(place)).copied()
    }

    pub(super) fn as_slice(&self) -> &[T] {
        &self.members
    }

    pub(super) fn last(&self) -> Option<T> {
        self.members.last().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Puts a member in, in the place of the one with the same number, which it gives.
    pub(super) fn insert(&mut self, member: T) -> Option<T> {
        if let Some(former) = self.place(member.number()).and_then(|place| self.members.get_mut(place)) {
            return Some(std::mem::replace(former, member));
        }
        if self.members.len() == self.members.capacity() {
            // Most sets are small and grow seldom: a quarter to spare, where twice the size is usual.
            self.members.reserve_exact(self.members.len() / 4 + 2);
        }
        self.members.push(member);
        let place = self.members.len() - 1;
        match &mut self.places {
            Some(places) if place < PARTED_MIN || places.len() == PARTS => {
                add_place(places, &self.members, place);
            }
            None if place < SCAN_MAX => {}
            _ => self.index(),
        }
        None
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<T> {
        let place = self.place(number)?;
        let last = self.members.len() - 1;
        if let Some(places) = &mut self.places {
            let moved = self.members.last().filter(|_| place != last);
            if let Some(table) = part(places, code(number))
                && let Ok(found) = table.find_entry(code(number), |other| *other as usize == place)
            {
                found.remove();
            }
            if let Some(code) = moved.map(|moved| code(moved.number()))
                && let Some(table) = part(places, code)
                && let Some(its) = table.find_mut(code, |other| *other as usize == last)
            {
                *its = u32::try_from(place).unwrap_or(u32::MAX);
            }
        }
        let removed = self.members.swap_remove(place);
        if last < INDEX_MIN {
            self.places = None;
        }
        self.shrink(number);
        Some(removed)
    }

    /// Gives memory back that is not needed any more, of the members and of the part of the index that had `number`.
    fn shrink(&mut self, number: u32) {
        let Self { members, places } = self;
        if members.len() < members.capacity() / 4 {
            members.shrink_to(members.len() * 2);
        }
        if let Some(table) = places.as_deref_mut().and_then(|places| part(places, code(number)))
            && table.len() < table.capacity() / 4
        {
            table.shrink_to(table.len(), |place| code_at(members, *place));
        }
    }

    fn place(&self, number: u32) -> Option<usize> {
        let is_it = |place: &u32| self.members.get(*place as usize).is_some_and(|it| it.number() == number);
        match &self.places {
            Some(places) => {
                let table = places.get(part_of(places, code(number)))?;
                table.find(code(number), is_it).map(|place| *place as usize)
            }
            None => self.members.iter().position(|member| member.number() == number),
        }
    }

    fn index(&mut self) {
        let parts = if self.members.len() > PARTED_MIN { PARTS } else { 1 };
        let mut places: Box<[HashTable<u32>]> = (0..parts).map(|_| HashTable::new()).collect();
        for place in 0..self.members.len() {
            add_place(&mut places, &self.members, place);
        }
        self.places = Some(places);
    }
}

fn add_place<T: Member>(places: &mut [HashTable<u32>], members: &[T], place: usize) {
    // Members have numbers of 32 bits, each its own, so that places have as well.
    let place = u32::try_from(place).unwrap_or(u32::MAX);
    let code = code_at(members, place);
    if let Some(table) = part(places, code) {
        table.insert_unique(code, place, |place| code_at(members, *place));
    }
}

fn part(places: &mut [HashTable<u32>], code: u64) -> Option<&mut HashTable<u32>> {
    places.get_mut(part_of(places, code))
}

/// By bits that no table looks at: those take the lowest, and the highest 7.
fn part_of(places: &[HashTable<u32>], code: u64) -> usize {
    let bits = usize::try_from(code >> 40).unwrap_or(usize::MAX);
    bits.checked_rem(places.len()).unwrap_or(0)
}

fn code_at<T: Member>(members: &[T], place: u32) -> u64 {
    members.get(place as usize).map_or(0, |member| code(member.number()))
}

/// Spreads numbers over the bits (Fibonacci hashing). They are ours: nobody can choose them so that they meet.
fn code(number: u32) -> u64 {
    let product = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ (product >> 32)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn it_is_a_set_at_any_size(steps in prop::collection::vec((0..120_u32, any::<bool>()), 1..400)) {
            let (mut dense, mut model) = (Dense::default(), BTreeSet::new());
            for (number, add) in steps {
                // Long runs of one kind, so that the index comes and goes.
                for number in number..number + 10 {
                    if add {
                        prop_assert_eq!(dense.insert(number).is_none(), model.insert(number));
                    } else {
                        prop_assert_eq!(dense.remove(number).is_some(), model.remove(&number));
                    }
                }
                prop_assert_eq!(dense.as_slice().iter().copied().collect::<BTreeSet<u32>>(), model.clone());
                prop_assert_eq!(dense.len(), model.len());
                prop_assert!((0..130).all(|number| dense.get(number).is_some() == model.contains(&number)));
            }
        }
    }

    #[test]
    fn a_large_set_is_right_while_it_grows_and_shrinks() {
        let mut dense = Dense::default();
        for number in 0..40_000_u32 {
            assert_eq!(dense.insert(number * 7), None);
        }
        assert_eq!(dense.places.as_ref().map(|places| places.len()), Some(PARTS));
        for number in 0..39_990 {
            assert_eq!(dense.remove(number * 7), Some(number * 7));
            assert_eq!(dense.remove(number * 7), None);
            assert_eq!(dense.get(39_995 * 7), Some(39_995 * 7));
        }
        assert_eq!(dense.as_slice().iter().copied().collect::<BTreeSet<u32>>().len(), 10);
        assert!(dense.places.is_none() && dense.members.capacity() < 100);
    }
}
