//! A master that dies or is replaced, with Sentinels that say who is the master next.

use std::time::{Duration, Instant};

use black_box::sentinel::SentinelSetup;

use crate::failover::{Load, publishes_again};
use crate::store::{Home, Store, eventually, set};

async fn open() -> Store {
    Store::open(Home::Sentinel(SentinelSetup::start_new()), 60).await
}

fn setup(store: &mut Store) -> &mut SentinelSetup {
    match &mut store.home {
        Home::Sentinel(setup) => setup,
        _ => panic!("a store behind Sentinels"),
    }
}

/// For as long as it takes that what comes before a crash can be told from its last second.
async fn a_while() {
    tokio::time::sleep(Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_replica_of_a_master_that_was_killed_is_written_to_and_nothing_older_than_a_second_is_lost() {
    let mut store = open().await;
    let load = Load::start(&store.registry);
    a_while().await;
    let crash = Instant::now();
    setup(&mut store).master().kill9();
    eventually("the loss is noticed", || async { store.registry.ready().is_err() }).await;
    publishes_again(&store.registry).await;
    let log = load.end().await;
    log.report("kill -9 of a master behind Sentinels");
    assert!(log.failures() > 0, "it was away");
    log.check(&store, crash).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_became_a_replica_is_left_though_it_lives() {
    let mut store = open().await;
    store.add("203.0.113.5", "a", "abc").await;
    let before = setup(&mut store).master().address();
    let load = Load::start(&store.registry);
    a_while().await;
    let change = Instant::now();
    setup(&mut store).fail_over();
    let mut at = before;
    while at == before {
        assert!(change.elapsed() < Duration::from_secs(20), "nobody took over");
        tokio::time::sleep(Duration::from_millis(20)).await;
        at = setup(&mut store).master().address();
    }
    publishes_again(&store.registry).await;
    let log = load.end().await;
    log.report("a failover that an operator asked for");
    log.check(&store, change).await;
    assert_eq!(store.peers("a").await, set(["203.0.113.5"]));
}
