//! What the clients of a load have seen, counted together.

use std::fmt::{Display, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::figures::{float, milliseconds, per_second, thousands};
use crate::latency::{Latencies, Quantiles};

/// Counters and latencies of one load. The clients of a load run on one thread, so its lock is always free.
#[derive(Debug)]
pub(crate) struct SharedTally(Mutex<Tally>);

#[derive(Debug)]
struct Tally {
    due: u64,
    right: u64,
    wrong: u64,
    refused: u64,
    broken: u64,
    first_error: Option<String>,
    latencies: Latencies,
    started: Instant,
    last_answer: Instant,
}

/// The result of a load.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    /// Answers that the requests sent should have got.
    pub due: u64,
    /// Right answers.
    pub right: u64,
    /// Answers that are not the one due.
    pub wrong: u64,
    /// Requests that the server was too busy for, and that were sent again later.
    pub refused: u64,
    /// Sockets that could not be opened, or that broke.
    pub broken: u64,
    /// Answers that did not come before the load gave up on them.
    pub unanswered: u64,
    /// Open loop only: requests that came due and were never sent, because every client was busy.
    pub unsent: u64,
    /// From the start to the last answer.
    pub seconds: f64,
    /// Right answers a second.
    pub per_second: f64,
    /// Latencies of all answers.
    pub latency: Quantiles,
    /// What the first error was.
    pub first_error: Option<String>,
}

impl Outcome {
    /// All that went wrong. An answer that never came counts once, also where its socket broke.
    pub(crate) fn errors(&self) -> u64 {
        self.wrong + self.broken.max(self.unanswered)
    }

    /// The result for a person. `rate` is what an open loop was asked for.
    pub(crate) fn describe(&self, rate: Option<f64>) -> String {
        let Self { right, wrong, broken, unanswered, unsent, latency, .. } = self;
        let mut text = format!(
            "answers        {} right in {:.1} s\nanswers/s      {}\n\
             latency        p50 {} ms   p99 {} ms   p99.9 {} ms   max {} ms\n\
             errors         {wrong} wrong answers, {unanswered} without answer, {broken} broken sockets\n",
            thousands(float(*right)),
            self.seconds,
            thousands(self.per_second),
            milliseconds(latency.p50_us),
            milliseconds(latency.p99_us),
            milliseconds(latency.p999_us),
            milliseconds(latency.max_us),
        );
        // Writing to a string cannot fail.
        if let Some(rate) = rate {
            let held = if *unsent == 0 { "held" } else { "NOT held, the latencies are of what was sent" };
            _ = writeln!(text, "rate           {} asked, {unsent} never sent: {held}", thousands(rate));
        }
        if let Some(error) = &self.first_error {
            _ = writeln!(text, "first error    {error}");
        }
        text
    }
}

impl SharedTally {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let now = Instant::now();
        Ok(Self(Mutex::new(Tally {
            due: 0,
            right: 0,
            wrong: 0,
            refused: 0,
            broken: 0,
            first_error: None,
            latencies: Latencies::new()?,
            started: now,
            last_answer: now,
        })))
    }

    /// Expects so many answers more.
    pub(crate) fn expect(&self, answers: usize) {
        self.lock().due += u64::try_from(answers).unwrap_or_default();
    }

    /// Counts an answer to a request that was sent, or due to be sent, at `since`.
    pub(crate) fn answered(&self, since: Instant, check: Result<(), impl Display>) {
        let now = Instant::now();
        let mut tally = self.lock();
        tally.latencies.record(now.saturating_duration_since(since));
        tally.last_answer = now;
        match check {
            Ok(()) => tally.right += 1,
            Err(wrong) => {
                tally.wrong += 1;
                tally.first_error.get_or_insert_with(|| wrong.to_string());
            }
        }
    }

    /// Counts a request that the server was too busy for and that will come again.
    pub(crate) fn refused(&self) {
        let mut tally = self.lock();
        tally.refused += 1;
        tally.last_answer = Instant::now();
    }

    /// Counts a socket that is of no more use.
    pub(crate) fn broken(&self, cause: &impl Display) {
        let mut tally = self.lock();
        tally.broken += 1;
        tally.first_error.get_or_insert_with(|| cause.to_string());
    }

    /// Notes why answers that were expected will not come. They count as unanswered.
    pub(crate) fn lost(&self, cause: &str) {
        self.lock().first_error.get_or_insert_with(|| cause.to_owned());
    }

    /// Answers so far, right or wrong.
    pub(crate) fn answers(&self) -> u64 {
        let tally = self.lock();
        tally.right + tally.wrong
    }

    /// How long ago the last answer came, or the load started where none came yet.
    pub(crate) fn silence(&self) -> Duration {
        self.lock().last_answer.elapsed()
    }

    pub(crate) fn outcome(&self, unsent: u64) -> Outcome {
        let tally = self.lock();
        let elapsed = tally.last_answer.duration_since(tally.started);
        Outcome {
            due: tally.due,
            right: tally.right,
            wrong: tally.wrong,
            refused: tally.refused,
            broken: tally.broken,
            unanswered: tally.due - tally.right - tally.wrong - tally.refused,
            unsent,
            seconds: elapsed.as_secs_f64(),
            per_second: per_second(tally.right, elapsed),
            latency: tally.latencies.quantiles(),
            first_error: tally.first_error.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;

    #[test]
    fn what_was_due_and_did_not_come_is_unanswered() {
        let tally = SharedTally::new().unwrap();
        tally.expect(3);
        tally.answered(Instant::now(), Ok::<(), &str>(()));
        tally.answered(Instant::now(), Err("wrong"));
        let outcome = tally.outcome(0);
        assert_eq!((outcome.right, outcome.wrong, outcome.unanswered, outcome.errors()), (1, 1, 1, 2));
        assert_eq!(outcome.first_error.as_deref(), Some("wrong"));
    }

    #[test]
    fn an_answer_lost_with_its_socket_is_one_error() {
        let tally = SharedTally::new().unwrap();
        tally.expect(1);
        tally.broken(&"reset");
        assert_eq!(tally.outcome(0).errors(), 1);
    }
}
