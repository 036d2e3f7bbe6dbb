use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Bound;
use std::sync::Arc;

use hashbrown::HashTable;
use indexmap::IndexMap;
use slab::Slab;

use super::hashes::HashId;
use super::peers::PeerId;

/// Number of a file in [`Files`].
pub(super) type FileId = u32;

/// Who has a file: peer and the hash that it claims, in an order that allows to start anywhere.
pub(super) type Holders = IndexMap<PeerId, HashId, hashbrown::DefaultHashBuilder>;

/// A file that at least one peer has.
pub(super) struct File {
    pub(super) name: Arc<str>,
    pub(super) holders: Holders,
}

/// The tracked files by number, by name and in order of name.
#[derive(Default)]
pub(super) struct Files {
    entries: Slab<File>,
    by_name: HashTable<FileId>,
    in_order: BTreeMap<Arc<str>, FileId>,
    hasher: RandomState,
}

impl Files {
    pub(super) fn find(&self, name: &str) -> Option<FileId> {
        let is_it = |id: &FileId| self.get(*id).is_some_and(|file| &*file.name == name);
        self.by_name.find(self.hasher.hash_one(name), is_it).copied()
    }

    pub(super) fn get(&self, id: FileId) -> Option<&File> {
        self.entries.get(id as usize)
    }

    pub(super) fn get_mut(&mut self, id: FileId) -> Option<&mut File> {
        self.entries.get_mut(id as usize)
    }

    /// The number of `name`, a new one if need be; `None` when the numbers have run out.
    pub(super) fn find_or_insert(&mut self, name: Arc<str>) -> Option<FileId> {
        if let Some(id) = self.find(&name) {
            return Some(id);
        }
        let Self { entries, by_name, in_order, hasher } = self;
        let id = FileId::try_from(entries.vacant_key()).ok()?;
        let code = hasher.hash_one(&*name);
        entries.insert(File { name: Arc::clone(&name), holders: Holders::default() });
        by_name.insert_unique(code, id, |id| {
            entries.get(*id as usize).map_or(0, |file| hasher.hash_one(&*file.name))
        });
        in_order.insert(name, id);
        Some(id)
    }

    /// Forgets a file that nobody has any more.
    pub(super) fn remove(&mut self, id: FileId) {
        let Some(file) = self.entries.try_remove(id as usize) else { return };
        if let Ok(found) = self.by_name.find_entry(self.hasher.hash_one(&*file.name), |other| *other == id) {
            found.remove();
        }
        self.in_order.remove(&file.name);
    }

    /// Files whose names start with `prefix` and come after `after`, in order of name.
    pub(super) fn names_from<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'a Arc<str>, FileId)> + 'a {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.in_order
            .range::<str, _>((start, Bound::Unbounded))
            .map(|(name, id)| (name, *id))
            .take_while(move |(name, _)| name.starts_with(prefix))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
