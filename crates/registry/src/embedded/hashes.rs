use hashbrown::HashTable;
use peer_core::ContentHash;
use slab::Slab;
use std::hash::{BuildHasher as _, RandomState};

/// Number of a content hash in [`Hashes`].
pub(super) type HashId = u32;

/// Every content hash once, however many peers claim it: the peers of a file nearly always claim the same one,
/// so that a mapping needs 4 bytes for it and not 100.
#[derive(Default)]
pub(super) struct Hashes {
    entries: Slab<Entry>,
    by_text: HashTable<HashId>,
    hasher: RandomState,
}

struct Entry {
    hash: ContentHash,
    uses: u32,
}

impl Hashes {
    /// Counts one more use of `hash` and gives its number; `None` when the numbers have run out.
    pub(super) fn acquire(&mut self, hash: &ContentHash) -> Option<HashId> {
        let Self { entries, by_text, hasher } = self;
        let code = hasher.hash_one(hash);
        let is_it = |id: &HashId| entries.get(*id as usize).is_some_and(|entry| entry.hash == *hash);
        if let Some(id) = by_text.find(code, is_it).copied() {
            if let Some(entry) = entries.get_mut(id as usize) {
                entry.uses += 1;
            }
            return Some(id);
        }
        let id = HashId::try_from(entries.vacant_key()).ok()?;
        entries.insert(Entry { hash: hash.clone(), uses: 1 });
        by_text.insert_unique(code, id, |id| {
            entries.get(*id as usize).map_or(0, |entry| hasher.hash_one(&entry.hash))
        });
        Some(id)
    }

    /// Takes one use of `id` back and forgets the hash with the last.
    pub(super) fn release(&mut self, id: HashId) {
        let Some(entry) = self.entries.get_mut(id as usize) else { return };
        entry.uses -= 1;
        if entry.uses == 0 {
            let code = self.hasher.hash_one(&entry.hash);
            if let Ok(found) = self.by_text.find_entry(code, |other| *other == id) {
                found.remove();
            }
            self.entries.remove(id as usize);
        }
    }

    /// The hash of a number that is in use.
    #[cfg(test)]
    pub(super) fn get(&self, id: HashId) -> Option<&ContentHash> {
        self.entries.get(id as usize).map(|entry| &entry.hash)
    }

    /// Distinct hashes in use.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
