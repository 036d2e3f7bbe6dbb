//! An old volume keeps its data: the keys of the original are imported once.

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::http::Request;
use black_box::process::Launch;
use black_box::redis::RedisServer;
use black_box::tracker::{CALLER, Tracker};
use nix::sys::signal::Signal;

const ONE: &str = "203.0.113.5";
const TWO: &str = "198.51.100.1";

/// When the original last heard of a peer, as Python's `isoformat` writes it.
const SEEN: &str = "2026-01-02T03:04:05.678901";

/// The original noted publishes only, so that a peer which still serves can look as if it were long gone.
const LONG_AGO: &str = "2020-01-02T03:04:05";

/// Writes a mapping as the original did.
fn original_add(redis: &RedisServer, peer: &str, filename: &str, seen: &str) {
    redis.command(&["SADD", &format!("file:{filename}"), peer]);
    redis.command(&["SADD", &format!("ip:{peer}"), filename]);
    redis.command(&["SET", &format!("filehash:{filename}"), "d41d8cd98f00b204e9800998ecf8427e"]);
    redis.command(&["HSET", "peer:lastseen", peer, seen]);
}

fn stop(mut tracker: Tracker) {
    tracker.process.signal(Signal::SIGTERM);
    assert_eq!(tracker.process.wait(PATIENCE).code(), Some(0), "{}", tracker.process.said());
}

/// The import may still run when the listeners are up.
#[track_caller]
fn assert_names(tracker: &Tracker, names: &[&str]) {
    eventually(PATIENCE, &format!("the names {names:?}"), || (tracker.all_names(100) == names).then_some(()));
}

#[test]
fn peers_and_files_of_the_original_are_found() {
    let redis = RedisServer::start_new();
    original_add(&redis, ONE, "site/index.html", SEEN);
    original_add(&redis, TWO, "site/index.html", SEEN);
    original_add(&redis, TWO, "ü b+c.html", SEEN);
    original_add(&redis, "2001:DB8::5", "six.html", SEEN);
    let tracker = Tracker::sharing(&redis);
    assert_names(&tracker, &["site/index.html", "six.html", "ü b+c.html"]);
    assert_eq!(tracker.peers("site/index.html"), [TWO, ONE]);
    assert_eq!(tracker.peers("ü b+c.html"), [TWO]);
    assert_eq!(tracker.peers("six.html"), ["2001:db8::5"]);
    tracker.peer_offline(TWO);
    assert_eq!(tracker.all_names(100), ["site/index.html", "six.html"]);
}

#[test]
fn what_is_not_valid_is_left_out_and_stops_nothing() {
    let redis = RedisServer::start_new();
    original_add(&redis, ONE, "good.html", SEEN);
    for name in ["../../etc/passwd", "/root.html", "a\\b", "tab\there", "a/./b", "", &"x".repeat(1_025)] {
        original_add(&redis, ONE, name, SEEN);
    }
    original_add(&redis, "notanip", "by-nobody.html", SEEN);
    original_add(&redis, "0.0.0.0", "by-nobody.html", SEEN);
    original_add(&redis, TWO, "odd-time.html", "yesterday");
    redis.command(&["SET", "file:no-set.html", "x"]);
    redis.command(&["SET", "filehash:good.html", "bad hash"]);
    let mut tracker = Tracker::sharing(&redis);
    eventually(PATIENCE, "the good one", || (tracker.peers("good.html") == [ONE]).then_some(()));
    let names = tracker.all_names(100);
    assert!(names.iter().all(|name| ["good.html", "odd-time.html"].contains(&name.as_str())), "{names:?}");
    tracker.process.assert_sound();
}

#[test]
fn a_second_start_does_not_bring_back_what_was_removed() {
    let redis = RedisServer::start_new();
    original_add(&redis, ONE, "kept.html", SEEN);
    original_add(&redis, ONE, "removed.html", SEEN);
    let tracker = Tracker::sharing(&redis);
    assert_names(&tracker, &["kept.html", "removed.html"]);
    tracker.remove(ONE, "removed.html");
    stop(tracker);
    for _ in 0..2 {
        let tracker = Tracker::sharing(&redis);
        assert_names(&tracker, &["kept.html"]);
        assert!(tracker.peers("removed.html").is_empty());
        stop(tracker);
    }
}

#[test]
fn an_imported_peer_has_one_time_to_live_to_show_itself() {
    let redis = RedisServer::start_new();
    original_add(&redis, ONE, "speaks.html", LONG_AGO);
    original_add(&redis, TWO, "silent.html", LONG_AGO);
    let launch = Launch::new(Binary::Tracker).set("REDIS_URL", &redis.url()).set("PEER_TTL_SECS", "2");
    let tracker = Tracker::over(launch.start(), None).when_ready();
    assert_names(&tracker, &["silent.html", "speaks.html"]);
    let sign_of_life = Request::get("/peers?filename=other.html").header(CALLER, ONE);
    eventually(PATIENCE, "the silent one goes", || {
        assert_eq!(tracker.send(&sign_of_life).status, 200);
        tracker.peers("silent.html").is_empty().then_some(())
    });
    assert_eq!(tracker.peers("speaks.html"), [ONE]);
}

#[test]
fn two_trackers_that_start_at_once_import_once() {
    let redis = RedisServer::start_new();
    let names: Vec<String> = (0..300).map(|number| format!("{number:03}.html")).collect();
    for name in &names {
        original_add(&redis, ONE, name, SEEN);
    }
    let (one, two) = (Tracker::sharing(&redis), Tracker::sharing(&redis));
    for tracker in [&one, &two] {
        eventually(PATIENCE, "all names", || (tracker.all_names(1_000) == names).then_some(()));
    }
    one.peer_offline(ONE);
    assert!(two.all_names(10).is_empty());
}
