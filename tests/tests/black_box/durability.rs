//! What was acknowledged survives.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::http::{Connection, Request};
use black_box::process::Launch;
use black_box::redis::RedisServer;
use black_box::tracker::{CALLER, Tracker};
use nix::sys::signal::Signal;

const ONE: &str = "203.0.113.5";
const TWO: &str = "198.51.100.1";

/// How many adds the crash comes into the middle of.
const ADDS: usize = 10_000;

/// Connections that add at the same time.
const WRITERS: usize = 8;

/// Each writer's pace: all adds take 4 s, so that many were acknowledged well before the crash and many just before it.
const PACE: Duration = Duration::from_millis(3);

/// What may be lost: a write that was not yet a second old.
const UNSYNCED_LIMIT: Duration = Duration::from_secs(1);

fn name(number: usize) -> String {
    format!("site/{number:05}.html")
}

/// Adds every `WRITERS`-th name from `first` on, until the server is gone. Gives the times of the acknowledgements.
fn write(server: SocketAddr, first: usize, done: &AtomicUsize, over: &AtomicBool) -> Vec<(usize, Instant)> {
    let mut acknowledged = Vec::new();
    let mut connection = Connection::open(server).unwrap();
    let started = Instant::now();
    for (turn, number) in (first..ADDS).step_by(WRITERS).enumerate() {
        let due = PACE * u32::try_from(turn).unwrap();
        thread::sleep(due.saturating_sub(started.elapsed()));
        let target = format!("/add?filename={}&hash=abc", name(number));
        match connection.exchange(&Request::post(target).header(CALLER, ONE)) {
            Ok(answer) => assert_eq!(answer.status, 200, "{}", answer.text()),
            Err(error) => {
                assert!(over.load(Ordering::SeqCst), "before the crash: {error}");
                break;
            }
        }
        acknowledged.push((number, Instant::now()));
        done.fetch_add(1, Ordering::SeqCst);
    }
    acknowledged
}

#[test]
fn every_add_acknowledged_a_second_before_a_crash_is_there_afterwards() {
    // All are one caller, who asks more often than a peer has to.
    let mut tracker = Tracker::embedded(&Launch::new(Binary::Tracker).set("TRACKER_RATE_PER_SEC", "0"));
    let server = tracker.address();
    let (done, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (acknowledged, crashed_at) = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|first| {
                scope.spawn({
                    let (done, over) = (&done, &over);
                    move || write(server, first, done, over)
                })
            })
            .collect();
        eventually(PATIENCE, "most adds are acknowledged", || {
            (done.load(Ordering::SeqCst) > ADDS * 7 / 10).then_some(())
        });
        over.store(true, Ordering::SeqCst);
        let crashed_at = Instant::now();
        tracker.process.kill9();
        let all: Vec<(usize, Instant)> =
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        (all, crashed_at)
    });
    assert!(acknowledged.len() < ADDS, "the crash came too late");

    let again = Tracker::embedded(tracker.process.launch());
    let found: HashSet<String> = again.all_names(1_000).into_iter().collect();
    let promised = acknowledged.iter().filter(|(_, at)| *at + UNSYNCED_LIMIT <= crashed_at);
    let promised: Vec<String> = promised.map(|(number, _)| name(*number)).collect();
    assert!(promised.len() > ADDS / 4, "only {} of {} were due", promised.len(), acknowledged.len());
    let lost: Vec<&String> = promised.iter().filter(|name| !found.contains(*name)).collect();
    assert!(lost.is_empty(), "{} of {} are lost, such as {:?}", lost.len(), promised.len(), lost.first());
    for name in promised.iter().step_by(500) {
        assert_eq!(again.peers(name), [ONE]);
    }
    again.add(TWO, &name(0), "abc");
    assert_eq!(again.peers(&name(0)), [TWO, ONE]);
}

#[test]
fn a_restart_keeps_what_was_added_and_what_was_removed() {
    let mut tracker = Tracker::plain();
    for (peer, file) in [(ONE, "a.html"), (TWO, "a.html"), ("2001:db8::5", "ü/文.html"), (ONE, "gone.html")]
    {
        tracker.add(peer, file, "abc");
    }
    tracker.remove(ONE, "gone.html");
    tracker.remove(TWO, "a.html");
    for _ in 0..3 {
        tracker.process.signal(Signal::SIGTERM);
        assert_eq!(tracker.process.wait(PATIENCE).code(), Some(0));
        tracker = Tracker::embedded(tracker.process.launch());
        assert_eq!(tracker.peers("a.html"), [ONE]);
        assert_eq!(tracker.peers("ü/文.html"), ["2001:db8::5"]);
        assert_eq!(tracker.all_names(10), ["a.html", "ü/文.html"]);
    }
    tracker.peer_offline(ONE);
    tracker.process.signal(Signal::SIGTERM);
    tracker.process.wait(PATIENCE);
    let again = Tracker::embedded(tracker.process.launch());
    assert_eq!(again.all_names(10), ["ü/文.html"]);
}

#[test]
fn a_crash_right_after_the_end_of_writes_and_another_at_the_start_lose_nothing_older() {
    let mut tracker = Tracker::plain();
    tracker.add(ONE, "a.html", "abc");
    tracker.process.signal(Signal::SIGTERM);
    tracker.process.wait(PATIENCE);
    for _ in 0..5 {
        // Killed in the middle of its start, at a moment that is another each time.
        let mut starting = tracker.process.launch().spawn();
        starting.kill9();
    }
    let again = Tracker::embedded(tracker.process.launch());
    assert_eq!(again.peers("a.html"), [ONE]);
}

#[test]
fn a_tracker_over_redis_keeps_nothing_of_its_own() {
    let redis = RedisServer::start_new();
    let mut tracker = Tracker::sharing(&redis);
    tracker.add(ONE, "a.html", "abc");
    tracker.process.kill9();
    assert_eq!(Tracker::sharing(&redis).peers("a.html"), [ONE]);
}

#[test]
fn trackers_over_one_redis_see_the_same() {
    let redis = RedisServer::start_new();
    let (one, two) = (Tracker::sharing(&redis), Tracker::sharing(&redis));
    one.add(ONE, "a.html", "abc");
    assert_eq!(two.peers("a.html"), [ONE]);
    two.remove(ONE, "a.html");
    assert!(one.peers("a.html").is_empty());
}
