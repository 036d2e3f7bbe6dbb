//! What the embedded store promises of its folder.

use registry::{Bounds, EmbeddedRegistry, Entry, PeerTtl, Publisher, RegistryError, Stats};

use crate::store::{Home, Store, entry, eventually, key, keyed, legacy, peer, set};

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_store_has_everything_when_it_is_opened_again() {
    let store = Store::embedded(60).await;
    for number in 0..300 {
        store.add("203.0.113.5", &format!("site/{number:03}"), "abc").await;
    }
    store.add("2001:db8::5", "site/000", "def").await;
    store.add("198.51.100.1", "site/000", "def").await;
    store.remove("203.0.113.5", "site/299").await;
    store.remove_peer("198.51.100.1").await;
    let store = store.reopen(60).await;
    assert_eq!(store.files("", 1_000).await.len(), 299);
    assert_eq!(store.peers("site/000").await, set(["2001:db8::5", "203.0.113.5"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_a_peer_said_is_there_after_a_restart() {
    let store = Store::embedded(3_600).await;
    let mut me = Publisher { port: Some(4_001), ttl_secs: Some(600), ..keyed(1, "203.0.113.5") };
    store.publish(&me, &[Entry { size: Some(7), ..entry("a", "abc") }, entry("b", "abc")]).await;
    me.address = peer("2001:db8::5");
    assert!(store.heartbeat(&me).await);
    store.unpublish(key(1), &["b"]).await;
    let before = store.export().await;
    let store = store.reopen(3_600).await;
    assert_eq!(store.export().await, before);
    assert_eq!(before.first().unwrap().publisher, me);
    assert_eq!(before.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_of_many_files_that_left_and_came_back_has_only_the_new_ones_after_a_restart() {
    let store = Store::embedded(60).await;
    for hundreds in 0..30 {
        let entries: Vec<_> =
            (0..1_000).map(|number| entry(&format!("{}", hundreds * 1_000 + number), "abc")).collect();
        store.publish(&legacy("203.0.113.5"), &entries).await;
    }
    store.remove_peer("203.0.113.5").await;
    assert_eq!(store.registry.stats().await, Ok(Stats::default()));
    store.publish(&legacy("203.0.113.5"), &[entry("7", "def"), entry("new", "abc")]).await;
    let store = store.reopen(60).await;
    assert_eq!(store.files("", 10).await, ["7", "new"]);
    assert_eq!(store.holders("7").await.first().unwrap().hash.as_str(), "def");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_peer_that_publishes_again_has_only_that_after_a_restart() {
    let store = Store::embedded(60).await;
    store.add("203.0.113.5", "old", "abc").await;
    store.remove_peer("203.0.113.5").await;
    store.add("203.0.113.5", "new", "abc").await;
    let store = store.reopen(60).await;
    assert_eq!(store.files("", 10).await, ["new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_changes_to_one_mapping_in_one_group_the_last_counts_after_a_restart() {
    let store = Store::embedded(60).await;
    for _ in 0..5 {
        store.add("203.0.113.5", "kept", "abc").await;
        store.add("203.0.113.5", "removed", "abc").await;
        store.remove("203.0.113.5", "kept").await;
        store.remove("203.0.113.5", "removed").await;
        store.add("203.0.113.5", "kept", "def").await;
    }
    let store = store.reopen(60).await;
    assert_eq!(store.files("", 10).await, ["kept"]);
    assert_eq!(store.reopen(60).await.peers("kept").await, set(["203.0.113.5"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn signs_of_life_survive_a_restart() {
    let store = Store::embedded(3).await;
    store.add("203.0.113.5", "a", "abc").await;
    store.add("198.51.100.1", "a", "abc").await;
    eventually("only who asked lives", || async {
        store.peers_for("203.0.113.5", "a", 10).await.unwrap().len() == 1
    })
    .await;
    let store = store.reopen(3).await;
    assert_eq!(store.peers("a").await, set(["203.0.113.5"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_swept_stay_away_after_a_restart() {
    let store = Store::embedded(1).await;
    store.add("203.0.113.5", "a", "abc").await;
    eventually("swept", || async { store.sweep().await == 1 }).await;
    let store = store.reopen(0).await;
    assert_eq!(store.files("", 10).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_use_is_refused_and_free_again_after_close() {
    let store = Store::embedded(60).await;
    let Home::Embedded(dir) = &store.home else { panic!("an embedded store has a folder") };
    let second = EmbeddedRegistry::open(dir.path(), PeerTtl::from_secs(60), Bounds::default()).err();
    let expected = format!(
        "DATA_DIR {}: in use by another process; end that one, or set a DATA_DIR of its own for this one",
        dir.path().display()
    );
    assert_eq!(second, Some(RegistryError::Broken(expected)));
    store.reopen(60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = EmbeddedRegistry::open(file.path(), PeerTtl::from_secs(60), Bounds::default()).err().unwrap();
    assert!(error.to_string().starts_with(&format!("DATA_DIR {}: ", file.path().display())), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_store_refuses_changes_and_says_so() {
    let store = Store::embedded(60).await;
    store.registry.close().await;
    let refused = store.registry.publish(&legacy("203.0.113.5"), &[entry("a", "abc")]).await;
    assert_eq!(refused, Err(RegistryError::Unavailable("the store is closed".to_owned())));
    assert!(store.registry.ready().is_err());
}
