use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::contents::ContentNumber;
use super::dense::{Dense, Member};
use super::index::Index;
use super::numbered::Numbered;
use super::peers::PeerNumber;

/// Number of a file in [`Files`].
pub(super) type FileNumber = u32;

/// A peer of a file, and what it claims.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holding {
    pub(super) peer: PeerNumber,
    pub(super) content: ContentNumber,
}

impl Member for Holding {
    fn number(self) -> u32 {
        self.peer
    }
}

/// A file that at least one peer has.
pub(super) struct File {
    pub(super) name: Arc<str>,
    pub(super) holders: Dense<Holding>,
}

/// The files by number, by name and in order of name.
#[derive(Default)]
pub(super) struct Files {
    entries: Numbered<File>,
    by_name: Index,
    in_order: BTreeMap<Arc<str>, FileNumber>,
}

impl Files {
    pub(super) fn find(&self, name: &str) -> Option<FileNumber> {
        self.by_name.find(name, |number| self.get(number).is_some_and(|file| &*file.name == name))
    }

    pub(super) fn get(&self, number: FileNumber) -> Option<&File> {
        self.entries.get(number)
    }

    pub(super) fn get_mut(&mut self, number: FileNumber) -> Option<&mut File> {
        self.entries.get_mut(number)
    }

    /// A number for a name that has none; `None` when numbers have run out.
    pub(super) fn insert(&mut self, name: Arc<str>) -> Option<FileNumber> {
        let Self { entries, by_name, in_order } = self;
        let number = entries.insert(File { name: Arc::clone(&name), holders: Dense::default() })?;
        by_name.insert(&*name, number, |number| entries.get(number).map(|file| &*file.name));
        in_order.insert(name, number);
        Some(number)
    }

    /// Forgets a file that nobody has any more.
    pub(super) fn remove(&mut self, number: FileNumber) {
        let Some(file) = self.entries.remove(number) else { return };
        self.by_name.remove(&*file.name, number);
        self.in_order.remove(&file.name);
    }

    /// Files whose names start with `prefix` and come after `after`, in order of name.
    pub(super) fn names_from<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&str>,
    ) -> impl Iterator<Item = &'a File> + 'a {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.in_order
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(move |(name, _)| name.starts_with(prefix))
            .filter_map(|(_, number)| self.get(*number))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
