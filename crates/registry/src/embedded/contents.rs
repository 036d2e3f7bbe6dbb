//! Every content once, however many peers claim it.

use std::sync::Arc;

use peer_core::ContentHash;

use super::index::Index;
use super::numbered::Numbered;

/// Number of a content in [`Contents`].
pub(super) type ContentNumber = u32;

/// What a peer claims of a file.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Content {
    pub(super) hash: ContentHash,
    /// In bytes.
    pub(super) size: Option<u64>,
}

/// The peers of a file nearly always claim the same, so that a mapping needs 4 bytes for it and not 100.
#[derive(Default)]
pub(super) struct Contents {
    entries: Numbered<Entry>,
    by_content: Index,
}

struct Entry {
    content: Arc<Content>,
    /// Mappings that have it.
    uses: u32,
}

impl Contents {
    /// Counts one more use and gives the number; `None` when numbers have run out.
    pub(super) fn acquire(&mut self, hash: &ContentHash, size: Option<u64>) -> Option<ContentNumber> {
        let Self { entries, by_content } = self;
        let is_it = |number| {
            let entry: Option<&Entry> = entries.get(number);
            entry.is_some_and(|entry| entry.content.size == size && entry.content.hash == *hash)
        };
        if let Some(number) = by_content.find(&(hash, size), is_it) {
            if let Some(entry) = entries.get_mut(number) {
                entry.uses += 1;
            }
            return Some(number);
        }
        let content = Arc::new(Content { hash: hash.clone(), size });
        let number = entries.insert(Entry { content: Arc::clone(&content), uses: 1 })?;
        by_content.insert(&*content, number, |number| entries.get(number).map(|entry| &*entry.content));
        Some(number)
    }

    /// Takes one use back and forgets the content with the last.
    pub(super) fn release(&mut self, number: ContentNumber) {
        let Some(entry) = self.entries.get_mut(number) else { return };
        entry.uses -= 1;
        if entry.uses == 0
            && let Some(entry) = self.entries.remove(number)
        {
            self.by_content.remove(&*entry.content, number);
        }
    }

    /// The content of a number that is in use.
    pub(super) fn get(&self, number: ContentNumber) -> Option<&Arc<Content>> {
        self.entries.get(number).map(|entry| &entry.content)
    }

    /// Distinct contents in use.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    #[test]
    fn a_content_is_kept_once_while_it_is_used() {
        let mut contents = Contents::default();
        let hash: ContentHash = "abc".parse().unwrap();
        let first = contents.acquire(&hash, Some(1)).unwrap();
        assert_eq!(contents.acquire(&hash, Some(1)), Some(first));
        assert_ne!(contents.acquire(&hash, None), Some(first));
        assert_eq!(contents.len(), 2);
        contents.release(first);
        assert_eq!(contents.get(first).unwrap().size, Some(1));
        contents.release(first);
        assert!(contents.get(first).is_none());
        assert_eq!(contents.len(), 1);
    }
}
