//! Several trackers on one Redis.

use std::collections::BTreeSet;
use std::sync::Arc;

use black_box::resp::Reply;
use peer_core::Owner;
use registry::{
    Bounds, HoldersQuery, PeerTtl, Publisher, RedisRegistry, Registry, RegistryError, Stats, Verdict,
};

use crate::redis_only::{at, entry, id, keys, report, report_thrice, server, stats};
use crate::store::{Home, Store, eventually, peer, set};

/// Another tracker on the same Redis.
pub(crate) async fn another(store: &Store, ttl_secs: u64) -> Arc<dyn Registry> {
    let other =
        RedisRegistry::open(&store.home.url(), PeerTtl::from_secs(ttl_secs), Bounds::default()).unwrap();
    let other: Arc<dyn Registry> = Arc::new(other);
    eventually("ready", || async { other.ready().is_ok() }).await;
    other
}

#[tokio::test(flavor = "multi_thread")]
async fn two_trackers_on_one_redis_agree_and_share_the_sweep() {
    let one = Store::redis(1).await;
    let other = another(&one, 1).await;
    for number in 0..40 {
        one.add(&format!("10.0.0.{number}"), "a", "abc").await;
    }
    let file = "a".parse().unwrap();
    assert_eq!(other.addresses(peer("192.0.2.99"), &file, 100).await.unwrap().len(), 40);
    let mut swept = 0;
    while swept < 40 {
        let (here, there) = tokio::join!(one.registry.sweep(), other.sweep());
        swept += here.unwrap().mappings + there.unwrap().mappings;
        tokio::task::yield_now().await;
    }
    assert_eq!(swept, 40, "each mapping went once");
    assert_eq!(keys(server(&one)), [""; 0]);
    assert_eq!(stats(&one).await, Stats::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_trackers_under_load_agree_in_the_end() {
    let store = Store::redis(60).await;
    under_load_they_agree_in_the_end(&store).await;
    assert_eq!(keys(server(&store)), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_trackers_under_load_agree_in_the_end_on_a_cluster() {
    under_load_they_agree_in_the_end(&Store::open(Home::cluster(), 60).await).await;
}

async fn under_load_they_agree_in_the_end(store: &Store) {
    let trackers = [Arc::clone(&store.registry), another(store, 60).await];
    let mut tasks = tokio::task::JoinSet::new();
    for (worker, tracker) in trackers.iter().cycle().take(8).cloned().enumerate() {
        tasks.spawn(async move {
            // Two workers of different trackers are one peer.
            let me = Publisher::legacy(peer(&format!("203.0.113.{}", worker / 2)));
            for round in 0..80 {
                let file = format!("site/{}", (round * 7 + worker) % 11);
                tracker.publish(&me, &[entry(&file)]).await.unwrap();
                match round % 5 {
                    2 => drop(tracker.addresses(me.address, &file.parse().unwrap(), 10).await.unwrap()),
                    3 => tracker.unpublish(me.owner, &[file.parse().unwrap()]).await.unwrap(),
                    4 if round % 20 == 19 => tracker.unpublish_all(me.owner).await.unwrap(),
                    _ => {}
                }
            }
        });
    }
    tasks.join_all().await;
    let mut mappings = 0;
    let mut files = 0;
    for number in 0..11 {
        let query = HoldersQuery {
            file: format!("site/{number}").parse().unwrap(),
            hash: None,
            limit: 100,
            exclude: Vec::new(),
        };
        let mut answers = BTreeSet::new();
        for tracker in &trackers {
            let holders =
                tracker.holders(peer("192.0.2.99"), std::slice::from_ref(&query)).await.unwrap().remove(0);
            let owners: BTreeSet<Owner> = holders.holders.iter().map(|holder| holder.owner).collect();
            assert_eq!(holders.total, owners.len());
            answers.insert(owners);
        }
        assert_eq!(answers.len(), 1, "{number}: {answers:?}");
        let owners = answers.pop_first().unwrap();
        mappings += u64::try_from(owners.len()).unwrap();
        files += u64::from(!owners.is_empty());
    }
    let stats = stats(store).await;
    assert_eq!((stats.mappings, stats.files), (mappings, files));
    for number in 0..4 {
        store.remove_peer(&format!("203.0.113.{number}")).await;
    }
    assert_eq!(store.registry.stats().await.unwrap(), Stats::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_that_are_wrong_are_set_right_by_the_next_process() {
    let store = Store::redis(60).await;
    for file in ["a", "b", "c"] {
        store.add("203.0.113.5", file, "abc").await;
    }
    server(&store).command(&["SET", "p2p:{due:02}:mappings", "99"]);
    // A file whose last peer's data expired while no tracker ran.
    server(&store).command(&["ZADD", "p2p:{names:00}", "0", "site/index.html"]);
    let store = store.reopen(60).await;
    eventually("counted", || async { stats(&store).await == Stats { peers: 1, files: 3, mappings: 3 } })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_counts_on_all_trackers_and_what_is_withheld_comes_back_on_all() {
    let store = Store::redis(60).await;
    let other = another(&store, 60).await;
    let owner = id(1);
    let me = at(owner, "203.0.113.7");
    store.registry.publish(&me, &[entry("a"), entry("b")]).await.unwrap();
    let seen_by = async |registry: &dyn Registry, caller: &str, file: &str| {
        registry.addresses(peer(caller), &file.parse().unwrap(), 10).await.unwrap().len()
    };
    assert_eq!(seen_by(&*other, "192.0.2.1", "a").await, 1);
    // By its address, as a client of the legacy contract knows it.
    other.report(&report("192.0.2.1", peer("203.0.113.7").into(), Some("a"))).await.unwrap();
    assert_eq!(seen_by(&*other, "192.0.2.1", "a").await, 0, "hidden at once where it was reported");
    assert_eq!(seen_by(&*other, "192.0.2.1", "b").await, 1);
    assert_eq!(seen_by(&*other, "192.0.2.2", "a").await, 1, "and from nobody else");
    eventually("hidden on the other tracker", || async {
        seen_by(&*store.registry, "192.0.2.1", "a").await == 0
    })
    .await;
    // Three networks, two trackers.
    store.registry.report(&report("192.0.2.5", owner, Some("a"))).await.unwrap();
    other.report(&report("192.0.2.6", owner, Some("a"))).await.unwrap();
    other.report(&report("198.51.100.5", owner, Some("a"))).await.unwrap();
    assert_eq!(seen_by(&*other, "192.0.2.99", "a").await, 1, "two networks are not enough");
    store.registry.report(&report("2001:db8:9::1", owner, Some("a"))).await.unwrap();
    for registry in [&*store.registry, &*other] {
        assert_eq!(seen_by(registry, "192.0.2.99", "a").await, 0);
        assert_eq!(seen_by(registry, "192.0.2.99", "b").await, 1);
    }
    assert_eq!(store.files("", 10).await, ["b"]);
    assert_eq!(stats(&store).await.mappings, 2, "it is kept");
    assert_eq!(other.heartbeat(&me).await, Ok(true));
    assert_eq!(seen_by(&*store.registry, "192.0.2.99", "a").await, 1, "the first time at once");
    report_thrice(&*store.registry, owner, Some("a")).await;
    let verdicts = other.publish(&me, &[entry("a"), entry("b")]).await.unwrap();
    assert!(matches!(verdicts[..], [Verdict::Withheld { secs: 590..=600 }, Verdict::Listed]), "{verdicts:?}");
    other.unpublish(owner, &["a".parse().unwrap()]).await.unwrap();
    let verdicts = other.publish(&me, &[entry("a")]).await.unwrap();
    assert!(matches!(verdicts[..], [Verdict::Withheld { .. }]), "to withdraw it does not help: {verdicts:?}");
    // As ten minutes later.
    let [secs, _] = &server(&store).command(&["TIME"]).texts()[..] else { panic!("TIME gives two numbers") };
    let long_ago = format!("2 {}000", secs.parse::<u64>().unwrap() - 601);
    server(&store).command(&["HSET", &format!("p2p:{{p:{owner}}}:strikes"), "a", &long_ago]);
    assert_eq!(store.registry.heartbeat(&me).await, Ok(true));
    assert_eq!(seen_by(&*other, "192.0.2.99", "a").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_file_shows_changes_of_its_own_tracker_at_once_and_of_others_soon() {
    let store = Store::redis(60).await;
    let other = another(&store, 60).await;
    let heat = async || {
        for _ in 0..100 {
            store.peers("a").await;
        }
    };
    store.add("203.0.113.5", "a", "abc").await;
    for round in 0..20 {
        heat().await;
        store.add("198.51.100.1", "a", "abc").await;
        assert_eq!(store.peers("a").await, set(["198.51.100.1", "203.0.113.5"]), "{round}");
        heat().await;
        if round % 2 == 0 {
            store.remove("198.51.100.1", "a").await;
        } else {
            store.remove_peer("198.51.100.1").await;
        }
        assert_eq!(store.peers("a").await, set(["203.0.113.5"]), "{round}");
    }
    heat().await;
    other.publish(&Publisher::legacy(peer("198.51.100.1")), &[entry("a")]).await.unwrap();
    let published = std::time::Instant::now();
    while store.peers("a").await.len() < 2 {
        assert!(published.elapsed() < std::time::Duration::from_secs(1));
    }
}

#[tokio::test]
async fn a_thread_with_a_runtime_of_its_own_has_its_own_connection_and_gets_another_when_it_breaks() {
    let store = Store::redis(60).await;
    let clients = || match server(&store).command(&["CLIENT", "LIST", "TYPE", "normal"]) {
        Reply::Text(list) => list.lines().filter(|line| !line.contains("cmd=client|list")).count(),
        reply => panic!("{reply:?}"),
    };
    eventually("two connections", || async {
        store.peers("a").await;
        clients() == 2
    })
    .await;
    server(&store).command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    eventually("two connections again", || async {
        // Some fail until the loss is noticed.
        let answered = store.peers_for("192.0.2.99", "a", 10).await.is_ok();
        answered && clients() == 2
    })
    .await;
    store.add("203.0.113.5", "a", "abc").await;
    assert_eq!(store.peers("a").await, set(["203.0.113.5"]));
}

#[tokio::test]
async fn publishes_of_one_thread_share_calls_and_an_outage_is_told_to_all_of_them() {
    const PUBLISHES: u8 = 200;
    let mut store = Store::redis(60).await;
    let calls = || match server(&store).command(&["INFO", "commandstats"]) {
        Reply::Text(stats) => {
            let of_scripts = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
            of_scripts.and_then(|rest| rest.split(',').next()).map_or(0, |calls| calls.parse().unwrap())
        }
        reply => panic!("{reply:?}"),
    };
    let publish_all = |registry: Arc<dyn Registry>| async move {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..PUBLISHES {
            let registry = Arc::clone(&registry);
            tasks.spawn(async move {
                let publisher = Publisher::legacy(peer(&format!("203.0.113.{number}")));
                (number, registry.publish(&publisher, &[entry(&format!("{number}"))]).await)
            });
        }
        tasks.join_all().await
    };
    // From when on the thread has a connection of its own.
    eventually("calls are shared", || async {
        let before: u64 = calls();
        for (number, verdicts) in publish_all(Arc::clone(&store.registry)).await {
            assert_eq!(verdicts, Ok(vec![Verdict::Listed]));
            let address = format!("203.0.113.{number}");
            assert_eq!(store.peers(&number.to_string()).await, set([address.as_str()]));
        }
        calls() - before < u64::from(PUBLISHES) / 4
    })
    .await;
    let Home::Redis(server) = &mut store.home else { panic!("a Redis store has a server") };
    server.stop();
    let asked = std::time::Instant::now();
    for (_, verdicts) in publish_all(Arc::clone(&store.registry)).await {
        assert!(matches!(verdicts, Err(RegistryError::Unavailable(_))), "{verdicts:?}");
    }
    assert!(asked.elapsed() < std::time::Duration::from_millis(300), "{:?}", asked.elapsed());
    server.cont();
    eventually("ready again", || async { store.registry.ready().is_ok() }).await;
    let publisher = Publisher::legacy(peer("198.51.100.1"));
    eventually("it writes again", || async {
        store.registry.publish(&publisher, &[entry("b")]).await == Ok(vec![Verdict::Listed])
    })
    .await;
}
