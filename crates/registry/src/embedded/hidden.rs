//! What is hidden from whom, because they reported it.

use std::collections::BTreeMap;
use std::hash::RandomState;

use hashbrown::{Equivalent, HashMap};
use indexmap::IndexMap;
use peer_core::limits::{HIDDEN_PER_REPORTER_MAX, REPORT_SECS};
use peer_core::{Owner, Peer};

use super::reports::Subject;

/// What is hidden from all reporters together, in subjects. When there are more, the oldest are shown again.
const HIDDEN_MAX: usize = 200_000;

#[derive(Default)]
pub(super) struct Hidden {
    /// The subjects of each reporter, oldest first.
    reporters: HashMap<Peer, IndexMap<Subject, Entry, RandomState>, RandomState>,
    /// All of them in order of time, which is the order in which they expire.
    order: BTreeMap<u64, (Peer, Subject)>,
    events: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    until_ms: u64,
    /// Its place in [`Hidden::order`].
    event: u64,
}

/// A [`Subject`] to look one up with.
#[derive(Hash)]
struct Sought<'a> {
    owner: Owner,
    file: Option<&'a str>,
}

impl Equivalent<Subject> for Sought<'_> {
    fn equivalent(&self, subject: &Subject) -> bool {
        self.owner == subject.owner && self.file == subject.file.as_deref()
    }
}

impl Hidden {
    /// Hides `subject` from `reporter` for [`REPORT_SECS`] from now.
    pub(super) fn hide(&mut self, reporter: Peer, subject: Subject, now_ms: u64) {
        self.events += 1;
        let entry = Entry { until_ms: now_ms + REPORT_SECS * 1_000, event: self.events };
        let subjects = self.reporters.entry(reporter).or_default();
        // Moving up what follows costs at most as many steps as a reporter may have, and keeps the order.
        if let Some(former) = subjects.shift_remove(&subject) {
            self.order.remove(&former.event);
        } else if subjects.len() >= HIDDEN_PER_REPORTER_MAX
            && let Some((_, oldest)) = subjects.shift_remove_index(0)
        {
            self.order.remove(&oldest.event);
        }
        subjects.insert(subject.clone(), entry);
        self.order.insert(entry.event, (reporter, subject));
        if self.order.len() > HIDDEN_MAX {
            self.remove_first();
        }
    }

    /// Whether anything may be hidden from `caller`.
    pub(super) fn hides_from(&self, caller: Peer) -> bool {
        !self.reporters.is_empty() && self.reporters.contains_key(&caller)
    }

    /// Whether just this subject is hidden from `caller`.
    pub(super) fn hides(&self, caller: Peer, owner: Owner, file: Option<&str>, now_ms: u64) -> bool {
        let Some(subjects) = self.reporters.get(&caller) else { return false };
        subjects.get(&Sought { owner, file }).is_some_and(|entry| now_ms < entry.until_ms)
    }

    /// Forgets up to `most` of what is hidden no more.
    pub(super) fn forget(&mut self, most: usize, now_ms: u64) {
        for _ in 0..most {
            let Some((_, (reporter, subject))) = self.order.first_key_value() else { return };
            let entry = self.reporters.get(reporter).and_then(|subjects| subjects.get(subject));
            if entry.is_some_and(|entry| now_ms < entry.until_ms) {
                return;
            }
            self.remove_first();
        }
    }

    fn remove_first(&mut self) {
        let Some((_, (reporter, subject))) = self.order.pop_first() else { return };
        let Some(subjects) = self.reporters.get_mut(&reporter) else { return };
        subjects.shift_remove(&subject);
        if subjects.is_empty() {
            self.reporters.remove(&reporter);
        }
    }

    /// How many subjects are hidden, from all reporters together.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        debug_assert_eq!(self.order.len(), self.reporters.values().map(IndexMap::len).sum::<usize>());
        self.order.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    const HIDDEN_MS: u64 = REPORT_SECS * 1_000;

    fn peer(number: u32) -> Peer {
        Peer::new(std::net::IpAddr::V4((0x0a00_0001 + number).into())).unwrap()
    }

    fn subject(number: u32) -> Subject {
        Subject { owner: peer(number).into(), file: Some("a".into()) }
    }

    fn hides(hidden: &Hidden, reporter: u32, number: u32, now_ms: u64) -> bool {
        hidden.hides(peer(reporter), peer(number).into(), Some("a"), now_ms)
    }

    #[test]
    fn what_was_reported_is_hidden_from_its_reporter_until_the_time_is_over() {
        let mut hidden = Hidden::default();
        hidden.hide(peer(1), subject(7), 1_000);
        hidden.hide(peer(1), subject(8), 2_000);
        // Once more, so that it counts from then on.
        hidden.hide(peer(1), subject(7), 3_000);
        assert!(hides(&hidden, 1, 7, 2_999 + HIDDEN_MS) && !hides(&hidden, 1, 7, 3_000 + HIDDEN_MS));
        assert!(hides(&hidden, 1, 8, 1_999 + HIDDEN_MS) && !hides(&hidden, 1, 8, 2_000 + HIDDEN_MS));
        assert!(!hides(&hidden, 2, 7, 3_000) && !hides(&hidden, 1, 9, 3_000));
        assert!(!hidden.hides(peer(1), peer(7).into(), Some("b"), 3_000));
        assert!(!hidden.hides(peer(1), peer(7).into(), None, 3_000));
        hidden.forget(10, 2_500 + HIDDEN_MS);
        assert_eq!(hidden.len(), 1);
        hidden.forget(10, 3_000 + HIDDEN_MS);
        assert_eq!(hidden.len(), 0);
        assert!(!hidden.hides_from(peer(1)));
    }

    #[test]
    fn a_reporter_who_hides_too_much_sees_the_oldest_again() {
        let mut hidden = Hidden::default();
        let most = u32::try_from(HIDDEN_PER_REPORTER_MAX).unwrap();
        for number in 0..most {
            hidden.hide(peer(0), subject(number), 1_000);
        }
        hidden.hide(peer(0), subject(0), 1_001);
        hidden.hide(peer(0), subject(most), 1_002);
        assert_eq!(hidden.len(), HIDDEN_PER_REPORTER_MAX);
        assert!(hides(&hidden, 0, 0, 1_002) && !hides(&hidden, 0, 1, 1_002) && hides(&hidden, 0, 2, 1_002));
    }

    #[test]
    fn all_reporters_together_hide_a_bounded_number() {
        let mut hidden = Hidden::default();
        let most = u32::try_from(HIDDEN_MAX).unwrap();
        for number in 0..most + 10 {
            hidden.hide(peer(number / 100), subject(number), 1_000);
        }
        assert_eq!(hidden.len(), HIDDEN_MAX);
        assert!(!hides(&hidden, 0, 9, 1_000) && hides(&hidden, 0, 10, 1_000));
    }
}
