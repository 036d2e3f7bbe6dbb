//! What is promised of reports, as far as it needs no clock.

use peer_core::limits::WITHHELD_WAIT_SECS;
use registry::{Report, Verdict};

use crate::opener::{Opener, promises};
use crate::store::{STRANGER, Store, ask, entry, key, keyed, legacy, peer, report, set};

promises! {
    what_was_reported_is_hidden_from_its_reporter_only
    a_report_of_all_files_hides_all_of_them
    a_report_of_an_address_hides_all_peers_there
    a_report_of_an_id_hides_only_that
    a_report_about_what_is_not_there_does_nothing
    reports_of_three_networks_withhold_a_mapping
    reports_of_three_networks_withhold_a_whole_peer
    one_decisive_report_withholds
    it_comes_back_at_once_the_first_time_and_waits_the_second
    old_reports_do_not_count_after_the_return
    reports_of_an_address_do_not_count_against_a_key_there
}

const REPORTER: &str = "198.51.100.1";

async fn what_was_reported_is_hidden_from_its_reporter_only(opener: Opener) {
    let store = opener.open(60).await;
    for file in ["a", "b"] {
        store.add("203.0.113.5", file, "abc").await;
        store.add("203.0.113.6", file, "abc").await;
    }
    store.report(REPORTER, peer("203.0.113.5").into(), Some("a")).await;
    assert_eq!(store.peers_for(REPORTER, "a", 10).await.unwrap(), set(["203.0.113.6"]));
    assert_eq!(store.ask(REPORTER, &ask("a")).await.holders.len(), 1);
    assert_eq!(store.peers_for(REPORTER, "b", 10).await.unwrap().len(), 2);
    assert_eq!(store.peers("a").await.len(), 2);
    // A publish does not show it to its reporter again.
    store.add("203.0.113.5", "a", "abc").await;
    assert_eq!(store.peers_for(REPORTER, "a", 10).await.unwrap(), set(["203.0.113.6"]));
    assert_eq!(store.files("", 10).await, ["a", "b"]);
}

async fn a_report_of_all_files_hides_all_of_them(opener: Opener) {
    let store = opener.open(60).await;
    store.add("203.0.113.5", "a", "abc").await;
    store.report(REPORTER, peer("203.0.113.5").into(), None).await;
    store.add("203.0.113.5", "b", "abc").await;
    for file in ["a", "b"] {
        assert_eq!(store.peers_for(REPORTER, file, 10).await.unwrap(), set([]));
        assert_eq!(store.peers(file).await, set(["203.0.113.5"]));
    }
}

async fn a_report_of_an_address_hides_all_peers_there(opener: Opener) {
    let store = opener.open(60).await;
    store.add("203.0.113.5", "a", "abc").await;
    for byte in 1..=3 {
        store.publish(&keyed(byte, "203.0.113.5"), &[entry("a", "abc"), entry("b", "abc")]).await;
    }
    for file in ["a", "b"] {
        store.report(REPORTER, peer("203.0.113.5").into(), Some(file)).await;
        assert_eq!(store.peers_for(REPORTER, file, 10).await.unwrap(), set([]));
        assert_eq!(store.ask(REPORTER, &ask(file)).await.holders, []);
        assert_eq!(store.peers(file).await, set(["203.0.113.5"]));
    }
}

async fn a_report_of_an_id_hides_only_that(opener: Opener) {
    let store = opener.open(60).await;
    for byte in 1..=2 {
        store.publish(&keyed(byte, "203.0.113.5"), &[entry("a", "abc")]).await;
    }
    store.report(REPORTER, key(1), Some("a")).await;
    let found = store.ask(REPORTER, &ask("a")).await.holders;
    assert_eq!(found.iter().map(|holder| holder.owner).collect::<Vec<_>>(), [key(2)]);
    // It stays hidden wherever it goes.
    assert!(store.heartbeat(&keyed(1, "203.0.113.9")).await);
    assert_eq!(store.ask(REPORTER, &ask("a")).await.holders.len(), 1);
    assert_eq!(store.owners("a").await, [key(1), key(2)].into());
}

async fn a_report_about_what_is_not_there_does_nothing(opener: Opener) {
    let store = opener.open(60).await;
    store.add("203.0.113.5", "a", "abc").await;
    for subject in [peer("203.0.113.5").into(), peer("203.0.113.6").into(), key(1)] {
        store.withhold(subject, Some("b")).await;
    }
    store.withhold(peer("203.0.113.6").into(), None).await;
    store.withhold(key(1), None).await;
    store.add("203.0.113.5", "b", "abc").await;
    store.add("203.0.113.6", "b", "abc").await;
    store.publish(&keyed(1, "203.0.113.7"), &[entry("b", "abc")]).await;
    assert_eq!(store.peers("b").await.len(), 3);
    assert_eq!(store.peers_for(REPORTER, "b", 10).await.unwrap().len(), 3);
}

async fn reports_of_three_networks_withhold_a_mapping(opener: Opener) {
    let store = opener.open(60).await;
    for file in ["a", "b"] {
        store.add("203.0.113.5", file, "abc").await;
    }
    // Several of one network are as good as one.
    for reporter in ["198.51.100.1", "198.51.100.2", "198.51.100.1", "2001:db8:77::1", "2001:db8:77:1::1"] {
        store.report(reporter, peer("203.0.113.5").into(), Some("a")).await;
        assert_eq!(store.peers("a").await, set(["203.0.113.5"]));
    }
    store.report("203.0.113.250", peer("203.0.113.5").into(), Some("a")).await;
    assert_eq!(store.peers("a").await, set([]));
    assert_eq!(store.holders("a").await, []);
    assert_eq!(store.files("", 10).await, ["b"]);
    assert_eq!(store.peers("b").await, set(["203.0.113.5"]));
    // That it asks for something is not enough, nor that it publishes something else.
    store.peers_for("203.0.113.5", "a", 10).await.unwrap();
    store.add("203.0.113.5", "b", "abc").await;
    assert_eq!(store.peers("a").await, set([]));
}

async fn reports_of_three_networks_withhold_a_whole_peer(opener: Opener) {
    let store = opener.open(60).await;
    let me = keyed(1, "203.0.113.5");
    store.publish(&me, &[entry("a", "abc"), entry("b", "abc")]).await;
    store.add("203.0.113.5", "b", "abc").await;
    store.withhold(key(1), None).await;
    assert_eq!(store.files("", 10).await, ["b"]);
    assert_eq!(store.owners("b").await, [peer("203.0.113.5").into()].into());
    assert!(store.heartbeat(&me).await);
    assert_eq!(store.files("", 10).await, ["a", "b"]);
    // The second time it has to wait, with whatever it publishes.
    store.withhold(key(1), None).await;
    assert!(store.heartbeat(&me).await);
    let verdicts = store.publish(&me, &[entry("c", "abc"), entry("a", "abc")]).await;
    assert!(verdicts.iter().all(|verdict| waits(*verdict)), "{verdicts:?}");
    assert_eq!(store.files("", 10).await, ["b"]);
}

async fn one_decisive_report_withholds(opener: Opener) {
    let store = opener.open(60).await;
    store.add("203.0.113.5", "a", "abc").await;
    let report = Report { decisive: true, ..report(REPORTER, peer("203.0.113.5").into(), Some("a")) };
    store.registry.report(&report).await.unwrap();
    assert_eq!(store.peers("a").await, set([]));
}

async fn it_comes_back_at_once_the_first_time_and_waits_the_second(opener: Opener) {
    for by_heartbeat in [false, true] {
        let store = opener.open(60).await;
        store.add("203.0.113.5", "a", "abc").await;
        store.withhold(peer("203.0.113.5").into(), Some("a")).await;
        assert_eq!(store.peers("a").await, set([]));
        if by_heartbeat {
            assert!(store.heartbeat(&legacy("203.0.113.5")).await);
        } else {
            store.add("203.0.113.5", "a", "abc").await;
        }
        assert_eq!(store.peers("a").await, set(["203.0.113.5"]));
        store.withhold(peer("203.0.113.5").into(), Some("a")).await;
        assert!(store.heartbeat(&legacy("203.0.113.5")).await);
        assert_waits(&store).await;
        // Nor does it help to leave.
        store.remove_peer("203.0.113.5").await;
        assert_waits(&store).await;
    }
}

async fn assert_waits(store: &Store) {
    let verdicts = store.publish(&legacy("203.0.113.5"), &[entry("a", "abc"), entry("b", "abc")]).await;
    let [first, second] = verdicts.as_slice() else { panic!("{verdicts:?}") };
    assert!(waits(*first), "{first:?}");
    assert_eq!(*second, Verdict::Listed);
    assert_eq!(store.peers("a").await, set([]));
    assert_eq!(store.files("", 10).await, ["b"]);
}

/// Whether a verdict gives the wait of the second time, of which little has passed.
fn waits(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Withheld { secs } if (WITHHELD_WAIT_SECS - 30..=WITHHELD_WAIT_SECS).contains(&secs))
}

async fn old_reports_do_not_count_after_the_return(opener: Opener) {
    let store = opener.open(60).await;
    store.add("203.0.113.5", "a", "abc").await;
    store.withhold(peer("203.0.113.5").into(), Some("a")).await;
    store.add("203.0.113.5", "a", "abc").await;
    for reporter in ["192.0.2.1", "100.64.0.1"] {
        store.report(reporter, peer("203.0.113.5").into(), Some("a")).await;
    }
    assert_eq!(store.peers_for("100.127.0.1", "a", 10).await.unwrap(), set(["203.0.113.5"]));
    store.report("100.65.0.1", peer("203.0.113.5").into(), Some("a")).await;
    assert_eq!(store.peers_for("100.127.0.1", "a", 10).await.unwrap(), set([]));
}

async fn reports_of_an_address_do_not_count_against_a_key_there(opener: Opener) {
    let store = opener.open(60).await;
    store.publish(&keyed(1, "203.0.113.5"), &[entry("a", "abc")]).await;
    store.add("203.0.113.5", "a", "abc").await;
    store.withhold(peer("203.0.113.5").into(), Some("a")).await;
    store.withhold(peer("203.0.113.5").into(), None).await;
    assert_eq!(store.ask(STRANGER, &ask("a")).await.total, 2);
    assert_eq!(store.owners("a").await, [key(1)].into());
    assert_eq!(store.peers("a").await, set(["203.0.113.5"]));
}
