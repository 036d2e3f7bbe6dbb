use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::DefaultHashBuilder;
use parking_lot::Mutex;
use peer_core::FileName;
use tokio::sync::watch;

use super::drawn::HotPeers;
use crate::RegistryError;

/// How long a file is counted for, in ms.
const WINDOW_MS: u64 = 100;
/// How old an answer from here is at most, in ms.
const AGE_MAX_MS: u64 = 400;
/// The first that asks for an answer of this age, in ms, renews it while the others go on with it.
const RENEW_MS: u64 = 300;
/// How long others wait for one that reads before one of them tries, in ms: longer than a command to Redis may take.
const PATIENCE_MS: u64 = 250;
/// Requests within a window that make a file hot.
const HOT_REQUESTS: u32 = 16;
/// Sets of places for files; a power of two.
const SETS: usize = 256;
/// Places of a set, so that hot files seldom take each other's.
const WAYS: usize = 4;
/// Counters of changes to files; a power of two.
const EPOCHS: usize = 4_096;

/// Peers of files that this process is asked for again and again right now.
///
/// Whoever asks for a file once is never answered from here. One reads a hot file for all who ask meanwhile: else each time
/// that what is kept grows old, or a change ends it, all who ask at that moment would read at once, and Redis, which does one
/// thing at a time, would let them wait for each other. A change that comes through this process ends what is kept at once;
/// one that comes through another is seen when the answer is too old. A fixed number of files.
pub(super) struct HotFiles {
    hasher: DefaultHashBuilder,
    sets: Box<[Mutex<[Place; WAYS]>]>,
    epochs: Box<[AtomicU64]>,
    /// Changes that may concern any file.
    all: AtomicU64,
}

#[derive(Default)]
struct Place {
    file: Option<FileName>,
    window_ms: u64,
    asked: u32,
    asked_before: u32,
    kept: Option<Kept>,
    reading: Option<Reading>,
}

struct Kept {
    at_ms: u64,
    changes: (u64, u64),
    peers: Arc<HotPeers>,
}

/// Somebody has a [`Ticket`].
struct Reading {
    at_ms: u64,
    changes: (u64, u64),
    news: News,
}

/// What another one reads, or why it could not; closed without that when it gave up.
pub(super) type News = watch::Receiver<Option<Result<Arc<HotPeers>, RegistryError>>>;

/// The right to keep what is read from now on, and the duty to read it: others wait for it until it is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    at_ms: u64,
    changes: (u64, u64),
    news: watch::Sender<Option<Result<Arc<HotPeers>, RegistryError>>>,
}

/// What there is for a request.
pub(super) enum Asked {
    /// Living peers of the file.
    Kept(Arc<HotPeers>),
    /// They are being read.
    Wait(News),
    /// Nothing; with a ticket when the file is hot.
    Nothing(Option<Ticket>),
}

impl HotFiles {
    pub(super) fn new() -> Self {
        Self::with_sets(SETS)
    }

    fn with_sets(sets: usize) -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            sets: (0..sets).map(|_| Mutex::default()).collect(),
            epochs: (0..EPOCHS).map(|_| AtomicU64::new(0)).collect(),
            all: AtomicU64::new(0),
        }
    }

    /// Somebody asks for `file` at `now_ms` of this process.
    pub(super) fn ask(&self, file: &FileName, now_ms: u64) -> Asked {
        let hash = self.hasher.hash_one(file);
        let Some(set) = self.set(hash) else { return Asked::Nothing(None) };
        let mut set = set.lock();
        // Who is here stays as long as it is hot.
        let Some(place) = Place::of(&mut set, file, now_ms) else { return Asked::Nothing(None) };
        place.count(now_ms);
        if !place.is_hot(now_ms) {
            return Asked::Nothing(None);
        }
        let changes = self.changes(hash);
        let reading = place.reading.as_ref().filter(|reading| reading.is_for(changes, now_ms));
        let kept = place.kept.as_ref().filter(|kept| kept.is_for(changes, now_ms));
        match (kept, reading) {
            (Some(kept), reading) if reading.is_some() || kept.at_ms.saturating_add(RENEW_MS) > now_ms => {
                Asked::Kept(Arc::clone(&kept.peers))
            }
            (None, Some(reading)) => Asked::Wait(reading.news.clone()),
            _ => {
                let (sender, news) = watch::channel(None);
                place.reading = Some(Reading { at_ms: now_ms, changes, news });
                Asked::Nothing(Some(Ticket { at_ms: now_ms, changes, news: sender }))
            }
        }
    }

    /// Keeps living peers of `file`, read after `ticket` was given, and tells those who wait for them; or tells these that the
    /// store is not there, so that they do not find it out one after the other.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used once")]
    pub(super) fn keep(&self, file: &FileName, ticket: Ticket, read: Result<HotPeers, RegistryError>) {
        let read = read.map(Arc::new);
        if let (Some(set), Ok(peers)) = (self.set(self.hasher.hash_one(file)), &read) {
            let mut set = set.lock();
            let place = set.iter_mut().find(|place| place.file.as_ref() == Some(file));
            if let Some(place) = place
                && place.kept.as_ref().is_none_or(|kept| kept.at_ms <= ticket.at_ms)
            {
                let peers = Arc::clone(peers);
                place.kept = Some(Kept { at_ms: ticket.at_ms, changes: ticket.changes, peers });
            }
        }
        ticket.news.send_replace(Some(read));
    }

    /// `file` was changed through this process. To be called when Redis has the change, and before anybody is told.
    pub(super) fn changed(&self, file: &FileName) {
        let hash = self.hasher.hash_one(file);
        if let Some(epoch) = self.epochs.get(Self::epoch(hash)) {
            epoch.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The same of a peer, with whatever files it has.
    pub(super) fn all_changed(&self) {
        self.all.fetch_add(1, Ordering::AcqRel);
    }

    fn changes(&self, hash: u64) -> (u64, u64) {
        let file = self.epochs.get(Self::epoch(hash)).map_or(0, |epoch| epoch.load(Ordering::Acquire));
        (file, self.all.load(Ordering::Acquire))
    }

    fn set(&self, hash: u64) -> Option<&Mutex<[Place; WAYS]>> {
        self.sets.get(usize::try_from(hash).unwrap_or(0) & (self.sets.len() - 1))
    }

    fn epoch(hash: u64) -> usize {
        usize::try_from(hash >> 32).unwrap_or(0) & (EPOCHS - 1)
    }
}

impl Kept {
    fn is_for(&self, changes: (u64, u64), now_ms: u64) -> bool {
        self.changes == changes && self.at_ms.saturating_add(AGE_MAX_MS) > now_ms
    }
}

impl Reading {
    /// Whether it began after the last change and somebody is still at it.
    fn is_for(&self, changes: (u64, u64), now_ms: u64) -> bool {
        self.changes == changes
            && self.at_ms.saturating_add(PATIENCE_MS) > now_ms
            && self.news.has_changed().is_ok()
    }
}

impl Place {
    /// The place of `file`, made where another one is free.
    fn of<'a>(set: &'a mut [Self; WAYS], file: &FileName, now_ms: u64) -> Option<&'a mut Self> {
        let at = set.iter().position(|place| place.file.as_ref() == Some(file));
        if let Some(at) = at {
            return set.get_mut(at);
        }
        // The one that was asked for the longest time ago.
        let free =
            set.iter_mut().filter(|place| !place.is_hot(now_ms)).min_by_key(|place| place.window_ms)?;
        *free = Self { file: Some(file.clone()), window_ms: now_ms, ..Self::default() };
        Some(free)
    }

    fn count(&mut self, now_ms: u64) {
        let age_ms = now_ms.saturating_sub(self.window_ms);
        if age_ms >= WINDOW_MS {
            self.asked_before = if age_ms < 2 * WINDOW_MS { self.asked } else { 0 };
            self.asked = 0;
            self.window_ms = now_ms;
        }
        self.asked = self.asked.saturating_add(1);
    }

    fn is_hot(&self, now_ms: u64) -> bool {
        let age_ms = now_ms.saturating_sub(self.window_ms);
        age_ms < 2 * WINDOW_MS && (self.asked >= HOT_REQUESTS || self.asked_before >= HOT_REQUESTS)
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test that cannot make its own sample has failed"
    )]

    use super::*;

    fn file(name: &str) -> FileName {
        name.parse().unwrap()
    }

    fn heat(hot: &HotFiles, name: &str, now_ms: u64) -> Ticket {
        for _ in 1..HOT_REQUESTS {
            assert!(matches!(hot.ask(&file(name), now_ms), Asked::Nothing(None)));
        }
        match hot.ask(&file(name), now_ms) {
            Asked::Nothing(Some(ticket)) => ticket,
            _ => panic!("it is hot, and nothing is kept"),
        }
    }

    fn is_kept(hot: &HotFiles, name: &str, now_ms: u64) -> bool {
        matches!(hot.ask(&file(name), now_ms), Asked::Kept(_))
    }

    fn keep_hot(hot: &HotFiles, name: &str, now_ms: u64) {
        for _ in 0..HOT_REQUESTS {
            assert!(is_kept(hot, name, now_ms));
        }
    }

    #[test]
    fn files_that_share_a_set_are_hot_together_and_give_way_when_they_are_not() {
        let hot = HotFiles::with_sets(1);
        let names = ["a", "b", "c", "d"];
        assert_eq!(names.len(), WAYS);
        for name in names {
            let ticket = heat(&hot, name, 1_000);
            hot.keep(&file(name), ticket, Ok(HotPeers::default()));
        }
        assert!(names.iter().all(|name| is_kept(&hot, name, 1_001)));
        for _ in 0..2 * HOT_REQUESTS {
            assert!(matches!(hot.ask(&file("e"), 1_002), Asked::Nothing(None)), "there is no place");
        }
        drop(heat(&hot, "e", 1_300));
        assert!(!is_kept(&hot, "a", 1_301), "nobody asked for it any more");
    }

    #[test]
    fn only_a_file_that_is_asked_for_often_is_kept_and_not_for_long() {
        let hot = HotFiles::new();
        let ticket = heat(&hot, "a", 1_000);
        hot.keep(&file("a"), ticket, Ok(HotPeers::default()));
        assert!(is_kept(&hot, "a", 1_050));
        for now_ms in [1_100, 1_200, 1_299] {
            keep_hot(&hot, "a", now_ms);
        }
        let Asked::Nothing(Some(renewal)) = hot.ask(&file("a"), 1_300) else { panic!("one renews it") };
        keep_hot(&hot, "a", 1_301);
        assert!(is_kept(&hot, "a", 1_399), "and the others go on");
        assert!(!is_kept(&hot, "a", 1_400));
        hot.keep(&file("a"), renewal, Ok(HotPeers::default()));
        assert!(is_kept(&hot, "a", 1_401) && !is_kept(&hot, "a", 1_700));
    }

    #[test]
    fn one_reads_for_all_who_ask_meanwhile() {
        let hot = HotFiles::new();
        let ticket = heat(&hot, "a", 1_000);
        let Asked::Wait(news) = hot.ask(&file("a"), 1_001) else { panic!("another one reads") };
        assert!(news.borrow().is_none());
        hot.keep(&file("a"), ticket, Ok(HotPeers::new(Vec::new(), 7)));
        assert!(matches!(&*news.borrow(), Some(Ok(peers)) if peers.complete_to == 7));

        let ticket = heat(&hot, "b", 1_000);
        drop(ticket);
        let Asked::Nothing(Some(late)) = hot.ask(&file("b"), 1_001) else { panic!("the other one failed") };
        for now_ms in 1_002..=1_250 {
            assert!(matches!(hot.ask(&file("b"), now_ms), Asked::Wait(_)));
        }
        assert!(matches!(hot.ask(&file("b"), 1_251), Asked::Nothing(Some(_))), "it takes too long");
        hot.keep(&file("b"), late, Ok(HotPeers::default()));
        hot.changed(&file("b"));
        let Asked::Nothing(Some(_reading)) = hot.ask(&file("b"), 1_252) else { panic!("it was changed") };
        hot.changed(&file("b"));
        assert!(
            matches!(hot.ask(&file("b"), 1_253), Asked::Nothing(Some(_))),
            "nobody is told what was read before the change that it knows of"
        );
    }

    #[test]
    fn a_change_ends_what_is_kept_and_what_is_being_read() {
        let hot = HotFiles::new();
        let ticket = heat(&hot, "a", 1_000);
        hot.changed(&file("a"));
        hot.keep(&file("a"), ticket, Ok(HotPeers::default()));
        assert!(!is_kept(&hot, "a", 1_001));
        let Asked::Nothing(Some(ticket)) = hot.ask(&file("a"), 1_002) else { panic!("nothing is kept") };
        hot.keep(&file("a"), ticket, Ok(HotPeers::default()));
        assert!(is_kept(&hot, "a", 1_003));
        hot.all_changed();
        assert!(!is_kept(&hot, "a", 1_004));
    }
}
