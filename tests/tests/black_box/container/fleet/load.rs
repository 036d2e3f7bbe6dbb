//! Callers that publish and look up through the proxy, without a pause until they are told to end.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use black_box::deadline::eventually;
use black_box::http::{Connection, Request};
use serde_json::json;

use super::LIMIT;

const CALLERS: usize = 4;
/// From one request of a caller to the next. All of them are one address, which may make 200 a second.
const PACE: Duration = Duration::from_millis(40);

#[derive(Default)]
struct Seen {
    count: AtomicU32,
    ends: AtomicBool,
    /// Names whose publish was acknowledged, and when it was asked for.
    acknowledged: Mutex<Vec<(String, Instant)>>,
    failures: Mutex<Vec<(Instant, String)>>,
}

/// The load, until it is dropped or stopped.
pub(super) struct Load {
    seen: Arc<Seen>,
    callers: Vec<JoinHandle<()>>,
}

impl Load {
    pub(super) fn start(proxy: SocketAddr) -> Self {
        let seen = Arc::new(Seen::default());
        let callers = (0..CALLERS)
            .map(|caller| {
                let seen = Arc::clone(&seen);
                thread::spawn(move || call_on(proxy, caller, &seen))
            })
            .collect();
        Self { seen, callers }
    }

    /// Waits until so many more requests were answered.
    pub(super) fn wait_for(&self, more: u32) {
        let until = self.count() + more;
        eventually(LIMIT, "requests are answered", || (self.count() >= until).then_some(()));
    }

    /// Answered requests.
    pub(super) fn count(&self) -> u32 {
        self.seen.count.load(Ordering::Relaxed)
    }

    pub(super) fn failures(&self) -> Vec<String> {
        self.seen.failures.lock().unwrap().iter().map(|(_, what)| what.clone()).collect()
    }

    /// From the first failure to the last, of those after the first `before`.
    pub(super) fn outage(&self, before: usize) -> Duration {
        let failures = self.seen.failures.lock().unwrap();
        let ends = failures.get(before).zip(failures.last());
        ends.map_or(Duration::ZERO, |((first, _), (last, _))| *last - *first)
    }

    /// Ends it, and gives what was acknowledged.
    pub(super) fn stop(mut self) -> Vec<(String, Instant)> {
        self.end();
        std::mem::take(&mut *self.seen.acknowledged.lock().unwrap())
    }

    fn end(&mut self) {
        self.seen.ends.store(true, Ordering::Relaxed);
        for caller in self.callers.drain(..) {
            let _ = caller.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

/// Publishes a file and looks it up, again and again, over one connection while that lasts.
fn call_on(proxy: SocketAddr, caller: usize, seen: &Seen) {
    let mut connection = None;
    for number in 0.. {
        if seen.ends.load(Ordering::Relaxed) {
            return;
        }
        let asked = Instant::now();
        let name = format!("load-{caller}-{number}");
        let publish = Request::post(format!("/add?filename={name}&hash=h"));
        if exchange(proxy, &mut connection, &publish, seen).is_some() {
            seen.acknowledged.lock().unwrap().push((name.clone(), asked));
            // A replica that became master may not have had it yet; what is kept is looked at in the end.
            exchange(proxy, &mut connection, &Request::get(format!("/peers?filename={name}")), seen);
        }
        thread::sleep(PACE);
    }
}

fn exchange(
    proxy: SocketAddr,
    connection: &mut Option<Connection>,
    request: &Request,
    seen: &Seen,
) -> Option<()> {
    let asked = Instant::now();
    let answer = match connection.take() {
        Some(open) => Ok(open),
        None => Connection::open(proxy),
    }
    .and_then(|mut open| open.exchange(request).map(|answer| (open, answer)));
    let what = match answer {
        Ok((open, answer)) if answer.status == 200 => {
            *connection = Some(open);
            seen.count.fetch_add(1, Ordering::Relaxed);
            assert!(answer.json().get("detail").is_none(), "{}", json!(answer.text()));
            return Some(());
        }
        Ok((_, answer)) => format!("{}: {}", answer.status, answer.text().trim()),
        Err(error) => error.to_string(),
    };
    let took = asked.elapsed();
    seen.failures.lock().unwrap().push((asked, format!("{what} after {took:?} for {request:?}")));
    None
}
