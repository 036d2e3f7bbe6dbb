//! What is promised of the way from one store to another.

use std::collections::BTreeSet;
use std::time::SystemTime;

use registry::{Entry, Publisher, Record, Stats};
use tokio::sync::mpsc;

use crate::opener::{FOR_EVER, Opener, promises};
use crate::store::{STRANGER, ask, entry, eventually, key, keyed, legacy, peer, set};

promises! {
    what_is_exported_makes_the_same_store_again
    the_dead_are_not_exported_and_not_imported
    an_import_does_not_undo_what_is_newer
    an_export_ends_when_nobody_listens
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

async fn what_is_exported_makes_the_same_store_again(opener: Opener) {
    let store = opener.open(3_600).await;
    let me = Publisher { port: Some(4_001), ttl_secs: Some(600), ..keyed(1, "2001:db8::5") };
    let sized = Entry { size: Some(7), ..entry("all", "sha256:a") };
    store.publish(&me, &[sized, entry("zoo", "b"), entry("文件", "c")]).await;
    for number in 0..200 {
        let files = [entry("all", "abc"), entry(&format!("site/{number}"), &format!("hash-{}", number % 3))];
        store.publish(&legacy(&format!("10.0.0.{number}")), &files).await;
    }
    let records = store.export().await;
    assert_eq!(records.len(), 403);
    let names: Vec<_> = records.iter().map(|record| record.entry.file.as_str()).collect();
    assert!(names.is_sorted());
    let theirs: Vec<_> = records.iter().filter(|record| record.publisher.owner == key(1)).collect();
    assert_eq!(theirs.len(), 3);
    assert!(theirs.iter().all(|record| record.publisher == me));

    let other = opener.open(3_600).await;
    for some in records.chunks(100) {
        assert_eq!(other.registry.import(some).await, Ok(some.len()));
    }
    // Twice is once.
    assert_eq!(other.registry.import(records.get(..50).unwrap()).await, Ok(50));
    assert_eq!(other.registry.stats().await, Ok(Stats { peers: 201, files: 203, mappings: 403 }));
    assert_eq!(sorted(other.export().await), sorted(records));
    for file in ["zoo", "site/7", "文件"] {
        assert_eq!(other.holders(file).await, store.holders(file).await);
    }
    assert_eq!(other.ask(STRANGER, &ask("all")).await.total, 201);
    other.unpublish_all(key(1)).await;
    assert_eq!(other.files("z", 10).await, [""; 0]);
}

/// By name and owner, since the order of owners is not promised.
fn sorted(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by(|a, b| {
        let key = |record: &Record| (record.entry.file.clone(), record.publisher.owner);
        key(a).cmp(&key(b))
    });
    records
}

async fn the_dead_are_not_exported_and_not_imported(opener: Opener) {
    let store = opener.open(1).await;
    store.add("203.0.113.5", "a", "abc").await;
    let records = store.export().await;
    assert_eq!(records.len(), 1);
    eventually("it is dead", || async { store.export().await.is_empty() }).await;
    let other = opener.open(1).await;
    assert_eq!(other.registry.import(&records).await, Ok(0));
    assert_eq!(other.peers("a").await, set([]));
    // Where peers live for ever they still are.
    let other = opener.open(FOR_EVER).await;
    assert_eq!(other.registry.import(&records).await, Ok(1));
    assert_eq!(other.peers("a").await, set(["203.0.113.5"]));
    let seen: BTreeSet<_> = other.holders("a").await.iter().map(|holder| holder.last_seen_ms).collect();
    assert_eq!(seen, records.iter().map(|record| record.last_seen_ms).collect());
}

async fn an_import_does_not_undo_what_is_newer(opener: Opener) {
    let store = opener.open(3_600).await;
    let me = Publisher { port: Some(2), ..keyed(1, "203.0.113.5") };
    store.publish(&me, &[entry("a", "new")]).await;
    let record = |publisher: Publisher, file: &str, last_seen_ms| Record {
        publisher,
        last_seen_ms,
        entry: entry(file, "imported"),
    };
    let before = Publisher { address: peer("203.0.113.1"), port: Some(1), ..me };
    let long_ago_ms = now_ms() - 600_000;
    let old = [record(before, "a", long_ago_ms), record(before, "b", long_ago_ms)];
    assert_eq!(store.registry.import(&old).await, Ok(2));
    let holders = store.holders("a").await;
    let found: Vec<_> = holders.iter().map(|it| (it.address, it.port, it.hash.as_str())).collect();
    assert_eq!(found, [(peer("203.0.113.5"), Some(2), "new")]);
    assert!(holders.iter().all(|holder| holder.last_seen_ms > long_ago_ms));
    assert_eq!(store.peers("b").await, set(["203.0.113.5"]));
}

async fn an_export_ends_when_nobody_listens(opener: Opener) {
    let store = opener.open(60).await;
    for number in 0..50 {
        store.add("203.0.113.5", &format!("{number}"), "abc").await;
    }
    let (sender, mut receiver) = mpsc::channel(1);
    let (exported, first) = tokio::join!(store.registry.export(sender), async {
        let first = receiver.recv().await;
        receiver.close();
        first
    });
    assert_eq!(exported, Ok(()));
    assert!(first.is_some());
}
