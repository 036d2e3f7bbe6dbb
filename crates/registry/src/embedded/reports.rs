//! Who reported whom: what is hidden from a reporter, and what is withheld from everybody.
//!
//! Plain data in bounded memory; the time is handed in. It knows nothing of which mappings there are.

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::sync::Arc;

use hashbrown::HashMap;
use peer_core::limits::REPORT_SECS;
use peer_core::{FileName, Network, Owner, Peer};

use super::hidden::Hidden;
use super::standing::{Returned, Standing};

/// Subjects that are remembered, in subjects. When there are more, the ones that would be forgotten first are.
const SUBJECTS_MAX: usize = 100_000;

/// What a report is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) owner: Owner,
    /// `None` for all its files.
    pub(super) file: Option<Arc<str>>,
}

impl Subject {
    pub(super) fn new(owner: Owner, file: Option<&FileName>) -> Self {
        Self { owner, file: file.map(|file| file.clone().into_shared()) }
    }
}

/// When a subject is forgotten, in ms since 1970, and a number that makes it unique.
type Place = (u64, u64);

#[derive(Default)]
pub(super) struct Reports {
    hidden: Hidden,
    owners: HashMap<Owner, OfOwner, RandomState>,
    order: BTreeMap<Place, Subject>,
    /// Subjects that are withheld, with those that a heartbeat brought back and that were not looked at since.
    withheld: usize,
    /// Counts what happens, since several things happen in a millisecond.
    events: u64,
}

/// How the subjects of one owner stand.
#[derive(Default)]
struct OfOwner {
    whole: Option<Kept>,
    files: HashMap<Arc<str>, Kept, RandomState>,
    /// Its last heartbeat, which brings back all its files at once, however many they are.
    returned: Option<Returned>,
}

#[derive(Default)]
struct Kept {
    standing: Standing,
    place: Place,
}

impl OfOwner {
    fn get(&self, file: Option<&str>) -> Option<&Kept> {
        match file {
            Some(file) => self.files.get(file),
            None => self.whole.as_ref(),
        }
    }

    fn get_mut(&mut self, file: Option<&str>) -> Option<&mut Kept> {
        match file {
            Some(file) => self.files.get_mut(file),
            None => self.whole.as_mut(),
        }
    }

    fn remove(&mut self, file: Option<&str>) -> Option<Kept> {
        match file {
            Some(file) => self.files.remove(file),
            None => self.whole.take(),
        }
    }
}

impl Reports {
    /// Hides `subject` from `reporter`.
    pub(super) fn hide(&mut self, reporter: Peer, subject: Subject, now_ms: u64) {
        self.hidden.hide(reporter, subject, now_ms);
    }

    /// Counts a report against `subject`.
    pub(super) fn count(&mut self, subject: Subject, reporter: Network, decisive: bool, now_ms: u64) {
        self.events += 1;
        let event = self.events;
        let of_owner = self.owners.entry(subject.owner).or_default();
        let returned = of_owner.returned;
        let kept = match &subject.file {
            Some(file) => of_owner.files.entry(Arc::clone(file)).or_default(),
            None => of_owner.whole.get_or_insert_default(),
        };
        let was_withheld = kept.standing.is_withheld_since_last_look();
        kept.standing.settle(returned);
        kept.standing.report(reporter, decisive, event, now_ms);
        let is_withheld = kept.standing.is_withheld_since_last_look();
        let place = (kept.standing.forget_at_ms(now_ms), event);
        let former = std::mem::replace(&mut kept.place, place);
        self.withheld = self.withheld + usize::from(is_withheld) - usize::from(was_withheld);
        self.order.remove(&former);
        self.order.insert(place, subject);
        if self.order.len() > SUBJECTS_MAX
            && let Some((_, subject)) = self.order.pop_first()
        {
            self.remove(&subject);
        }
    }

    /// `owner` published a file, or, with `None`, anything. Brings the subject back, or gives for how long it is withheld
    /// all the same, in ms.
    pub(super) fn publish(&mut self, owner: Owner, file: Option<&str>, now_ms: u64) -> Option<u64> {
        if self.withheld == 0 {
            return None;
        }
        let of_owner = self.owners.get_mut(&owner)?;
        let returned = of_owner.returned;
        let standing = &mut of_owner.get_mut(file)?.standing;
        let was_withheld = standing.is_withheld_since_last_look();
        standing.settle(returned);
        let wait_ms = standing.come_back(now_ms);
        self.withheld -= usize::from(was_withheld && wait_ms.is_none());
        wait_ms
    }

    /// A heartbeat of `owner`: brings back what was withheld of it, as a whole and by file, where the wait is over.
    pub(super) fn heartbeat(&mut self, owner: Owner, now_ms: u64) {
        self.publish(owner, None, now_ms);
        self.events += 1;
        if let Some(of_owner) = self.owners.get_mut(&owner) {
            of_owner.returned = Some(Returned { event: self.events, at_ms: now_ms });
        }
    }

    /// Whether a heartbeat of `owner` changes anything here.
    pub(super) fn knows(&self, owner: Owner) -> bool {
        !self.owners.is_empty() && self.owners.contains_key(&owner)
    }

    /// What a read by `caller` has to leave out; `None` for nothing at all.
    pub(super) fn view(&self, caller: Peer, now_ms: u64) -> Option<View<'_>> {
        let hides = self.hidden.hides_from(caller);
        (hides || self.withheld > 0).then_some(View { reports: self, caller, hides, now_ms })
    }

    /// Looks at up to `most` of what is due to be forgotten, and forgets it. What is withheld is kept while `exists`.
    pub(super) fn forget(&mut self, most: usize, now_ms: u64, exists: impl Fn(&Subject) -> bool) {
        self.hidden.forget(most, now_ms);
        for _ in 0..most {
            let Some(first) = self.order.first_entry().filter(|first| first.key().0 <= now_ms) else {
                return;
            };
            let subject = first.remove();
            if self.is_withheld(subject.owner, subject.file.as_deref()) && exists(&subject) {
                self.events += 1;
                let place = (now_ms + REPORT_SECS * 1_000, self.events);
                let of_owner = self.owners.get_mut(&subject.owner);
                if let Some(kept) = of_owner.and_then(|owner| owner.get_mut(subject.file.as_deref())) {
                    kept.place = place;
                    self.order.insert(place, subject);
                }
            } else {
                self.remove(&subject);
            }
        }
    }

    fn is_withheld(&self, owner: Owner, file: Option<&str>) -> bool {
        let Some(of_owner) = self.owners.get(&owner) else { return false };
        of_owner.get(file).is_some_and(|kept| kept.standing.is_withheld(of_owner.returned))
    }

    /// Forgets how a subject stands; its place in the order is gone.
    fn remove(&mut self, subject: &Subject) {
        let Some(of_owner) = self.owners.get_mut(&subject.owner) else { return };
        if let Some(kept) = of_owner.remove(subject.file.as_deref()) {
            self.withheld -= usize::from(kept.standing.is_withheld_since_last_look());
        }
        if of_owner.whole.is_none() && of_owner.files.is_empty() {
            self.owners.remove(&subject.owner);
        }
    }
}

/// What one caller may see.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    reports: &'a Reports,
    caller: Peer,
    hides: bool,
    now_ms: u64,
}

impl View<'_> {
    /// Whether the mapping of `owner`, who is at `address`, is shown.
    pub(super) fn shows(&self, owner: Owner, address: Peer, file: &str) -> bool {
        let Self { reports, caller, hides, now_ms } = *self;
        let withheld = reports.withheld > 0
            && (reports.is_withheld(owner, None) || reports.is_withheld(owner, Some(file)));
        let hidden = || {
            let at = Owner::Address(address);
            let subjects = [(owner, None), (owner, Some(file)), (at, None), (at, Some(file))];
            subjects.iter().any(|(owner, file)| reports.hidden.hides(caller, *owner, *file, now_ms))
        };
        !(withheld || (hides && hidden()))
    }
}

#[cfg(test)]
#[path = "reports_tests.rs"]
mod tests;
