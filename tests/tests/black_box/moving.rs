//! `tracker export` and `tracker import`: between the stores, and for backups.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use black_box::binary::Binary;
use black_box::cluster::RedisCluster;
use black_box::deadline::PATIENCE;
use black_box::http::Request;
use black_box::process::Launch;
use black_box::redis::RedisServer;
use black_box::signer::Signer;
use black_box::tracker::{CALLER, Tracker};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const ONE: &str = "203.0.113.5";
const TWO: &str = "2001:db8::5";

/// Runs `tracker` with these words over a file, in a folder of its own. Gives whether it succeeded, and what it said.
fn run(home: &Path, store: (&str, &str), words: &[&str], lines: &Path) -> (bool, String) {
    let mut command = Command::new(Binary::Tracker.path());
    command.args(words).current_dir(home).env_clear().env(store.0, store.1);
    if words[0] == "export" {
        command.stdin(Stdio::null()).stdout(File::create(lines).unwrap());
    } else {
        command.stdin(File::open(lines).unwrap());
    }
    let output = command.stderr(Stdio::piped()).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn peers(tracker: &Tracker, file: &str) -> Vec<Value> {
    let mut peers =
        tracker.get(format!("/v1/peers?filename={file}")).json()["peers"].as_array().unwrap().clone();
    peers.sort_by_key(ToString::to_string);
    peers
}

#[test]
fn all_that_is_known_moves_from_the_embedded_store_to_redis_and_to_a_cluster_and_back() {
    let home = tempfile::tempdir().unwrap();
    let first = home.path().join("first");
    let (lines, again) = (home.path().join("lines"), home.path().join("again"));
    let serve =
        |dir: &Path| Tracker::embedded(&Launch::new(Binary::Tracker).set("DATA_DIR", dir.to_str().unwrap()));
    let mut tracker = serve(&first);
    tracker.add(ONE, "site/ü.html", "abc");
    tracker.add(TWO, "b", "def");
    let signer = Signer::new(1);
    let body =
        json!({"peer": {"port": 4001}, "ttl": 3600, "files": [{"filename": "b", "hash": "abc", "size": 12}]});
    assert_eq!(tracker.send(&signer.post("/v1/publish", &body).header(CALLER, ONE)).status, 200);
    let before = peers(&tracker, "b");
    assert_eq!(before.len(), 2);

    let embedded = ("DATA_DIR", first.to_str().unwrap());
    let (succeeded, said) = run(home.path(), embedded, &["export"], &lines);
    assert!(!succeeded && said.contains("in use by another process"), "{said}");
    tracker.process.signal(Signal::SIGTERM);
    assert_eq!(tracker.process.wait(PATIENCE).code(), Some(0));
    let (succeeded, said) = run(home.path(), embedded, &["export"], &lines);
    assert!(succeeded && said.contains("3 mappings"), "{said}");
    let text = fs::read_to_string(&lines).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(
        text.lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["last_seen"].is_u64()),
        "{text}"
    );

    let (redis, cluster) = (RedisServer::start_new(), RedisCluster::start_new());
    for (number, url) in [redis.url(), cluster.url()].iter().enumerate() {
        // Twice is the same as once.
        for _ in 0..2 {
            let (succeeded, said) = run(home.path(), ("REDIS_URL", url), &["import"], &lines);
            assert!(succeeded && said.contains("3 mappings"), "{url}: {said}");
        }
        let launch = Launch::new(Binary::Tracker).set("REDIS_URL", url);
        let on_redis = Tracker::over(launch.start(), None).when_ready();
        assert_eq!(peers(&on_redis, "b"), before, "{url}");
        assert_eq!(on_redis.all_names(10), ["b", "site/ü.html"], "{url}");

        let (succeeded, said) = run(home.path(), ("REDIS_URL", url), &["export"], &again);
        assert!(succeeded, "{url}: {said}");
        let back = home.path().join(format!("back-{number}"));
        let (succeeded, said) = run(home.path(), ("DATA_DIR", back.to_str().unwrap()), &["import"], &again);
        assert!(succeeded && said.contains("3 mappings"), "{url}: {said}");
        assert_eq!(peers(&serve(&back), "b"), before, "{url}");
    }
}

#[test]
fn an_old_backup_is_restored_where_that_is_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let (data, lines) = (home.path().join("data"), home.path().join("lines"));
    let old = json!({"filename": "a", "hash": "abc", "ip": ONE, "last_seen": 1_000_000_000_000_u64});
    fs::write(&lines, format!("{old}\n")).unwrap();
    let store = ("DATA_DIR", data.to_str().unwrap());
    let (succeeded, said) = run(home.path(), store, &["import"], &lines);
    assert!(succeeded && said.contains("0 mappings"), "{said}");
    let (succeeded, said) = run(home.path(), store, &["import", "--fresh"], &lines);
    assert!(succeeded && said.contains("1 mappings"), "{said}");
    let tracker = Tracker::embedded(&Launch::new(Binary::Tracker).set("DATA_DIR", data.to_str().unwrap()));
    assert_eq!(tracker.peers("a"), [ONE]);
    tracker.send(&Request::get("/v1/stats")).assert_is(200, &json!({"peers": 1, "files": 1, "mappings": 1}));
}

#[test]
fn a_line_that_is_no_mapping_ends_the_import_and_is_named() {
    let home = tempfile::tempdir().unwrap();
    let lines = home.path().join("lines");
    fs::write(&lines, "{\"filename\":\"a\"}\n").unwrap();
    let data = home.path().join("data");
    let (succeeded, said) = run(home.path(), ("DATA_DIR", data.to_str().unwrap()), &["import"], &lines);
    assert!(!succeeded && said.contains("line 1: missing field `hash`"), "{said}");
}
