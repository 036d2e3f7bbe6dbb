//! How often a caller may ask.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use peer_core::{Network, Peer};

/// What a caller may ask for at once, as a multiple of what it may a second: a client asks twice for each file of a
/// site, all at the same moment.
const BURST_FACTOR: u32 = 10;
/// Callers that are told apart, in callers. With more, whole organisations share a rate until some have gone.
const CALLERS_MAX: usize = 1_000_000;

/// Requests a second and caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Over time.
    pub(crate) per_sec: NonZeroU32,
    /// At once.
    pub(crate) burst: NonZeroU32,
}

impl Rate {
    /// `None` for 0, which is without limit.
    pub(crate) fn per_sec(per_sec: u64) -> Option<Self> {
        let per_sec = NonZeroU32::new(u32::try_from(per_sec).unwrap_or(u32::MAX))?;
        let burst = per_sec.saturating_mul(const { NonZeroU32::new(BURST_FACTOR).unwrap() });
        Some(Self { per_sec, burst })
    }
}

/// A caller asked too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooOften {
    /// What is allowed.
    pub(crate) rate: Rate,
    /// When the next request would be served, in whole seconds from now, at least 1.
    pub(crate) retry_secs: u64,
}

/// Who asked how often lately: a token bucket a caller, by the generic cell rate algorithm.
pub(crate) struct Callers {
    rate: Rate,
    buckets: DefaultKeyedRateLimiter<Network>,
    clock: DefaultClock,
    crowded: AtomicBool,
}

impl Callers {
    pub(crate) fn new(rate: Rate) -> Self {
        let quota = Quota::per_second(rate.per_sec).allow_burst(rate.burst);
        Self {
            rate,
            buckets: RateLimiter::keyed(quota),
            clock: DefaultClock::default(),
            crowded: AtomicBool::new(false),
        }
    }

    /// Counts a request of `caller`.
    pub(crate) fn admit(&self, caller: Peer) -> Result<(), TooOften> {
        let network = if self.crowded.load(Ordering::Relaxed) {
            Network::of_organisation(caller)
        } else {
            Network::of_customer(caller)
        };
        self.buckets.check_key(&network).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            let retry_secs = wait.saturating_add(Duration::from_millis(999)).as_secs().max(1);
            TooOften { rate: self.rate, retry_secs }
        })
    }

    /// Forgets who has nothing to pay back any more. To be called about once a second; between two calls no more
    /// callers can come than there are requests.
    pub(crate) fn forget_idle(&self) {
        self.buckets.retain_recent();
        self.buckets.shrink_to_fit();
        self.crowded.store(self.buckets.len() >= CALLERS_MAX, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    fn peer(text: &str) -> Peer {
        text.parse().unwrap()
    }

    #[test]
    fn a_caller_has_its_burst_and_then_waits_while_others_are_served() {
        let callers = Callers::new(Rate::per_sec(1).unwrap());
        for _ in 0..10 {
            callers.admit(peer("2001:db8::1")).unwrap();
        }
        // The same customer, whatever address of his /64 he takes.
        let refused = callers.admit(peer("2001:db8::ffff:2")).unwrap_err();
        assert_eq!((refused.rate.per_sec.get(), refused.rate.burst.get(), refused.retry_secs), (1, 10, 1));
        callers.admit(peer("2001:db8:0:1::1")).unwrap();
        callers.admit(peer("203.0.113.5")).unwrap();
    }

    #[test]
    fn those_who_paid_back_are_forgotten() {
        let callers = Callers::new(Rate::per_sec(1_000_000).unwrap());
        for last in 0..=255 {
            callers.admit(Peer::new([203, 0, 113, last].into()).unwrap()).unwrap();
        }
        let started = std::time::Instant::now();
        while !callers.buckets.is_empty() {
            assert!(started.elapsed() < Duration::from_secs(20));
            callers.forget_idle();
        }
    }

    #[test]
    fn no_rate_is_no_limit() {
        assert_eq!(Rate::per_sec(0), None);
        assert_eq!(Rate::per_sec(200).unwrap().burst.get(), 2_000);
    }
}
