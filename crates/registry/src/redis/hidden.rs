use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;
use peer_core::{FileName, Owner, Peer};

use super::recent::Recent;

/// How long what was read of a caller is used, in ms.
const KNOWN_MS: u64 = 1_000;
/// Most callers whose reports are kept here, in callers; those of others are read each time.
const CALLERS: usize = 1_024;

/// What a caller does not see since it reported it. Most see everything: that is known without memory which threads share.
#[derive(Debug, Clone, Default)]
pub(super) struct Hidden(Option<Arc<Subjects>>);

/// Of whom, and which file or all; until when, in ms since 1970 by the clock of Redis.
type Subjects = HashMap<(Owner, Option<FileName>), u64>;

impl Hidden {
    /// How Redis keeps a subject.
    pub(super) fn member(subject: Owner, file: Option<&FileName>) -> String {
        file.map_or_else(|| subject.to_string(), |file| format!("{subject} {file}"))
    }

    /// From members and the times in ms at which they were reported; each is hidden for `for_ms`.
    pub(super) fn read(reported: &[(String, f64)], for_ms: u64) -> Self {
        let entry = |(member, at_ms): &(String, f64)| {
            let (subject, file) = match member.split_once(' ') {
                Some((subject, file)) => (subject, Some(file.parse().ok()?)),
                None => (member.as_str(), None),
            };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a time in ms since 1970"
            )]
            let at_ms = *at_ms as u64;
            Some(((subject.parse().ok()?, file), at_ms.saturating_add(for_ms)))
        };
        let subjects: Subjects = reported.iter().filter_map(entry).collect();
        Self((!subjects.is_empty()).then(|| Arc::new(subjects)))
    }

    /// Whether `owner`, which is at `address`, is hidden as a peer of `file`.
    pub(super) fn has(&self, owner: Owner, address: Peer, file: &FileName, redis_ms: u64) -> bool {
        let Some(subjects) = &self.0 else { return false };
        let is = |subject: Owner, file: Option<FileName>| {
            subjects.get(&(subject, file)).is_some_and(|until_ms| *until_ms > redis_ms)
        };
        let at = Owner::Address(address);
        is(owner, Some(file.clone())) || is(owner, None) || is(at, Some(file.clone())) || is(at, None)
    }
}

/// What callers do not see, as far as it was read within a second.
pub(super) struct HiddenOf {
    nothing: Recent,
    something: Mutex<HashMap<Peer, (u64, Hidden)>>,
    /// Reports through this process.
    reports: AtomicU64,
}

impl HiddenOf {
    pub(super) fn new() -> Self {
        Self { nothing: Recent::new(), something: Mutex::default(), reports: AtomicU64::new(0) }
    }

    /// What `caller` does not see, where that is known.
    pub(super) fn get(&self, caller: Peer, local_ms: u64) -> Option<Hidden> {
        if self.nothing.holds(caller, local_ms) {
            return Some(Hidden::default());
        }
        let something = self.something.lock();
        let (read_ms, hidden) = something.get(&caller)?;
        (read_ms.saturating_add(KNOWN_MS) > local_ms).then(|| hidden.clone())
    }

    /// To be called before it is read.
    pub(super) fn epoch(&self) -> u64 {
        self.reports.load(Ordering::Acquire)
    }

    /// Keeps what was read at `local_ms`, unless somebody reported since `epoch`.
    pub(super) fn put(&self, caller: Peer, hidden: Hidden, local_ms: u64, epoch: u64) -> Hidden {
        let mut something = self.something.lock();
        if self.epoch() != epoch {
            return hidden;
        }
        if hidden.0.is_none() {
            something.remove(&caller);
            self.nothing.set(caller, local_ms.saturating_add(KNOWN_MS));
        } else {
            if something.len() >= CALLERS {
                something.retain(|_, (read_ms, _)| read_ms.saturating_add(KNOWN_MS) > local_ms);
            }
            if something.len() < CALLERS {
                something.insert(caller, (local_ms, hidden.clone()));
            }
        }
        hidden
    }

    /// `caller` reported somebody. To be called when Redis has it.
    pub(super) fn reported(&self, caller: Peer) {
        let mut something = self.something.lock();
        self.reports.fetch_add(1, Ordering::AcqRel);
        something.remove(&caller);
        self.nothing.clear(caller);
    }
}
