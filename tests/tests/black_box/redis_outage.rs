//! A Redis that is gone is an answer, and its return heals all by itself.

use std::time::{Duration, Instant};

use black_box::binary::Binary;
use black_box::deadline::eventually;
use black_box::http::{Answer, Connection, Request};
use black_box::metrics::Admin;
use black_box::process::Launch;
use black_box::redis::RedisServer;
use black_box::tracker::{CALLER, Tracker};
use black_box::udp::UdpPeer;
use serde_json::json;

pub(crate) const ONE: &str = "203.0.113.5";

/// The longest that a caller waits for the news that Redis is gone.
pub(crate) const VERDICT_LIMIT: Duration = Duration::from_millis(300);

/// The longest from the return of Redis to the first good answer: one second of the promise, and as much again for a
/// loaded machine.
pub(crate) const HEALING_LIMIT: Duration = Duration::from_secs(2);

/// Every request that needs the store.
pub(crate) fn requests() -> [Request; 5] {
    [
        Request::get("/peers?filename=a.html"),
        Request::post("/add?filename=b.html&hash=abc").header(CALLER, ONE),
        Request::post("/remove?filename=b.html").header(CALLER, ONE),
        Request::post("/peer_offline?ip=192.0.2.9").header(CALLER, "192.0.2.9"),
        Request::get("/all_trackers"),
    ]
}

/// Panics unless the answer is a 503 as it has to be.
#[track_caller]
pub(crate) fn assert_unavailable(answer: &Answer, took: Duration) {
    let detail = answer.assert_refused(503);
    assert!(detail.is_string(), "{detail}");
    let after = answer.header("retry-after").and_then(|text| text.parse::<u64>().ok());
    assert!(after.is_some_and(|seconds| (1..=60).contains(&seconds)), "Retry-After: {after:?}");
    assert!(took <= VERDICT_LIMIT, "the answer took {took:?}");
}

/// Looks at every endpoint while Redis is away, several times: the first request after the loss, which still holds a
/// connection, must be as quick as those behind it.
#[track_caller]
pub(crate) fn assert_red(tracker: &Tracker) {
    for _ in 0..3 {
        for request in requests() {
            let mut connection = Connection::open(tracker.address()).unwrap();
            let asked = Instant::now();
            let answer = connection.exchange(&request).unwrap();
            assert_unavailable(&answer, asked.elapsed());
        }
    }
    let asked = Instant::now();
    assert_eq!(tracker.admin().ready(), 503);
    assert!(asked.elapsed() <= VERDICT_LIMIT, "/ready took {:?}", asked.elapsed());
    assert_eq!(tracker.admin().live(), 200);
    tracker.get("/").assert_is(200, &json!({"status": "ok"}));
    tracker.get("/peers").assert_refused(422);
}

/// Waits until reads, writes and /ready are good again.
#[track_caller]
pub(crate) fn assert_heals(tracker: &Tracker, since: Instant) {
    let left = || HEALING_LIMIT.saturating_sub(since.elapsed());
    let good = |request: &Request| (tracker.send(request).status == 200).then_some(());
    eventually(left(), "writes succeed", || {
        good(&Request::post("/add?filename=h.html&hash=abc").header(CALLER, ONE))
    });
    eventually(left(), "reads succeed", || good(&Request::get("/peers?filename=h.html")));
    eventually(left(), "/ready is green", || (tracker.admin().ready() == 200).then_some(()));
    assert_eq!(tracker.peers("h.html"), [ONE]);
}

#[test]
fn a_tracker_starts_without_redis_and_heals_when_it_comes() {
    let mut redis = RedisServer::reserved();
    let process = Launch::new(Binary::Tracker).set("REDIS_URL", &redis.url()).start();
    let mut tracker = Tracker::over(process, None);
    assert_red(&tracker);
    redis.start();
    assert_heals(&tracker, Instant::now());
    tracker.process.assert_sound();
}

#[test]
fn a_frozen_redis_is_told_within_300_ms_and_heals_when_it_thaws() {
    let mut tracker = Tracker::on_redis(&Launch::new(Binary::Tracker));
    tracker.add(ONE, "a.html", "abc");
    let redis = tracker.redis.as_ref().unwrap();
    for _ in 0..2 {
        redis.stop();
        assert_red(&tracker);
        redis.cont();
        assert_heals(&tracker, Instant::now());
        assert_eq!(tracker.peers("a.html"), [ONE]);
    }
    tracker.process.assert_sound();
}

#[test]
fn many_callers_at_once_are_told_of_a_frozen_redis_as_quickly() {
    let tracker = Tracker::on_redis(&Launch::new(Binary::Tracker));
    tracker.add(ONE, "a.html", "abc");
    tracker.redis.as_ref().unwrap().stop();
    let address = tracker.address();
    let ask = move || {
        let mut connection = Connection::open(address).unwrap();
        for request in requests() {
            let asked = Instant::now();
            let answer = connection.exchange(&request).unwrap();
            assert_unavailable(&answer, asked.elapsed());
        }
    };
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..64).map(|_| scope.spawn(ask)).collect();
        for caller in callers {
            caller.join().unwrap();
        }
    });
}

#[test]
fn a_killed_redis_is_told_at_once_and_heals_when_it_is_back() {
    let mut redis = RedisServer::reserved_durable();
    redis.start();
    let mut tracker = Tracker::sharing(&redis);
    tracker.add(ONE, "a.html", "abc");
    for _ in 0..2 {
        redis.kill9();
        assert_red(&tracker);
        redis.start();
        assert_heals(&tracker, Instant::now());
        // The append-only file had it in the kernel's hands before the answer.
        assert_eq!(tracker.peers("a.html"), [ONE]);
    }
    tracker.process.assert_sound();
}

#[test]
fn a_redis_that_comes_back_empty_takes_new_peers() {
    let mut tracker = Tracker::on_redis(&Launch::new(Binary::Tracker));
    tracker.add(ONE, "a.html", "abc");
    let redis = tracker.redis.as_mut().unwrap();
    redis.kill9();
    redis.start();
    assert_heals(&tracker, Instant::now());
    assert!(tracker.peers("a.html").is_empty());
    tracker.add(ONE, "a.html", "abc");
    assert_eq!(tracker.peers("a.html"), [ONE]);
    tracker.process.assert_sound();
}

#[test]
fn scripts_and_connections_that_redis_has_forgotten_are_no_failure() {
    let tracker = Tracker::on_redis(&Launch::new(Binary::Tracker));
    tracker.add(ONE, "a.html", "abc");
    let redis = tracker.redis.as_ref().unwrap();
    redis.command(&["SCRIPT", "FLUSH"]);
    tracker.add(ONE, "b.html", "abc");
    assert_eq!(tracker.peers("b.html"), [ONE]);
    redis.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    assert_heals(&tracker, Instant::now());
}

#[test]
fn a_matchmaker_knows_no_redis() {
    let mut redis = RedisServer::start_new();
    let process = Launch::new(Binary::Matchmaker).set("REDIS_URL", &redis.url()).start();
    let peer = UdpPeer::at("127.0.0.5", process.address("matchmaker"));
    let admin = Admin::at(process.address("matchmaker-admin"));
    peer.register();
    redis.stop();
    peer.register();
    assert_eq!(admin.ready(), 200);
    redis.kill9();
    peer.register();
    assert_eq!(admin.ready(), 200);
}

#[test]
fn the_matchmaker_of_a_standalone_serves_on_without_redis() {
    let redis = RedisServer::start_new();
    let process = Launch::new(Binary::Standalone).set("REDIS_URL", &redis.url()).start();
    let peer = UdpPeer::at("127.0.0.5", process.address("matchmaker"));
    let tracker = Tracker::over(process, Some(redis)).when_ready();
    tracker.add(ONE, "a.html", "abc");
    tracker.redis.as_ref().unwrap().stop();
    assert_red(&tracker);
    assert_eq!(peer.register(), peer.address());
}
