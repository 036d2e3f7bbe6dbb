//! Nobody speaks for somebody else: removing others is reporting them.

use black_box::binary::Binary;
use black_box::http::{Answer, Request};
use black_box::process::Launch;
use black_box::tracker::{CALLER, Tracker, on_both_stores, on_both_stores_with};
use serde_json::{Value, json};

const ONE: &str = "203.0.113.5";
const TWO: &str = "198.51.100.1";
const FILE: &str = "a.html";
const TOKEN: &str = "correct-horse-battery";

fn ok() -> Value {
    json!({"status": "ok"})
}

/// The peers that `caller` is told of, in order.
fn peers(tracker: &Tracker, caller: &str, file: &str) -> Vec<String> {
    let answer = tracker.send(&Request::get(format!("/peers?filename={file}")).header(CALLER, caller));
    let mut peers: Vec<String> = serde_json::from_value(answer.json()["peers"].clone()).unwrap();
    peers.sort();
    peers
}

fn call(tracker: &Tracker, method: &str, caller: &str, target: &str) -> Answer {
    tracker.send(&Request::new(method, target).header(CALLER, caller))
}

fn heartbeat(tracker: &Tracker, caller: &str) -> Value {
    tracker.send(&Request::post("/v1/heartbeat").header(CALLER, caller)).json()["alive"].clone()
}

#[test]
fn a_stranger_removes_nobody_by_get_or_post_and_does_not_see_the_peer_any_more() {
    on_both_stores(|tracker| {
        for (method, stranger) in [("GET", "192.0.2.1"), ("POST", "192.0.2.2")] {
            tracker.add(ONE, FILE, "abc");
            tracker.add(ONE, "b.html", "abc");
            tracker.add(TWO, FILE, "abc");
            call(tracker, method, stranger, &format!("/remove?ip={ONE}&filename={FILE}"))
                .assert_is(200, &ok());
            assert_eq!(peers(tracker, stranger, FILE), [TWO], "hidden from who reported it");
            assert_eq!(peers(tracker, stranger, "b.html"), [ONE], "for that file only");
            assert_eq!(peers(tracker, "192.0.2.99", FILE), [TWO, ONE], "and from nobody else");
        }
    });
}

#[test]
fn a_stranger_takes_nobody_offline() {
    on_both_stores(|tracker| {
        for name in [FILE, "b.html"] {
            tracker.add(ONE, name, "abc");
        }
        let removed = json!({"status": "removed"});
        call(tracker, "POST", "192.0.2.1", &format!("/peer_offline?ip={ONE}")).assert_is(200, &removed);
        for name in [FILE, "b.html"] {
            assert_eq!(peers(tracker, "192.0.2.1", name), [""; 0]);
            assert_eq!(peers(tracker, "192.0.2.2", name), [ONE]);
        }
    });
}

#[test]
fn a_forged_proxy_header_makes_nobody_the_owner() {
    let untrusting = |launch: Launch| launch.set("TRUSTED_PROXIES", "none");
    on_both_stores_with(untrusting, |tracker| {
        let (owner, stranger) = ("127.0.0.5", "127.0.0.6");
        let add = Request::post(format!("/add?filename={FILE}&hash=abc"));
        tracker.send_from(owner.parse().unwrap(), &add).assert_is(200, &ok());
        for header in ["X-Forwarded-For", "CF-Connecting-IP"] {
            let remove = Request::post(format!("/remove?filename={FILE}")).header(header, owner);
            tracker.send_from(stranger.parse().unwrap(), &remove).assert_is(200, &ok());
        }
        assert_eq!(tracker.peers(FILE), [owner]);
    });
}

#[test]
fn three_networks_take_a_peer_from_everybody_and_its_heartbeat_brings_it_back() {
    on_both_stores(|tracker| {
        tracker.add(ONE, FILE, "abc");
        tracker.add(ONE, "b.html", "abc");
        let report = |reporter: &str| {
            let body = json!({"filename": FILE, "ip": ONE, "reason": "time-out"});
            tracker
                .send(&Request::post("/v1/report").header(CALLER, reporter).json(&body))
                .assert_is(200, &ok());
        };
        // Two networks, however many addresses of theirs.
        for reporter in ["192.0.2.1", "192.0.2.2", "192.0.2.1", "198.51.100.7", "198.51.100.8"] {
            report(reporter);
        }
        assert_eq!(peers(tracker, "100.64.0.1", FILE), [ONE]);
        report("2001:db8:1::1");
        assert_eq!(peers(tracker, "100.64.0.1", FILE), [""; 0]);
        assert_eq!(peers(tracker, "100.64.0.1", "b.html"), [ONE]);
        // To read is not enough.
        assert_eq!(peers(tracker, ONE, "b.html"), [ONE]);
        assert_eq!(peers(tracker, "100.64.0.1", FILE), [""; 0]);
        assert_eq!(heartbeat(tracker, ONE), true);
        assert_eq!(peers(tracker, "100.64.0.1", FILE), [ONE]);
        assert_eq!(peers(tracker, "192.0.2.1", FILE), [""; 0], "who reported it does not see it yet");
    });
}

#[test]
fn the_second_time_a_publish_has_to_wait() {
    on_both_stores(|tracker| {
        let withhold = || {
            for reporter in ["192.0.2.1", "198.51.100.7", "100.65.0.1"] {
                call(tracker, "POST", reporter, &format!("/remove?ip={ONE}&filename={FILE}"))
                    .assert_is(200, &ok());
            }
            assert_eq!(peers(tracker, "100.64.0.1", FILE), [""; 0]);
        };
        tracker.add(ONE, FILE, "abc");
        withhold();
        tracker.add(ONE, FILE, "abc");
        assert_eq!(peers(tracker, "100.64.0.1", FILE), [ONE]);
        withhold();
        // Accepted, as its client expects, and still not handed out.
        tracker.add(ONE, FILE, "abc");
        assert_eq!(peers(tracker, "100.64.0.1", FILE), [""; 0]);
        let body = json!({"files": [{"filename": FILE, "hash": "abc"}]});
        let answer = tracker.send(&Request::post("/v1/publish").header(CALLER, ONE).json(&body)).json();
        assert_eq!(answer["files"][0]["accepted"], true, "{answer}");
        let wait = answer["files"][0]["withheld"].as_u64().unwrap();
        assert!((500..=600).contains(&wait), "{answer}");
    });
}

#[test]
fn the_operators_word_is_enough_and_only_his() {
    on_both_stores_with(
        |launch| launch.set("ADMIN_TOKEN", TOKEN),
        |tracker| {
            tracker.add(ONE, FILE, "abc");
            let remove = format!("/remove?ip={ONE}&filename={FILE}");
            for wrong in ["Bearer correct-horse-batterx", "Bearer", TOKEN] {
                let request =
                    Request::post(&remove).header(CALLER, "192.0.2.1").header("Authorization", wrong);
                tracker.send(&request).assert_is(200, &ok());
                assert_eq!(tracker.peers(FILE), [ONE], "{wrong}");
            }
            // Not in an address, which ends up in logs.
            call(tracker, "POST", "192.0.2.1", &format!("{remove}&token={TOKEN}")).assert_is(200, &ok());
            assert_eq!(tracker.peers(FILE), [ONE]);
            let bearer = format!("Bearer {TOKEN}");
            let request = Request::post(&remove).header(CALLER, "192.0.2.1").header("Authorization", bearer);
            tracker.send(&request).assert_is(200, &ok());
            assert_eq!(tracker.peers(FILE), [""; 0]);
            assert!(!tracker.process.said().contains(TOKEN), "the token is nowhere in the log");
        },
    );
}

#[test]
fn a_short_token_ends_the_start_with_64_and_is_not_shown() {
    let mut process = Launch::new(Binary::Tracker).set("ADMIN_TOKEN", "tooshort").spawn();
    assert_eq!(process.wait(black_box::deadline::PATIENCE).code(), Some(64));
    assert!(
        process.said().contains("ADMIN_TOKEN") && !process.said().contains("tooshort"),
        "{}",
        process.said()
    );
}
