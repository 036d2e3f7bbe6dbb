//! A Redis behind TLS.

use std::path::Path;
use std::process::Command;

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::metrics::Admin;
use black_box::process::Launch;
use black_box::redis::RedisServer;
use black_box::sentinel;
use black_box::tracker::Tracker;

/// A certificate of this host, by name and by address, that vouches for itself, and its key.
fn certificate(folder: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"])
        .args([
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .arg("-out")
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .output()
        .expect("openssl is installed: tests/run does that");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (certificate, key)
}

/// A tracker with this `REDIS_URL` serves, by what is there and by no store of its own.
#[track_caller]
fn assert_serves(url: &str, certificate: &Path) {
    let launch = Launch::new(Binary::Tracker)
        .set("REDIS_URL", url)
        .set("SSL_CERT_FILE", &certificate.display().to_string());
    let tracker = Tracker::embedded(&launch);
    tracker.add("203.0.113.5", "a.html", "abc");
    assert_eq!(tracker.peers("a.html"), ["203.0.113.5"]);
    assert!(!launch.home().join("data").exists(), "the embedded store was not asked for");
}

#[test]
fn a_redis_with_a_trusted_certificate_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(folder.path());
    let (_redis, port) = RedisServer::start_new_with_tls(&certificate, &key);
    assert_serves(&format!("rediss://localhost:{port}"), &certificate);
}

#[test]
fn a_cluster_with_a_trusted_certificate_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(folder.path());
    let (_redis, port) = RedisServer::start_cluster_of_one_with_tls(&certificate, &key);
    assert_serves(&format!("rediss+cluster://127.0.0.1:{port}"), &certificate);
}

/// The master and the Sentinel alike.
#[test]
fn a_master_with_a_trusted_certificate_is_found_by_a_sentinel_with_one() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(folder.path());
    let (_redis, master_port) = RedisServer::start_new_with_tls(&certificate, &key);
    let config = sentinel::config(master_port, 1);
    let (_sentinel, port) = RedisServer::start_sentinel_with_tls(&config, &certificate, &key);
    assert_serves(&format!("rediss+sentinel://127.0.0.1:{port}/{}", sentinel::MASTER), &certificate);
}

#[test]
fn a_redis_with_a_certificate_that_nobody_vouches_for_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(folder.path());
    let (_redis, port) = RedisServer::start_new_with_tls(&certificate, &key);
    let launch = Launch::new(Binary::Tracker).set("REDIS_URL", &format!("rediss://localhost:{port}"));
    let process = launch.start();
    let admin = Admin::at(process.address("tracker-admin"));
    eventually(PATIENCE, "the log says why", || process.stdout().contains("certificate").then_some(()));
    assert_eq!(admin.ready(), 503);
}
