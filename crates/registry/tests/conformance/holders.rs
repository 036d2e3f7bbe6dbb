//! What is promised of the peers of a file, and of lookups of several.

use std::collections::BTreeSet;

use peer_core::limits::{HOLDERS_MAX, LOOKUP_MAX};
use registry::{Entry, Holders, HoldersQuery, Publisher};

use crate::opener::{Opener, promises};
use crate::store::{STRANGER, ask, entry, key, keyed, legacy, peer};

promises! {
    a_holder_comes_with_all_that_it_said
    the_newest_hash_and_size_of_an_owner_count
    holders_can_be_asked_for_by_hash
    holders_can_be_left_out_by_owner_and_by_address
    a_caller_is_left_out_but_not_who_has_a_key_at_its_address
    holders_are_sampled_and_all_of_them_counted
    several_files_are_looked_up_in_the_order_asked_for
}

async fn a_holder_comes_with_all_that_it_said(opener: Opener) {
    let store = opener.open(60).await;
    let me = Publisher { port: Some(4_001), ..keyed(1, "203.0.113.5") };
    let file = Entry { size: Some((1 << 53) - 1), ..entry("a", "sha256:abc") };
    store.publish(&me, &[file]).await;
    let holders = store.holders("a").await;
    let [holder] = holders.as_slice() else { panic!("{holders:?}") };
    assert_eq!((holder.owner, holder.address, holder.port), (key(1), peer("203.0.113.5"), Some(4_001)));
    assert_eq!((holder.hash.as_str(), holder.size), ("sha256:abc", Some((1 << 53) - 1)));
    let now_ms = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
    assert!(now_ms.abs_diff(u128::from(holder.last_seen_ms)) < 20_000, "{}", holder.last_seen_ms);
}

async fn the_newest_hash_and_size_of_an_owner_count(opener: Opener) {
    let store = opener.open(60).await;
    let sized = |hash, size| Entry { size, ..entry("a", hash) };
    store.publish(&legacy("203.0.113.6"), &[sized("other", Some(0))]).await;
    for file in [sized("one", Some(7)), sized("two", None), sized("two", Some(9)), sized("three", Some(8))] {
        store.publish(&legacy("203.0.113.5"), std::slice::from_ref(&file)).await;
        let holders = store.holders("a").await;
        let found: Vec<_> = holders.iter().map(|it| (it.hash.clone(), it.size)).collect();
        assert_eq!(found, [(file.hash, file.size), ("other".parse().unwrap(), Some(0))]);
    }
}

async fn holders_can_be_asked_for_by_hash(opener: Opener) {
    let store = opener.open(60).await;
    for number in 1..=40 {
        let hash = if number % 4 == 0 { "rare" } else { "usual" };
        let size = (number % 8 == 0).then_some(1);
        store.publish(&keyed(number, "203.0.113.5"), &[Entry { size, ..entry("a", hash) }]).await;
    }
    let of = |hash: &str| HoldersQuery { hash: Some(hash.parse().unwrap()), ..ask("a") };
    let rare = store.ask(STRANGER, &of("rare")).await;
    assert_eq!(rare.holders.len(), 10);
    assert!(rare.holders.iter().all(|holder| holder.hash.as_str() == "rare"));
    assert_eq!(store.ask(STRANGER, &of("usual")).await.holders.len(), 30);
    assert_eq!(store.ask(STRANGER, &of("none")).await.holders, []);
    assert_eq!(rare.total, 40);
}

async fn holders_can_be_left_out_by_owner_and_by_address(opener: Opener) {
    let store = opener.open(60).await;
    store.publish(&keyed(1, "203.0.113.5"), &[entry("a", "abc")]).await;
    store.publish(&keyed(2, "203.0.113.5"), &[entry("a", "abc")]).await;
    store.publish(&keyed(3, "203.0.113.6"), &[entry("a", "abc")]).await;
    store.add("203.0.113.5", "a", "abc").await;
    let without = async |exclude: Vec<_>| -> BTreeSet<_> {
        let answer = store.ask(STRANGER, &HoldersQuery { exclude, ..ask("a") }).await;
        answer.holders.into_iter().map(|holder| holder.owner).collect()
    };
    assert_eq!(without(vec![key(1)]).await, [key(2), key(3), peer("203.0.113.5").into()].into());
    assert_eq!(without(vec![peer("203.0.113.5").into()]).await, [key(3)].into());
    assert_eq!(without(vec![peer("203.0.113.5").into(), key(3)]).await, BTreeSet::new());
    assert_eq!(without(vec![peer("203.0.113.9").into(), key(9)]).await.len(), 4);
}

async fn a_caller_is_left_out_but_not_who_has_a_key_at_its_address(opener: Opener) {
    let store = opener.open(60).await;
    store.add("203.0.113.5", "a", "abc").await;
    store.publish(&keyed(1, "203.0.113.5"), &[entry("a", "abc")]).await;
    let found = store.ask("203.0.113.5", &ask("a")).await.holders;
    assert_eq!(found.iter().map(|holder| holder.owner).collect::<Vec<_>>(), [key(1)]);
    assert_eq!(store.owners("a").await.len(), 2);
    // The legacy answer has always had the caller in it.
    assert_eq!(store.peers_for("203.0.113.5", "a", 10).await.unwrap().len(), 1);
}

async fn holders_are_sampled_and_all_of_them_counted(opener: Opener) {
    let store = opener.open(60).await;
    for number in 0..250 {
        store.add(&format!("10.0.0.{number}"), "a", "abc").await;
    }
    let mut seen = BTreeSet::new();
    for _ in 0..200 {
        let answer = store.ask(STRANGER, &HoldersQuery { limit: 40, ..ask("a") }).await;
        assert_eq!((answer.total, answer.holders.len()), (250, 40));
        seen.extend(answer.holders.into_iter().map(|holder| holder.owner));
    }
    assert_eq!(seen.len(), 250);
    let most = store.ask(STRANGER, &HoldersQuery { limit: HOLDERS_MAX, ..ask("a") }).await;
    assert_eq!(most.holders.len(), HOLDERS_MAX);
}

async fn several_files_are_looked_up_in_the_order_asked_for(opener: Opener) {
    let store = opener.open(60).await;
    let names: Vec<String> = (0..LOOKUP_MAX).map(|number| format!("site/{number}")).collect();
    for (number, name) in names.iter().enumerate().filter(|(number, _)| number % 3 != 0) {
        store.publish(&legacy("203.0.113.5"), &[entry(name, &format!("hash-{number}"))]).await;
    }
    let queries: Vec<_> = names.iter().rev().map(|name| ask(name)).collect();
    let answers = store.registry.holders(peer(STRANGER), &queries).await.unwrap();
    assert_eq!(answers.len(), LOOKUP_MAX);
    for (number, answer) in (0..LOOKUP_MAX).rev().zip(answers) {
        if number % 3 == 0 {
            assert_eq!(answer, Holders::default());
        } else {
            assert_eq!(answer.total, 1);
            assert_eq!(answer.holders.first().unwrap().hash.as_str(), format!("hash-{number}"));
        }
    }
    assert_eq!(store.registry.holders(peer(STRANGER), &[]).await, Ok(Vec::new()));
}
