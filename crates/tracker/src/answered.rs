//! Requests as they are answered: how many of which route with which status, and how fast.
//!
//! Each thread counts for itself, so that none waits for a cache line that another one has; whoever asks adds them up.

mod exposed;
mod recent;
mod route;
mod times;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use registry::{DurationCounts, Durations};

pub(crate) use exposed::register;
pub(crate) use recent::{Answers, Totals};
pub(crate) use route::Route;

use route::{Class, ROUTES};
use times::BUCKETS;

/// The statuses that are told apart.
const STATUSES: [u16; 14] = [200, 304, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 500, 503];
/// With one place for all others.
const STATUS_PLACES: usize = STATUSES.len() + 1;
/// With one place for paths that are none.
const ROUTE_PLACES: usize = ROUTES.len() + 1;

/// What all threads answered.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    /// One for each thread that ever served and each socket that it served: as many as cores times sockets, and more only where
    /// such a thread had to be replaced.
    threads: Mutex<Vec<Arc<OfThread>>>,
}

/// What one thread answered at one socket. These only grow. In cache lines of its own, of which processors fetch two at a time.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct OfThread {
    requests: [[AtomicU64; STATUS_PLACES]; ROUTE_PLACES],
    /// By [`Class`], in its order.
    took: [Durations; Class::NAMES.len()],
    by_time: [AtomicU64; BUCKETS],
}

impl OfThread {
    fn new() -> Self {
        Self {
            requests: [const { [const { AtomicU64::new(0) }; _] }; _],
            took: Default::default(),
            by_time: [const { AtomicU64::new(0) }; _],
        }
    }

    /// One more answer, and how long it took to make.
    pub(crate) fn count(&self, route: Route, status: u16, took: Duration) {
        let place = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len());
        if let Some(count) = self.requests.get(route.place()).and_then(|statuses| statuses.get(place)) {
            count.fetch_add(1, Relaxed);
        }
        if let Some(durations) = self.took.get(route.class() as usize) {
            durations.add(took);
        }
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.by_time.get(times::bucket(us)) {
            count.fetch_add(1, Relaxed);
        }
    }
}

impl Answered {
    /// Counters for one more thread and socket.
    pub(crate) fn of_thread(&self) -> Arc<OfThread> {
        let counters = Arc::new(OfThread::new());
        self.threads.lock().push(Arc::clone(&counters));
        counters
    }

    /// Requests by route and status, as their places are.
    fn requests(&self) -> [[u64; STATUS_PLACES]; ROUTE_PLACES] {
        let mut sums = [[0; STATUS_PLACES]; ROUTE_PLACES];
        for thread in &*self.threads.lock() {
            for (sums, counts) in sums.iter_mut().zip(&thread.requests) {
                add(sums, counts);
            }
        }
        sums
    }

    fn by_time(&self) -> Vec<u64> {
        let mut sums = vec![0; BUCKETS];
        for thread in &*self.threads.lock() {
            add(&mut sums, &thread.by_time);
        }
        sums
    }

    fn took(&self, class: Class) -> DurationCounts {
        let threads = self.threads.lock();
        threads.iter().filter_map(|thread| thread.took.get(class as usize)).map(Durations::read).sum()
    }
}

fn add(sums: &mut [u64], counts: &[AtomicU64]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += count.load(Relaxed);
    }
}
