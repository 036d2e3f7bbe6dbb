//! Trackers and the way to Redis: slow, cut, stalled, refused, and a Redis that is full.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use black_box::binary::Binary;
use black_box::chaos::{ChaosProxy, Weather};
use black_box::deadline::eventually;
use black_box::http::{Connection, Request};
use black_box::process::Launch;
use black_box::redis::RedisServer;
use black_box::tracker::{CALLER, Tracker};
use serde_json::json;
use std::time::Duration;

use crate::redis_outage::{
    HEALING_LIMIT, ONE, VERDICT_LIMIT, assert_heals, assert_red, assert_unavailable, requests,
};

/// Callers at the same time.
const CALLERS: usize = 8;
/// How often connections are cut.
const CUTS: usize = 20;

fn behind(proxy: &ChaosProxy) -> Tracker {
    let launch = Launch::new(Binary::Tracker).set("REDIS_URL", &proxy.redis_url());
    let process = launch.set("TRACKER_RATE_PER_SEC", "0").start();
    Tracker::over(process, None).when_ready()
}

#[test]
fn a_slow_redis_is_waited_for() {
    let redis = RedisServer::start_new();
    let proxy = ChaosProxy::before(redis.address());
    let mut tracker = behind(&proxy);
    proxy.set(Weather::Slow(Duration::from_millis(20)));
    for number in 0..5 {
        tracker.add(ONE, &format!("{number}.html"), "abc");
        assert_eq!(tracker.peers(&format!("{number}.html")), [ONE]);
    }
    assert_eq!(tracker.admin().ready(), 200);
    tracker.process.assert_sound();
}

#[test]
fn a_way_to_redis_that_is_too_slow_stalled_or_refused_is_told_and_heals() {
    let redis = RedisServer::start_new();
    let proxy = ChaosProxy::before(redis.address());
    let mut tracker = behind(&proxy);
    tracker.add(ONE, "a.html", "abc");
    for weather in [
        Weather::Slow(Duration::from_millis(300)),
        Weather::Trickle(1, Duration::from_millis(50)),
        Weather::Stalled,
        Weather::Refusing,
    ] {
        proxy.set(weather);
        assert_red(&tracker);
        proxy.set(Weather::Fair);
        assert_heals(&tracker, Instant::now());
        assert_eq!(tracker.peers("a.html"), [ONE], "after {weather:?}");
    }
    tracker.process.assert_sound();
}

#[test]
fn connections_that_are_cut_again_and_again_are_an_answer_each_time() {
    let redis = RedisServer::start_new();
    let proxy = ChaosProxy::before(redis.address());
    let mut tracker = behind(&proxy);
    tracker.add(ONE, "a.html", "abc");
    let (goes_on, good) = (AtomicBool::new(true), AtomicUsize::new(0));
    let address = tracker.address();
    let ask = || {
        let mut connection = Connection::open(address).unwrap();
        while goes_on.load(Ordering::Relaxed) {
            for request in requests() {
                let asked = Instant::now();
                let answer = connection.exchange(&request).unwrap();
                if answer.status == 200 {
                    assert!(asked.elapsed() <= VERDICT_LIMIT, "a good answer took {:?}", asked.elapsed());
                    good.fetch_add(1, Ordering::Relaxed);
                } else {
                    assert_unavailable(&answer, asked.elapsed());
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(ask)).collect();
        for _ in 0..CUTS {
            let before = good.load(Ordering::Relaxed);
            proxy.cut();
            eventually(HEALING_LIMIT, "callers are served", || {
                (good.load(Ordering::Relaxed) > before + CALLERS).then_some(())
            });
        }
        goes_on.store(false, Ordering::Relaxed);
        for caller in callers {
            caller.join().unwrap();
        }
    });
    assert_heals(&tracker, Instant::now());
    tracker.process.assert_sound();
}

#[test]
fn a_redis_that_is_full_is_read_and_takes_writes_when_it_has_room() {
    let redis = RedisServer::start_new();
    let tracker = Tracker::sharing(&redis);
    tracker.add(ONE, "a.html", "abc");
    // Not known to have been heard lately, so that each read of it would be a sign of life.
    let mut other = Tracker::sharing(&redis);
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    for tracker in [&tracker, &other] {
        for caller in [ONE, "192.0.2.9"] {
            let mut connection = Connection::open(tracker.address()).unwrap();
            let mut ask = |request: Request| {
                let asked = Instant::now();
                (connection.exchange(&request.header(CALLER, caller)).unwrap(), asked)
            };
            for path in ["/peers?filename=a.html", "/all_trackers", "/v1/files", "/v1/stats"] {
                let (answer, _) = ask(Request::get(path));
                assert_eq!(answer.status, 200, "{path} for {caller}: {}", answer.text());
            }
            assert_eq!(ask(Request::get("/v1/peers?filename=a.html")).0.json()["total"], 1);
            let lookup = Request::post("/v1/lookup").json(&json!({"filenames": ["a.html"]}));
            assert_eq!(ask(lookup).0.status, 200);
            let (refused, asked) = ask(Request::post("/add?filename=b.html&hash=abc"));
            assert_unavailable(&refused, asked.elapsed());
        }
        assert_eq!(tracker.peers("a.html"), [ONE]);
    }
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    for tracker in [&tracker, &other] {
        tracker.add(ONE, "b.html", "abc");
        assert_heals(tracker, Instant::now());
    }
    other.process.assert_sound();
}
