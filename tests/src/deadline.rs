//! Waiting for a condition, never for a time.

use std::thread;
use std::time::{Duration, Instant};

/// The longest that any one condition may take on a loaded machine before the test is failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(10);

/// Asks `probe` until it gives a value. Panics with `what` when `limit` has passed.
pub fn eventually<T>(limit: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(INTERVAL);
    }
}

/// Asks `holds` again and again for the whole of `period`. Panics with `what` the first time that it is false.
pub fn throughout(period: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while started.elapsed() < period {
        assert!(holds(), "after {:?} no longer true: {what}", started.elapsed());
        thread::sleep(INTERVAL);
    }
}
