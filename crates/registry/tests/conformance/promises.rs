//! What peers that publish and ask are promised.

use std::sync::Arc;
use std::time::{Duration, Instant};

use peer_core::limits::PUBLISH_MAX;
use registry::{FilesQuery, Stats, Verdict};

use crate::opener::{FOR_EVER, Opener, promises};
use crate::store::{STRANGER, entry, eventually, legacy, peer, set};

promises! {
    a_peer_that_publishes_is_found_until_it_withdraws
    publishing_twice_is_the_same_as_once
    what_is_not_there_can_be_withdrawn
    a_peer_that_leaves_takes_its_files_along_and_nobody_elses
    a_long_list_is_sampled_and_every_peer_has_its_turn
    names_are_listed_in_order_page_by_page_by_prefix
    any_name_that_is_valid_is_kept_as_it_is
    ipv4_and_ipv6_peers_are_kept_apart
    a_silent_peer_is_not_handed_out_even_if_no_sweep_runs
    a_sign_of_life_keeps_all_files_of_a_peer
    an_empty_publish_and_a_report_are_signs_of_life
    a_peer_that_returns_from_the_dead_starts_anew
    the_sweep_takes_the_dead_and_leaves_the_living
    the_sweep_renews_what_a_living_peer_published_long_ago
    peers_live_for_ever_when_told_so
    concurrent_changes_leave_every_index_right
    a_peer_with_many_files_leaves_whole
    a_peer_publishes_many_files_at_once
    counts_are_those_of_what_is_there
    many_publish_withdraw_and_ask_at_once
}

async fn a_peer_that_publishes_is_found_until_it_withdraws(opener: Opener) {
    let store = opener.open(60).await;
    assert_eq!(store.peers("site/a.html").await, set([]));
    store.add("203.0.113.5", "site/a.html", "abc").await;
    store.add("198.51.100.1", "site/a.html", "abc").await;
    assert_eq!(store.peers("site/a.html").await, set(["198.51.100.1", "203.0.113.5"]));
    store.remove("203.0.113.5", "site/a.html").await;
    assert_eq!(store.peers("site/a.html").await, set(["198.51.100.1"]));
    store.remove("198.51.100.1", "site/a.html").await;
    assert_eq!(store.peers("site/a.html").await, set([]));
    assert_eq!(store.files("", 10).await, [""; 0]);
}

async fn publishing_twice_is_the_same_as_once(opener: Opener) {
    let store = opener.open(60).await;
    for hash in ["abc", "abc", "def"] {
        store.add("203.0.113.5", "a", hash).await;
    }
    assert_eq!(store.peers("a").await, set(["203.0.113.5"]));
    store.remove("203.0.113.5", "a").await;
    assert_eq!(store.peers("a").await, set([]));
}

async fn what_is_not_there_can_be_withdrawn(opener: Opener) {
    let store = opener.open(60).await;
    store.remove("203.0.113.5", "a").await;
    store.remove_peer("203.0.113.5").await;
    store.add("198.51.100.1", "a", "abc").await;
    store.remove("203.0.113.5", "a").await;
    store.remove("198.51.100.1", "b").await;
    assert_eq!(store.peers("a").await, set(["198.51.100.1"]));
}

async fn a_peer_that_leaves_takes_its_files_along_and_nobody_elses(opener: Opener) {
    let store = opener.open(60).await;
    for file in ["a", "b", "c"] {
        store.add("203.0.113.5", file, "abc").await;
    }
    store.add("198.51.100.1", "b", "abc").await;
    store.remove_peer("203.0.113.5").await;
    assert_eq!(store.files("", 10).await, ["b"]);
    assert_eq!(store.peers("b").await, set(["198.51.100.1"]));
    store.add("203.0.113.5", "a", "abc").await;
    assert_eq!(store.files("", 10).await, ["a", "b"]);
    assert_eq!(store.peers("b").await, set(["198.51.100.1"]));
}

async fn a_long_list_is_sampled_and_every_peer_has_its_turn(opener: Opener) {
    let store = opener.open(60).await;
    for number in 0..60 {
        store.add(&format!("10.0.0.{number}"), "a", "abc").await;
    }
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let sample = store.peers_for(STRANGER, "a", 10).await.unwrap();
        assert_eq!(sample.len(), 10);
        seen.extend(sample);
    }
    assert_eq!(seen.len(), 60);
    assert_eq!(store.peers("a").await.len(), 60);
}

async fn names_are_listed_in_order_page_by_page_by_prefix(opener: Opener) {
    let store = opener.open(60).await;
    let mut names: Vec<String> = (0..57).map(|number| format!("site/{number}.html")).collect();
    names.extend(["other", "site", "site0", "zoo", "Über", "über"].map(str::to_owned));
    for name in &names {
        store.add("203.0.113.5", name, "abc").await;
    }
    names.sort_unstable();
    for limit in [1, 7, 63, 100] {
        assert_eq!(store.files("", limit).await, names);
        let below: Vec<String> = names.iter().filter(|name| name.starts_with("site/")).cloned().collect();
        assert_eq!(store.files("site/", limit).await, below);
    }
    assert_eq!(store.files("nothing", 10).await, [""; 0]);
    let from = FilesQuery { prefix: "site/".to_owned(), after: Some("a".to_owned()), limit: 1 };
    let page = store.registry.files(peer(STRANGER), &from).await.unwrap();
    assert_eq!(page.files.len(), 1);
    assert_eq!(page.files.first().unwrap().name, "site/0.html");
    store.add("203.0.113.6", "site/0.html", "abc").await;
    let listed = store.listing(STRANGER, "site/", 10).await;
    let counts = listed.iter().map(|file| file.peers).collect::<Vec<_>>();
    assert_eq!(counts.iter().filter(|count| **count == 1).count(), 56);
    assert_eq!(counts.first(), Some(&2));
}

async fn any_name_that_is_valid_is_kept_as_it_is(opener: Opener) {
    let store = opener.open(60).await;
    let long = "x".repeat(1_024);
    let names =
        ["a}b", "{a}", "a b+c%20.html", "it's \"quoted\"", "文件/ü.html", "a:peers", "*?[x]", "%00", &long];
    for name in names {
        store.add("203.0.113.5", name, "sha256:a+/=_.-").await;
        assert_eq!(store.peers(name).await, set(["203.0.113.5"]), "{name}");
    }
    assert_eq!(store.files("", 100).await.len(), names.len());
}

async fn ipv4_and_ipv6_peers_are_kept_apart(opener: Opener) {
    let store = opener.open(60).await;
    store.add("::ffff:203.0.113.5", "a", "abc").await;
    store.add("203.0.113.5", "a", "abc").await;
    store.add("2001:DB8::5", "a", "abc").await;
    assert_eq!(store.peers("a").await, set(["2001:db8::5", "203.0.113.5"]));
}

async fn a_silent_peer_is_not_handed_out_even_if_no_sweep_runs(opener: Opener) {
    let store = opener.open(1).await;
    store.add("203.0.113.5", "a", "abc").await;
    assert_eq!(store.peers("a").await, set(["203.0.113.5"]));
    eventually("the silent peer is hidden", || async { store.peers("a").await.is_empty() }).await;
    assert_eq!(store.files("", 10).await, [""; 0]);
}

async fn a_sign_of_life_keeps_all_files_of_a_peer(opener: Opener) {
    let store = opener.open(2).await;
    for file in ["a", "b", "c"] {
        store.add("203.0.113.5", file, "abc").await;
        store.add("198.51.100.1", file, "abc").await;
    }
    // One of them asks for something now and then, and never publishes again. The other is silent.
    eventually("the silent peer is gone", || async {
        let peers = store.peers_for("203.0.113.5", "a", 10).await.unwrap();
        assert!(peers.contains("203.0.113.5"));
        peers.len() == 1
    })
    .await;
    for file in ["a", "b", "c"] {
        assert_eq!(store.peers(file).await, set(["203.0.113.5"]));
    }
}

async fn an_empty_publish_and_a_report_are_signs_of_life(opener: Opener) {
    let store = opener.open(2).await;
    for peer in ["203.0.113.1", "203.0.113.2", "203.0.113.3"] {
        store.add(peer, "a", "abc").await;
    }
    eventually("the silent peer is gone", || async {
        assert_eq!(store.publish(&legacy("203.0.113.1"), &[]).await, []);
        store.report("203.0.113.2", peer("203.0.113.3").into(), Some("none")).await;
        let peers = store.peers("a").await;
        assert!(peers.is_superset(&set(["203.0.113.1", "203.0.113.2"])));
        peers.len() == 2
    })
    .await;
    // It brings nobody back.
    assert_eq!(store.publish(&legacy("203.0.113.3"), &[]).await, []);
    assert!(!store.heartbeat(&legacy("203.0.113.3")).await);
}

async fn a_peer_that_returns_from_the_dead_starts_anew(opener: Opener) {
    let store = opener.open(1).await;
    store.add("203.0.113.5", "old", "abc").await;
    eventually("the silent peer is hidden", || async { store.peers("old").await.is_empty() }).await;
    // Asking does not bring it back.
    store.peers_for("203.0.113.5", "old", 10).await.unwrap();
    assert_eq!(store.peers("old").await, set([]));
    store.add("203.0.113.5", "new", "abc").await;
    assert_eq!(store.files("", 10).await, ["new"]);
    assert_eq!(store.peers("old").await, set([]));
}

async fn the_sweep_takes_the_dead_and_leaves_the_living(opener: Opener) {
    let store = opener.open(2).await;
    for file in ["a", "b"] {
        store.add("203.0.113.5", file, "abc").await;
        store.add("198.51.100.1", file, "abc").await;
    }
    assert_eq!(store.sweep().await, 0);
    eventually("the sweep took two mappings", || async {
        store.peers_for("203.0.113.5", "a", 10).await.unwrap();
        let swept = store.sweep().await;
        assert!(swept == 0 || swept == 2, "{swept}");
        swept == 2
    })
    .await;
    assert_eq!(store.peers("a").await, set(["203.0.113.5"]));
    eventually("the sweep took the rest", || async { store.sweep().await == 2 }).await;
    assert_eq!(store.files("", 10).await, [""; 0]);
}

async fn the_sweep_renews_what_a_living_peer_published_long_ago(opener: Opener) {
    let store = opener.open(1).await;
    store.add("203.0.113.5", "a", "abc").await;
    let five_lives = Instant::now() + Duration::from_secs(5);
    while Instant::now() < five_lives {
        assert_eq!(store.peers_for("203.0.113.5", "a", 10).await.unwrap().len(), 1);
        assert_eq!(store.sweep().await, 0);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn peers_live_for_ever_when_told_so(opener: Opener) {
    let store = opener.open(FOR_EVER).await;
    store.add("203.0.113.5", "a", "abc").await;
    assert_eq!(store.sweep().await, 0);
    let store = store.reopen(FOR_EVER).await;
    assert_eq!(store.peers("a").await, set(["203.0.113.5"]));
}

async fn concurrent_changes_leave_every_index_right(opener: Opener) {
    let store = Arc::new(opener.open(60).await);
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..8_u8 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let me = format!("203.0.113.{worker}");
            for round in 0..60 {
                let file = format!("site/{}", (round * 7 + usize::from(worker)) % 11);
                store.add(&me, &file, "abc").await;
                match round % 5 {
                    3 => store.remove(&me, &file).await,
                    4 if round % 20 == 19 => store.remove_peer(&me).await,
                    _ => {}
                }
            }
            store.remove_peer(&me).await;
            store.add(&me, &format!("last/{worker}"), "abc").await;
        });
    }
    tasks.join_all().await;
    let expected: Vec<String> = (0..8).map(|worker| format!("last/{worker}")).collect();
    assert_eq!(store.files("", 100).await, expected);
    for number in 0..11 {
        assert_eq!(store.peers(&format!("site/{number}")).await, set([]));
    }
}

async fn a_peer_with_many_files_leaves_whole(opener: Opener) {
    let store = opener.open(60).await;
    for number in 0..1_050 {
        store.add("203.0.113.5", &format!("site/{number:04}"), "abc").await;
    }
    store.add("198.51.100.1", "site/0000", "abc").await;
    store.remove_peer("203.0.113.5").await;
    assert_eq!(store.files("", 1_000).await, ["site/0000"]);
}

async fn a_peer_publishes_many_files_at_once(opener: Opener) {
    let store = opener.open(60).await;
    let entries: Vec<_> = (0..PUBLISH_MAX).map(|number| entry(&format!("site/{number:04}"), "abc")).collect();
    assert_eq!(store.publish(&legacy("203.0.113.5"), &entries).await, vec![Verdict::Listed; PUBLISH_MAX]);
    assert_eq!(store.files("site/", 1_000).await.len(), PUBLISH_MAX);
    let some: Vec<String> = (0..500).map(|number| format!("site/{number:04}")).collect();
    let some: Vec<&str> = some.iter().map(String::as_str).collect();
    store.unpublish(peer("203.0.113.5").into(), &some).await;
    assert_eq!(store.files("site/", 1_000).await.len(), PUBLISH_MAX - 500);
    assert_eq!(store.publish(&legacy("203.0.113.6"), &[]).await, []);
}

async fn counts_are_those_of_what_is_there(opener: Opener) {
    let store = opener.open(60).await;
    assert_eq!(store.registry.stats().await, Ok(Stats::default()));
    for (caller, file) in [("10.0.0.1", "a"), ("10.0.0.1", "b"), ("10.0.0.2", "b"), ("10.0.0.2", "b")] {
        store.add(caller, file, "abc").await;
    }
    assert_eq!(store.registry.stats().await, Ok(Stats { peers: 2, files: 2, mappings: 3 }));
    store.remove("10.0.0.1", "a").await;
    assert_eq!(store.registry.stats().await, Ok(Stats { peers: 2, files: 1, mappings: 2 }));
    store.remove_peer("10.0.0.2").await;
    store.remove("10.0.0.1", "b").await;
    assert_eq!(store.registry.stats().await, Ok(Stats::default()));
}

async fn many_publish_withdraw_and_ask_at_once(opener: Opener) {
    let store = Arc::new(opener.open(60).await);
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..8_u8 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let me = legacy(&format!("203.0.113.{worker}"));
            let entries: Vec<_> = (0..40).map(|number| entry(&format!("site/{number:02}"), "abc")).collect();
            for round in 0..20 {
                assert_eq!(store.publish(&me, &entries).await.len(), 40);
                // What was acknowledged is seen by the next read, whatever others do.
                assert!(store.peers("site/07").await.contains(&me.address.to_string()));
                if round % 2 == 0 {
                    store.unpublish_all(me.owner).await;
                    assert!(!store.peers("site/07").await.contains(&me.address.to_string()));
                }
            }
        });
    }
    tasks.join_all().await;
    let listed = store.listing(STRANGER, "", 100).await;
    assert_eq!(listed.len(), 40);
    assert!(listed.iter().all(|file| file.peers == 8), "{listed:?}");
    assert_eq!(store.registry.stats().await, Ok(Stats { peers: 8, files: 40, mappings: 320 }));
}
