//! What an earlier version left in its folder is taken over by the embedded store.

use std::path::Path;
use std::time::SystemTime;

use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use registry::{Bounds, EmbeddedRegistry, PeerTtl, RegistryError};

use crate::store::{Home, Store, peer, set};

fn now_ms() -> u64 {
    u64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

/// Writes what that version wrote.
fn write_old(data_dir: &Path, mappings: &[(&str, &str, &str)], seen_ms: u64) -> Database {
    let database = Database::builder(data_dir.join("registry-v1")).open().unwrap();
    let keyspace = |name| database.keyspace(name, KeyspaceCreateOptions::default).unwrap();
    let (files, peers) = (keyspace("mappings"), keyspace("peers"));
    for (address, name, hash) in mappings {
        let mut key = peer(address).to_bytes().to_vec();
        peers.insert(&*key, seen_ms.to_be_bytes()).unwrap();
        key.extend_from_slice(name.as_bytes());
        files.insert(key, *hash).unwrap();
    }
    database.persist(PersistMode::SyncAll).unwrap();
    database
}

fn folders(data_dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data_dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

const OLD: [(&str, &str, &str); 3] =
    [("203.0.113.5", "site/a", "abc"), ("203.0.113.5", "site/b", "def"), ("2001:db8::5", "site/a", "abc")];

#[tokio::test(flavor = "multi_thread")]
async fn data_of_the_first_form_is_taken_over_once() {
    let dir = tempfile::tempdir().unwrap();
    let seen_ms = now_ms() - 5_000;
    drop(write_old(dir.path(), &OLD, seen_ms));
    let store = Store::open(Home::Embedded(dir), 3_600).await;
    assert_eq!(store.peers("site/a").await, set(["2001:db8::5", "203.0.113.5"]));
    let holders = store.holders("site/b").await;
    let found: Vec<_> = holders.iter().map(|it| (it.hash.as_str(), it.size, it.last_seen_ms)).collect();
    assert_eq!(found, [("def", None, seen_ms)]);
    let Home::Embedded(dir) = &store.home else { panic!("an embedded store has a folder") };
    assert_eq!(folders(dir.path()), ["registry-v2"]);
    store.remove("203.0.113.5", "site/b").await;
    let store = store.reopen(3_600).await;
    assert_eq!(store.files("", 10).await, ["site/a"]);
    assert_eq!(store.peers("site/a").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dead_of_the_first_form_stay_dead() {
    let dir = tempfile::tempdir().unwrap();
    drop(write_old(dir.path(), &OLD, now_ms() - 60_000));
    let store = Store::open(Home::Embedded(dir), 60).await;
    assert_eq!(store.files("", 10).await, [""; 0]);
    assert_eq!(store.sweep().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_of_the_old_folder_is_removed_and_not_read() {
    let dir = tempfile::tempdir().unwrap();
    drop(write_old(dir.path(), &OLD, now_ms()));
    std::fs::rename(dir.path().join("registry-v1"), dir.path().join("registry-v1-taken-over")).unwrap();
    let store = Store::open(Home::Embedded(dir), 60).await;
    assert_eq!(store.files("", 10).await, [""; 0]);
    let Home::Embedded(dir) = &store.home else { panic!("an embedded store has a folder") };
    assert_eq!(folders(dir.path()), ["registry-v2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_version_that_still_runs_is_not_robbed() {
    let dir = tempfile::tempdir().unwrap();
    let running = write_old(dir.path(), &OLD, now_ms());
    let refused = EmbeddedRegistry::open(dir.path(), PeerTtl::from_secs(60), Bounds::default()).err();
    let expected = format!(
        "DATA_DIR {}: in use by another process; end that one, or set a DATA_DIR of its own for this one",
        dir.path().display()
    );
    assert_eq!(refused, Some(RegistryError::Broken(expected)));
    drop(running);
    let store = Store::open(Home::Embedded(dir), 60).await;
    assert_eq!(store.peers("site/a").await.len(), 2);
}
