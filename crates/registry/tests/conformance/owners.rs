//! What the owners of keys are promised, and how long a peer lives.

use registry::{Publisher, Verdict};

use crate::opener::{FOR_EVER, Opener, promises};
use crate::store::{ask, entry, eventually, key, keyed, legacy, peer, set};

promises! {
    mappings_of_a_key_belong_to_it_wherever_it_is
    a_peer_with_a_key_is_found_where_it_published_or_was_heard_last
    peers_at_one_address_are_kept_apart
    a_heartbeat_keeps_all_files_and_brings_no_dead_peer_back
    each_peer_lives_as_long_as_it_asked_for_and_never_longer
    a_request_from_its_address_is_no_sign_of_life_of_a_key
    a_token_serves_once_within_its_time
}

async fn mappings_of_a_key_belong_to_it_wherever_it_is(opener: Opener) {
    let store = opener.open(60).await;
    store.publish(&keyed(1, "203.0.113.5"), &[entry("a", "abc"), entry("b", "abc")]).await;
    // Who is at the address has nothing to withdraw.
    store.remove("203.0.113.5", "a").await;
    store.remove_peer("203.0.113.5").await;
    store.unpublish(key(2), &["a"]).await;
    assert_eq!(store.peers("a").await, set(["203.0.113.5"]));
    store.unpublish(key(1), &["a"]).await;
    assert_eq!(store.files("", 10).await, ["b"]);
    store.unpublish_all(key(1)).await;
    assert_eq!(store.files("", 10).await, [""; 0]);
}

async fn a_peer_with_a_key_is_found_where_it_published_or_was_heard_last(opener: Opener) {
    let store = opener.open(60).await;
    let mut me = Publisher { port: Some(4_001), ..keyed(1, "203.0.113.5") };
    store.publish(&me, &[entry("a", "abc")]).await;
    me.address = peer("2001:db8::5");
    store.publish(&me, &[entry("b", "abc")]).await;
    for file in ["a", "b"] {
        assert_eq!(store.peers(file).await, set(["2001:db8::5"]));
    }
    (me.address, me.port) = (peer("198.51.100.7"), Some(4_002));
    assert!(store.heartbeat(&me).await);
    let holders = store.holders("a").await;
    let found: Vec<_> = holders.iter().map(|it| (it.owner, it.address, it.port)).collect();
    assert_eq!(found, [(key(1), peer("198.51.100.7"), Some(4_002))]);
    me.port = None;
    assert!(store.heartbeat(&me).await);
    assert_eq!(store.holders("a").await.first().unwrap().port, None);
    (me.address, me.port) = (peer("192.0.2.8"), Some(4_003));
    assert_eq!(store.publish(&me, &[]).await, []);
    let holders = store.holders("a").await;
    let found: Vec<_> = holders.iter().map(|it| (it.address, it.port)).collect();
    assert_eq!(found, [(peer("192.0.2.8"), Some(4_003))]);
}

async fn peers_at_one_address_are_kept_apart(opener: Opener) {
    let store = opener.open(60).await;
    store.publish(&keyed(1, "203.0.113.5"), &[entry("a", "one")]).await;
    store.publish(&keyed(2, "203.0.113.5"), &[entry("a", "two")]).await;
    store.add("203.0.113.5", "a", "three").await;
    assert_eq!(store.peers("a").await, set(["203.0.113.5"]), "no address twice");
    assert_eq!(store.owners("a").await, [key(1), key(2), peer("203.0.113.5").into()].into());
    store.unpublish_all(key(1)).await;
    assert_eq!(store.owners("a").await, [key(2), peer("203.0.113.5").into()].into());
    store.remove_peer("203.0.113.5").await;
    assert_eq!(store.owners("a").await, [key(2)].into());
}

async fn a_heartbeat_keeps_all_files_and_brings_no_dead_peer_back(opener: Opener) {
    let store = opener.open(2).await;
    let (me, silent) = (keyed(1, "203.0.113.5"), keyed(2, "203.0.113.6"));
    assert!(!store.heartbeat(&me).await, "it has published nothing");
    for publisher in [&me, &silent] {
        store.publish(publisher, &[entry("a", "abc"), entry("b", "abc")]).await;
    }
    eventually("the silent peer is gone", || async {
        assert!(store.heartbeat(&me).await);
        store.owners("a").await == [key(1)].into()
    })
    .await;
    assert_eq!(store.owners("b").await, [key(1)].into());
    assert!(!store.heartbeat(&silent).await);
    assert_eq!(store.owners("a").await, [key(1)].into());
    store.publish(&silent, &[entry("b", "abc")]).await;
    assert!(store.heartbeat(&silent).await);
    assert_eq!(store.owners("a").await, [key(1)].into());
    // Without a file there is nothing to keep.
    store.unpublish(key(2), &["b"]).await;
    assert!(!store.heartbeat(&silent).await);
}

async fn each_peer_lives_as_long_as_it_asked_for_and_never_longer(opener: Opener) {
    let store = opener.open(4).await;
    let asks = |byte, ttl_secs| Publisher { ttl_secs, ..keyed(byte, "203.0.113.5") };
    for (byte, ttl_secs) in [(1, Some(1)), (2, None), (3, Some(3_600)), (4, Some(1))] {
        store.publish(&asks(byte, ttl_secs), &[entry("a", "abc")]).await;
    }
    // A heartbeat may change it, and leaves it where it says nothing of it.
    assert!(store.heartbeat(&asks(4, Some(3_600))).await);
    assert!(store.heartbeat(&asks(1, None)).await);
    eventually("the short-lived is gone", || async {
        assert!(store.heartbeat(&asks(2, None)).await && store.heartbeat(&asks(4, None)).await);
        let alive = store.owners("a").await;
        assert!(alive.contains(&key(2)) && alive.contains(&key(4)));
        !alive.contains(&key(1))
    })
    .await;
    eventually("nobody outlives the registry's time", || async {
        assert!(store.heartbeat(&asks(2, None)).await);
        !store.owners("a").await.contains(&key(3))
    })
    .await;
    let store = opener.open(FOR_EVER).await;
    store.publish(&asks(1, Some(1)), &[entry("a", "abc")]).await;
    store.publish(&asks(2, None), &[entry("a", "abc")]).await;
    eventually("it asked for a second", || async { store.owners("a").await == [key(2)].into() }).await;
}

async fn a_request_from_its_address_is_no_sign_of_life_of_a_key(opener: Opener) {
    let store = opener.open(1).await;
    store.publish(&keyed(1, "203.0.113.5"), &[entry("a", "abc")]).await;
    eventually("it is silent", || async {
        store.peers_for("203.0.113.5", "a", 10).await.unwrap().is_empty()
    })
    .await;
    assert_eq!(store.ask("203.0.113.5", &ask("a")).await.holders, []);
    assert_eq!(store.publish(&legacy("203.0.113.5"), &[entry("a", "abc")]).await, [Verdict::Listed]);
    assert_eq!(store.owners("a").await, [peer("203.0.113.5").into()].into());
}

async fn a_token_serves_once_within_its_time(opener: Opener) {
    let store = opener.open(60).await;
    assert!(store.first_use(1, 60).await && store.first_use(2, 1).await);
    assert!(!store.first_use(1, 60).await);
    eventually("its time is over", || async { store.first_use(2, 60).await }).await;
    assert!(!store.first_use(1, 60).await && !store.first_use(2, 60).await);
    let (a, b) = tokio::join!(store.first_use(3, 60), store.first_use(3, 60));
    assert!(a != b);
    let store = store.reopen(60).await;
    assert!(!store.first_use(1, 60).await, "it is remembered");
}
