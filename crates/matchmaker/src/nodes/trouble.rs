//! When a part of Redis was away, while the rest of it went on: what it may not know, and when all is to be said again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// How long after the end of an outage a peer that nobody hears may be there all the same: its node connects again and says again
/// whom it hears.
pub(super) const GRACE: Duration = Duration::from_secs(3);
/// After so long without a replica in its place, what a server had is not about to come back.
const TROUBLE_MAX: Duration = Duration::from_secs(30);
/// From one time that all is said again to the next.
const AGAIN: Duration = Duration::from_secs(2);

/// What a session has met.
#[derive(Default)]
pub(super) struct Trouble {
    /// A command had no answer since the last look.
    is_met: AtomicBool,
    state: Mutex<State>,
    is_over: Notify,
}

#[derive(Default)]
struct State {
    since: Option<Instant>,
    said_again: Option<Instant>,
}

impl Trouble {
    /// A command was not done, since the server that it is for is away.
    pub(super) fn met(&self) {
        self.is_met.store(true, Ordering::Relaxed);
    }

    /// To be called several times a second. Gives how long from now it is to be doubted that a peer is nowhere.
    pub(super) fn look(&self, is_whole: bool, now: Instant) -> Option<Duration> {
        let is_met = self.is_met.swap(false, Ordering::Relaxed);
        let mut state = self.state.lock();
        if is_met || !is_whole {
            let since = *state.since.get_or_insert(now);
            return (now - since < TROUBLE_MAX).then_some(GRACE);
        }
        state.since?;
        if state.said_again.is_none_or(|said| now - said >= AGAIN) {
            (state.since, state.said_again) = (None, Some(now));
            self.is_over.notify_one();
        }
        Some(GRACE)
    }

    /// Waits until it is over: what was not written is to be said again.
    pub(super) async fn is_over(&self) {
        self.is_over.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn is_over(trouble: &Trouble) -> bool {
        trouble.is_over().now_or_never().is_some()
    }

    #[test]
    fn all_is_said_again_once_after_each_outage() {
        let (trouble, now) = (Trouble::default(), Instant::now());
        assert_eq!(trouble.look(true, now), None);
        for _ in 0..5 {
            assert_eq!(trouble.look(false, now), Some(GRACE));
            assert!(!is_over(&trouble));
        }
        assert_eq!(trouble.look(true, now), Some(GRACE));
        assert!(is_over(&trouble) && !is_over(&trouble));
        assert_eq!(trouble.look(true, now), None);
        // The next one follows at once.
        trouble.met();
        assert_eq!(trouble.look(true, now), Some(GRACE));
        assert_eq!(trouble.look(true, now), Some(GRACE));
        assert!(!is_over(&trouble), "not all the time");
        trouble.look(true, now + AGAIN);
        assert!(is_over(&trouble));
    }

    #[test]
    fn a_server_that_stays_away_is_no_reason_to_doubt_for_ever() {
        let (trouble, now) = (Trouble::default(), Instant::now());
        trouble.look(false, now);
        assert_eq!(trouble.look(false, now + TROUBLE_MAX), None);
        assert_eq!(trouble.look(true, now + TROUBLE_MAX), Some(GRACE), "it is back");
    }
}
