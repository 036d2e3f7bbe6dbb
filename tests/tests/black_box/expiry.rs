//! Every fact expires, and a sign of life keeps it.

use std::time::{Duration, Instant};

use black_box::deadline::{PATIENCE, eventually, throughout};
use black_box::http::Request;
use black_box::process::Launch;
use black_box::tracker::{CALLER, Tracker, on_both_stores_with};
use serde_json::json;

const ONE: &str = "203.0.113.5";
const TWO: &str = "198.51.100.1";

/// The `PEER_TTL_SECS` of these tests.
const TTL: Duration = Duration::from_secs(2);

/// What a peer that has just been heard may still be short of its time, since a store counts in coarser steps than ours.
const TOLERANCE: Duration = Duration::from_millis(1_100);

fn short_lived(launch: Launch) -> Launch {
    launch.set("PEER_TTL_SECS", "2")
}

#[test]
fn a_silent_peer_is_handed_out_until_its_time_is_over_and_not_after() {
    on_both_stores_with(short_lived, |tracker| {
        let before = Instant::now();
        tracker.add(ONE, "a.html", "abc");
        let after = Instant::now();
        eventually(PATIENCE, "the peer goes", || tracker.peers("a.html").is_empty().then_some(()));
        assert!(before.elapsed() + TOLERANCE >= TTL, "gone after {:?}", before.elapsed());
        assert!(after.elapsed() <= TTL + TOLERANCE, "there for {:?}", after.elapsed());
    });
}

#[test]
fn a_file_goes_from_the_listing_with_its_last_peer() {
    on_both_stores_with(short_lived, |tracker| {
        tracker.add(ONE, "a.html", "abc");
        assert_eq!(tracker.all_names(10), ["a.html"]);
        eventually(TTL * 3, "the file goes", || tracker.all_names(10).is_empty().then_some(()));
        tracker.add(ONE, "a.html", "abc");
        assert_eq!(tracker.peers("a.html"), [ONE]);
    });
}

/// Repeats a request of one peer for twice its time, and looks that another peer goes meanwhile.
fn assert_keeps_alive(tracker: &Tracker, request: &Request) {
    tracker.add(ONE, "a.html", "abc");
    tracker.add(TWO, "a.html", "abc");
    throughout(TTL * 2, "the peer that speaks is there", || {
        assert_eq!(tracker.send(request).status, 200);
        tracker.peers("a.html").contains(&ONE.to_owned())
    });
    assert_eq!(tracker.peers("a.html"), [ONE], "the silent one is gone");
    assert_eq!(tracker.all_names(10), ["a.html"]);
}

#[test]
fn a_peer_that_adds_another_file_stays_with_all_its_files() {
    on_both_stores_with(short_lived, |tracker| {
        let request = Request::post("/add?filename=b.html&hash=abc").header(CALLER, ONE);
        tracker.add(ONE, "a.html", "abc");
        throughout(TTL * 2, "the first file keeps its peer", || {
            tracker.send(&request).assert_is(200, &json!({"status": "ok"}));
            tracker.peers("a.html") == [ONE]
        });
    });
}

#[test]
fn a_peer_that_looks_something_up_stays() {
    on_both_stores_with(short_lived, |tracker| {
        assert_keeps_alive(tracker, &Request::get("/peers?filename=other.html").header(CALLER, ONE));
    });
}

#[test]
fn a_peer_that_removes_another_file_stays() {
    on_both_stores_with(short_lived, |tracker| {
        assert_keeps_alive(tracker, &Request::post("/remove?filename=other.html").header(CALLER, ONE));
    });
}

#[test]
fn a_request_that_was_refused_is_no_sign_of_life() {
    on_both_stores_with(short_lived, |tracker| {
        tracker.add(ONE, "a.html", "abc");
        let request = Request::post("/add?filename=..&hash=abc").header(CALLER, ONE);
        eventually(TTL * 3, "the peer goes", || {
            assert_eq!(tracker.send(&request).status, 422);
            tracker.peers("a.html").is_empty().then_some(())
        });
    });
}

#[test]
fn an_expired_peer_that_comes_back_has_only_what_it_adds_again() {
    on_both_stores_with(short_lived, |tracker| {
        tracker.add(ONE, "a.html", "abc");
        tracker.add(ONE, "b.html", "abc");
        eventually(TTL * 3, "the peer goes", || tracker.peers("a.html").is_empty().then_some(()));
        tracker.add(ONE, "b.html", "abc");
        assert_eq!(tracker.peers("b.html"), [ONE]);
        assert!(tracker.peers("a.html").is_empty());
        assert_eq!(tracker.all_names(10), ["b.html"]);
    });
}

#[test]
fn a_time_to_live_of_zero_is_never() {
    on_both_stores_with(
        |launch| launch.set("PEER_TTL_SECS", "0"),
        |tracker| {
            tracker.add(ONE, "a.html", "abc");
            throughout(TTL, "the peer is there", || tracker.peers("a.html") == [ONE]);
        },
    );
}

#[test]
fn a_restart_does_not_lengthen_a_life() {
    let mut tracker = Tracker::embedded(&short_lived(Launch::new(black_box::binary::Binary::Tracker)));
    tracker.add(ONE, "a.html", "abc");
    let added = Instant::now();
    tracker.process.signal(nix::sys::signal::Signal::SIGTERM);
    tracker.process.wait(PATIENCE);
    let again = Tracker::embedded(tracker.process.launch());
    eventually(PATIENCE, "the peer goes", || again.peers("a.html").is_empty().then_some(()));
    assert!(added.elapsed() <= TTL + TOLERANCE, "there for {:?}", added.elapsed());
}
