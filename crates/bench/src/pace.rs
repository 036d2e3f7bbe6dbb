//! When a client may send its next request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::figures;

/// The pacer looks at the clock this often at most. Latencies are counted from the time that a request was
/// due, so this is also how much the pacer itself can add to one.
const SHORTEST_TICK: Duration = Duration::from_micros(50);

/// What is due at the very end may be sent so much after it.
const LATE: Duration = Duration::from_millis(100);

/// The rule of a load.
#[derive(Debug)]
pub(crate) enum Pace {
    /// Closed loop: at once when the answer before is in. Without an end it runs until the workload is done.
    Closed { end: Option<Instant> },
    /// Open loop: at fixed times, whatever the answers do.
    Open(Schedule),
}

impl Pace {
    /// Waits for the turn of the next request. Its latency counts from the instant returned; `None` is the end.
    pub(crate) async fn turn(&self) -> Option<Instant> {
        match self {
            Self::Closed { end } => {
                let now = Instant::now();
                end.is_none_or(|end| now < end).then_some(now)
            }
            Self::Open(schedule) => schedule.turn().await,
        }
    }

    /// Starts the clock of an open loop over so many clients, on a thread that ends with the schedule.
    pub(crate) fn start(self: &Arc<Self>, clients: usize) {
        if let Self::Open(_) = **self {
            let pace = Arc::clone(self);
            thread::spawn(move || {
                if let Self::Open(schedule) = &*pace {
                    schedule.release(clients);
                }
            });
        }
    }

    /// Requests that came due and that nobody took.
    pub(crate) fn unsent(&self) -> u64 {
        match self {
            Self::Closed { .. } => 0,
            Self::Open(schedule) => schedule.unsent(),
        }
    }
}

/// Send times at a constant rate. A time that passes while every client is busy stays due, and the wait
/// for a client is part of that request's latency. (Counting from the late sending instead would hide
/// the very delays that matter: coordinated omission.)
#[derive(Debug)]
pub(crate) struct Schedule {
    start: Instant,
    rate: f64,
    total: u64,
    end: Instant,
    due: Semaphore,
    taken: AtomicU64,
}

impl Schedule {
    /// `rate` times a second from now on, for `length`.
    pub(crate) fn new(rate: f64, length: Duration) -> Self {
        let start = Instant::now();
        let total = whole(rate * length.as_secs_f64());
        Self { start, rate, total, end: start + length, due: Semaphore::new(0), taken: AtomicU64::new(0) }
    }

    async fn turn(&self) -> Option<Instant> {
        self.due.acquire().await.ok()?.forget();
        if Instant::now() >= self.end + LATE {
            return None;
        }
        let slot = self.taken.fetch_add(1, Ordering::Relaxed);
        (slot < self.total).then(|| self.start + Duration::from_secs_f64(figures::float(slot) / self.rate))
    }

    fn unsent(&self) -> u64 {
        self.total.saturating_sub(self.taken.load(Ordering::Relaxed))
    }

    /// How many send times have passed `elapsed` after the start.
    fn passed(&self, elapsed: Duration) -> u64 {
        // The first one is at the start itself.
        (whole(elapsed.as_secs_f64() * self.rate) + 1).min(self.total)
    }

    /// Releases send times as they come due, and at the end whoever of `clients` still waits for one. Blocks
    /// its thread: timers of the runtime are good to a millisecond, which is longer than most answers take.
    fn release(&self, clients: usize) {
        let tick = Duration::from_secs_f64(1.0 / self.rate).max(SHORTEST_TICK);
        let mut released = 0;
        while Instant::now() < self.end {
            let passed = self.passed(self.start.elapsed());
            self.due.add_permits(usize::try_from(passed - released).unwrap_or_default());
            released = passed;
            thread::sleep(tick);
        }
        let rest = usize::try_from(self.total - released).unwrap_or_default();
        self.due.add_permits(rest + clients);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates and times are positive; `as` saturates"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;

    #[test]
    fn send_times_pass_at_the_rate_and_no_more_than_there_are() {
        let schedule = Schedule::new(1000.0, Duration::from_secs(2));
        assert_eq!(schedule.total, 2000);
        assert_eq!(schedule.passed(Duration::ZERO), 1);
        assert_eq!(schedule.passed(Duration::from_micros(10_500)), 11);
        assert_eq!(schedule.passed(Duration::from_mins(1)), 2000);
    }

    #[tokio::test]
    async fn a_request_is_due_at_its_place_in_the_schedule_however_late_it_is_sent() {
        let schedule = Schedule::new(100.0, Duration::from_mins(1));
        schedule.due.add_permits(3);
        let start = schedule.start;
        let times =
            [schedule.turn().await.unwrap(), schedule.turn().await.unwrap(), schedule.turn().await.unwrap()];
        assert_eq!(times, [start, start + Duration::from_millis(10), start + Duration::from_millis(20)]);
    }

    #[tokio::test]
    async fn a_schedule_nobody_can_keep_ends_in_time_and_counts_what_was_not_sent() {
        let schedule = Schedule::new(1000.0, Duration::from_millis(50));
        schedule.release(1);
        let over = Instant::now() + LATE;
        let mut sent = 0;
        while schedule.turn().await.is_some() {
            sent += 1;
            // A server that answers after the end of it all.
            while Instant::now() < over {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!((sent, schedule.unsent()), (1, 49));
    }

    #[tokio::test]
    async fn a_schedule_that_is_kept_leaves_nothing_unsent() {
        let schedule = Arc::new(Pace::Open(Schedule::new(3000.0, Duration::from_millis(100))));
        schedule.start(1);
        let mut sent = 0;
        while schedule.turn().await.is_some() {
            sent += 1;
        }
        assert_eq!((sent, schedule.unsent()), (300, 0));
    }

    #[tokio::test]
    async fn a_closed_loop_has_a_turn_at_once_until_its_end() {
        let open_end = Pace::Closed { end: None };
        assert!(open_end.turn().await.is_some());
        let over = Pace::Closed { end: Some(Instant::now()) };
        assert!(over.turn().await.is_none());
    }
}
