//! What a caller may ask for, and what is answered to one who asks for more.

use std::time::{Duration, Instant};

use black_box::deadline::{PATIENCE, eventually};
use black_box::http::{Connection, Request};
use black_box::process::Launch;
use black_box::tracker::{CALLER, Tracker, on_both_stores, on_both_stores_with};
use serde_json::{Value, json};

const ONE: &str = "203.0.113.5";
const TWO: &str = "198.51.100.1";

/// Connections that send their request a byte at a time.
const DRIPPING: usize = 200;

#[test]
fn a_caller_over_its_rate_is_told_when_to_come_again_and_others_are_served() {
    let slow = |launch: Launch| launch.set("TRACKER_RATE_PER_SEC", "2");
    on_both_stores_with(slow, |tracker| {
        let mut connection = Connection::open(tracker.address()).unwrap();
        let mut ask = |caller: &str, target: &str| {
            connection.exchange(&Request::get(target).header(CALLER, caller)).unwrap()
        };
        let started = Instant::now();
        let refused =
            (0..10_000).map(|_| ask("2001:db8::1", "/")).find(|answer| answer.status != 200).unwrap();
        // 20 at once and 2 a second: it cannot have been served much longer than that.
        assert!(started.elapsed() < Duration::from_secs(10));
        let detail = refused.assert_refused(429);
        assert_eq!(detail, "a caller may ask 2 times a second, and 20 times at once");
        assert_eq!(refused.header("retry-after"), Some("1"));
        // One customer is one caller; a path that is not there counts as well.
        assert_eq!(ask("2001:db8::ffff", "/nothing").status, 429);
        assert_eq!(ask("2001:db8:0:1::1", "/").status, 200);
        assert_eq!(ask(TWO, "/").status, 200);
        assert!(tracker.admin().sum("tracker_requests_total", &[("status", "429")]) >= 2.0);
    });
}

#[test]
fn callers_on_this_machine_have_no_rate_unless_a_proxy_speaks_for_them() {
    let slow = |launch: Launch| launch.set("TRACKER_RATE_PER_SEC", "1");
    on_both_stores_with(slow, |tracker| {
        let mut connection = Connection::open(tracker.address()).unwrap();
        for _ in 0..100 {
            assert_eq!(connection.exchange(&Request::get("/")).unwrap().status, 200);
        }
        let forged = Request::get("/").header(CALLER, "127.0.0.1");
        let statuses: Vec<u16> = (0..100).map(|_| connection.exchange(&forged).unwrap().status).collect();
        assert!(statuses.contains(&429));
    });
}

#[test]
fn a_peer_has_at_most_100_000_files() {
    let free = |launch: Launch| launch.set("TRACKER_RATE_PER_SEC", "0");
    on_both_stores_with(free, |tracker| {
        let mut connection = Connection::open(tracker.address()).unwrap();
        let mut publish = |from: usize, count: usize| {
            let files: Vec<Value> = (from..from + count)
                .map(|number| json!({"filename": format!("f/{number}"), "hash": "abc"}))
                .collect();
            let request = Request::post("/v1/publish").header(CALLER, ONE).json(&json!({"files": files}));
            loop {
                let answer = connection.exchange(&request).unwrap();
                // The disk may need a moment.
                if answer.status != 503 {
                    return answer.json();
                }
            }
        };
        for from in (0..100_000).step_by(1_000) {
            let answer = publish(from, 1_000);
            let refused = answer["files"].as_array().unwrap().iter().find(|file| file["accepted"] == false);
            assert_eq!(refused, None);
        }
        let answer = publish(99_999, 2);
        assert_eq!(answer["files"][0]["accepted"], true, "one that it has already");
        assert_eq!(answer["files"][1]["accepted"], false);
        assert!(answer["files"][1]["reason"].as_str().unwrap().contains("100000 files"), "{answer}");
        let add = Request::post("/add?filename=one-more&hash=abc").header(CALLER, ONE);
        let refused = tracker.send(&add);
        assert!(refused.assert_refused(429).as_str().unwrap().contains("100000 files"));
        assert_eq!(refused.header("retry-after"), Some("60"));
        tracker.add(TWO, "one-more", "abc");
        assert_eq!(tracker.peers("one-more"), [TWO]);
        tracker.remove(ONE, "f/0");
        tracker.add(ONE, "one-more", "abc");
        let started = Instant::now();
        tracker.peer_offline(ONE);
        assert_eq!(tracker.peers("f/77777"), [""; 0]);
        assert!(started.elapsed() < Duration::from_secs(20));
    });
}

#[test]
fn those_who_drip_their_request_are_cut_off_and_hold_nobody_up() {
    on_both_stores(|tracker| {
        let mut dripping: Vec<Connection> =
            (0..DRIPPING).map(|_| Connection::open(tracker.address()).unwrap()).collect();
        for connection in &mut dripping {
            connection.send(b"GET / HTTP/1.1\r\nHost: tra").unwrap();
        }
        let started = Instant::now();
        let mut open = dripping;
        while !open.is_empty() {
            assert!(started.elapsed() < Duration::from_secs(20), "{} are still open", open.len());
            // The honest are served all the while.
            tracker.add(ONE, "a.html", "abc");
            assert_eq!(tracker.peers("a.html"), [ONE]);
            open.retain_mut(|connection| connection.send_one_byte_or_see_the_end(b'x'));
        }
        assert!(started.elapsed() > Duration::from_secs(3), "an honest slow client has some seconds");
    });
}

#[test]
fn a_body_that_drips_is_cut_off() {
    let tracker = Tracker::plain();
    let mut connection = Connection::open(tracker.address()).unwrap();
    connection
        .send(b"POST /v1/publish HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{")
        .unwrap();
    let started = Instant::now();
    while connection.send_one_byte_or_see_the_end(b' ') {
        assert!(started.elapsed() < Duration::from_secs(20), "after 10 seconds the time is over");
        tracker.add(ONE, "a.html", "abc");
    }
    assert!(started.elapsed() > Duration::from_secs(5));
}

/// A stream that `caller` asks for, by the word of a proxy, and the status that it gets.
fn listen(tracker: &Tracker, path: &str, caller: &str) -> (Connection, u16) {
    let mut stream = Connection::open(tracker.address()).unwrap();
    let ask = format!("GET {path} HTTP/1.1\r\nHost: tracker\r\n{CALLER}: {caller}\r\n\r\n");
    stream.send(ask.as_bytes()).unwrap();
    let (status, _) = stream.receive_head().unwrap();
    (stream, status)
}

#[test]
fn a_stranger_cannot_have_all_streams() {
    const PATHS: [&str; 2] = ["/v1/stats/stream", "/v1/stats/live"];
    for (own, of_the_same, other) in [
        ("203.0.113.5", "203.0.113.5", "203.0.113.6"),
        ("2001:db8:0:1::5", "2001:db8:0:1:ffff::9", "2001:db8:0:2::5"),
    ] {
        let tracker = Tracker::plain();
        let mut held: Vec<Connection> = (0..8)
            .map(|place| {
                let (stream, status) = listen(&tracker, PATHS[place % 2], own);
                assert_eq!(status, 200, "place {place}");
                stream
            })
            .collect();
        for path in PATHS {
            let refused = tracker.send(&Request::get(path).header(CALLER, of_the_same));
            let why = refused.assert_refused(429);
            assert_eq!(why, "a caller may listen 8 times at a time; ask /v1/stats");
            assert_eq!(refused.header("retry-after"), Some("1"));
            assert_eq!(listen(&tracker, path, other).1, 200, "others are served");
        }
        // A place that is left is free again.
        held.pop();
        eventually(PATIENCE, "a free place", || {
            let (stream, status) = listen(&tracker, PATHS[0], of_the_same);
            held.push(stream);
            (status == 200).then_some(())
        });
    }
}

#[test]
fn streams_are_bounded() {
    let mut tracker = Tracker::plain();
    let open = || {
        let mut stream = Connection::open(tracker.address()).unwrap();
        stream.send(b"GET /v1/stats/stream HTTP/1.1\r\nHost: tracker\r\n\r\n").unwrap();
        stream
    };
    let mut streams: Vec<Connection> = (0..256).map(|_| open()).collect();
    for stream in &mut streams {
        assert_eq!(stream.receive_head().unwrap().0, 200);
    }
    let refused = open().receive().unwrap();
    refused.assert_refused(503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    tracker.add(ONE, "a.html", "abc");
    // They end with the process, and do not hold it up.
    let started = Instant::now();
    tracker.process.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(tracker.process.wait(Duration::from_secs(10)).code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(5));
}
