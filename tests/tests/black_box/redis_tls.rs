//! A Redis behind TLS.

use std::path::Path;
use std::process::Command;

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::metrics::Admin;
use black_box::process::Launch;
use black_box::redis::RedisServer;
use black_box::tracker::Tracker;

/// A certificate of `localhost` that vouches for itself, and its key.
fn certificate(folder: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-out")
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .output()
        .expect("openssl is installed: tests/run does that");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (certificate, key)
}

#[test]
fn a_redis_with_a_trusted_certificate_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(folder.path());
    let (_redis, port) = RedisServer::start_new_with_tls(&certificate, &key);
    let launch = Launch::new(Binary::Tracker)
        .set("REDIS_URL", &format!("rediss://localhost:{port}"))
        .set("SSL_CERT_FILE", &certificate.display().to_string());
    let tracker = Tracker::embedded(&launch);
    tracker.add("203.0.113.5", "a.html", "abc");
    assert_eq!(tracker.peers("a.html"), ["203.0.113.5"]);
    assert!(!launch.home().join("data").exists(), "the embedded store was not asked for");
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
