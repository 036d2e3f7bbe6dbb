//! From a key to the number of the thing that has it.

use std::hash::{BuildHasher as _, Hash, RandomState};

use hashbrown::HashTable;

/// Tables that share the keys. One grows at a time, so that no addition takes long however many there are.
const SHARDS: usize = 256;

/// Numbers by a key that the thing itself holds, 5 bytes each and not a copy of the key. Keyed with a secret of the
/// process, since strangers choose the keys.
pub(super) struct Index {
    shards: Box<[HashTable<u32>]>,
    secret: RandomState,
}

impl Default for Index {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| HashTable::new()).collect(), secret: RandomState::new() }
    }
}

impl Index {
    /// The number of which `is_it` holds.
    pub(super) fn find(&self, key: &(impl Hash + ?Sized), mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let code = self.secret.hash_one(key);
        self.shards.get(shard(code))?.find(code, |number| is_it(*number)).copied()
    }

    /// Takes in a number that is not in it, with its key. `key_of` gives the keys of the others.
    pub(super) fn insert<'a, K: Hash + ?Sized + 'a>(
        &mut self,
        key: &K,
        number: u32,
        key_of: impl Fn(u32) -> Option<&'a K>,
    ) {
        let Self { shards, secret } = self;
        let code = secret.hash_one(key);
        let code_of = |number: &u32| key_of(*number).map_or(0, |key| secret.hash_one(key));
        if let Some(table) = shards.get_mut(shard(code)) {
            table.insert_unique(code, number, code_of);
        }
    }

    pub(super) fn remove(&mut self, key: &(impl Hash + ?Sized), number: u32) {
        let code = self.secret.hash_one(key);
        if let Some(table) = self.shards.get_mut(shard(code))
            && let Ok(found) = table.find_entry(code, |other| *other == number)
        {
            found.remove();
        }
    }

    /// How many numbers are in it.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(HashTable::len).sum()
    }
}

/// By bits that no table looks at: those take the lowest, and the highest 7.
fn shard(code: u64) -> usize {
    usize::try_from(code >> 48).unwrap_or(0) % SHARDS
}
