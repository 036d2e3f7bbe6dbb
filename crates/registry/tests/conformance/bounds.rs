//! What a store that is full of something is promised to do.

use registry::{Bounds, Report, Stats, Verdict};

use crate::opener::{Opener, promises};
use crate::store::{entry, legacy, peer, set};

promises! {
    a_peer_has_a_bounded_number_of_files_and_may_renew_each
    a_file_has_a_bounded_number_of_peers_and_each_may_renew
    a_file_that_is_named_twice_is_one
    a_peer_that_is_withheld_keeps_its_place
    a_peer_whose_only_file_is_refused_is_none
}

const PEERS: Bounds = Bounds { files_per_peer: 100, peers_per_file: 2 };

async fn a_peer_has_a_bounded_number_of_files_and_may_renew_each(opener: Opener) {
    let store = opener.open_bounded(Bounds { files_per_peer: 2, peers_per_file: 100 }).await;
    let me = legacy("203.0.113.5");
    let verdicts =
        store.publish(&me, &[entry("a", "1"), entry("b", "1"), entry("c", "1"), entry("a", "2")]).await;
    assert_eq!(verdicts, [Verdict::Listed, Verdict::Listed, Verdict::TooManyFiles, Verdict::Listed]);
    assert_eq!(store.peers("c").await, set([]));
    assert_eq!(store.files("", 10).await, ["a", "b"]);
    store.remove("203.0.113.5", "a").await;
    assert_eq!(store.publish(&me, &[entry("c", "1")]).await, [Verdict::Listed]);
    assert_eq!(store.registry.stats().await, Ok(Stats { peers: 1, files: 2, mappings: 2 }));
}

async fn a_file_has_a_bounded_number_of_peers_and_each_may_renew(opener: Opener) {
    let store = opener.open_bounded(PEERS).await;
    store.add("203.0.113.1", "a", "1").await;
    store.add("203.0.113.2", "a", "1").await;
    let late = legacy("203.0.113.3");
    assert_eq!(
        store.publish(&late, &[entry("a", "1"), entry("b", "1")]).await,
        [Verdict::TooManyPeers, Verdict::Listed]
    );
    store.add("203.0.113.1", "a", "2").await;
    assert_eq!(store.peers("a").await, set(["203.0.113.1", "203.0.113.2"]));
    assert_eq!(store.registry.stats().await, Ok(Stats { peers: 3, files: 2, mappings: 3 }));
    store.remove("203.0.113.1", "a").await;
    assert_eq!(store.publish(&late, &[entry("a", "1")]).await, [Verdict::Listed]);
}

async fn a_file_that_is_named_twice_is_one(opener: Opener) {
    let store = opener.open_bounded(PEERS).await;
    store.add("203.0.113.1", "a", "1").await;
    store.add("203.0.113.2", "a", "1").await;
    let late = legacy("203.0.113.3");
    let verdicts =
        store.publish(&late, &[entry("a", "1"), entry("b", "1"), entry("a", "2"), entry("b", "2")]).await;
    let full = Verdict::TooManyPeers;
    assert_eq!(verdicts, [full, Verdict::Listed, full, Verdict::Listed]);
    assert_eq!(store.peers("a").await, set(["203.0.113.1", "203.0.113.2"]));
    let holders = store.holders("b").await;
    assert_eq!(holders.iter().map(|holder| holder.hash.as_str()).collect::<Vec<_>>(), ["2"]);
    assert_eq!(store.registry.stats().await, Ok(Stats { peers: 3, files: 2, mappings: 3 }));
    store.remove_peer("203.0.113.3").await;
    assert_eq!(store.peers("b").await, set([]));
    assert_eq!(store.registry.stats().await, Ok(Stats { peers: 2, files: 1, mappings: 2 }));
}

async fn a_peer_that_is_withheld_keeps_its_place(opener: Opener) {
    let store = opener.open_bounded(PEERS).await;
    store.add("203.0.113.1", "a", "1").await;
    store.add("203.0.113.2", "a", "1").await;
    let report = Report {
        reporter: peer("192.0.2.1"),
        subject: peer("203.0.113.1").into(),
        file: "a".parse().ok(),
        decisive: true,
    };
    store.registry.report(&report).await.unwrap();
    assert_eq!(store.peers("a").await, set(["203.0.113.2"]));
    assert_eq!(store.publish(&legacy("203.0.113.3"), &[entry("a", "1")]).await, [Verdict::TooManyPeers]);
    store.add("203.0.113.1", "a", "1").await;
    assert_eq!(store.peers("a").await, set(["203.0.113.1", "203.0.113.2"]));
}

async fn a_peer_whose_only_file_is_refused_is_none(opener: Opener) {
    let store = opener.open_bounded(Bounds { files_per_peer: 0, peers_per_file: 1 }).await;
    let me = legacy("203.0.113.5");
    assert_eq!(store.publish(&me, &[entry("a", "1")]).await, [Verdict::TooManyFiles]);
    assert!(!store.heartbeat(&me).await);
    drop(store);
    let store = opener.open_bounded(Bounds { files_per_peer: 9, peers_per_file: 1 }).await;
    store.add("203.0.113.1", "a", "1").await;
    assert_eq!(store.publish(&me, &[entry("a", "1")]).await, [Verdict::TooManyPeers]);
    assert!(!store.heartbeat(&me).await);
    assert_eq!(store.registry.stats().await, Ok(Stats { peers: 1, files: 1, mappings: 1 }));
}
