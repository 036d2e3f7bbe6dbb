use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

/// What time it is in Redis, as far as is known without asking.
pub(super) struct RedisClock {
    started: Instant,
    /// What to add to the time since `started` to be at the time of Redis or at most one round trip ahead, in ms.
    ahead_ms: AtomicI64,
}

impl RedisClock {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), ahead_ms: AtomicI64::new(0) }
    }

    /// Since this process opened the link, in ms.
    pub(super) fn local_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The time of Redis in ms since 1970, or a moment later: what lives then lives now.
    pub(super) fn redis_ms(&self) -> u64 {
        self.local_ms().saturating_add_signed(self.ahead_ms.load(Ordering::Relaxed))
    }

    /// Redis said that it was `redis_ms` when it had been asked at `asked_ms` of ours.
    pub(super) fn set(&self, asked_ms: u64, redis_ms: u64) {
        let ahead_ms = i64::try_from(redis_ms.saturating_sub(asked_ms)).unwrap_or(0);
        self.ahead_ms.store(ahead_ms, Ordering::Relaxed);
    }
}
