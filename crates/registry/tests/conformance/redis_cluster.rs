//! What the Redis store promises of a Cluster: nothing is left behind by changes in steps, whatever cuts them off, and neither a
//! server that dies nor a slot that moves stops the others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use black_box::cluster::RedisCluster;
use black_box::resp::Reply;
use peer_core::keys::{self, slot};
use peer_core::{FileName, Owner};
use registry::{Stats, Verdict};

use crate::failover::{Load, publishes_again};
use crate::redis_only::stats;
use crate::redis_shared::another;
use crate::store::{Home, Store, entry, eventually, legacy, peer, set};

pub(crate) fn cluster(store: &mut Store) -> &mut RedisCluster {
    match &mut store.home {
        Home::Cluster(cluster) => cluster,
        _ => panic!("a store on a Cluster"),
    }
}

/// Which of three masters has a key.
fn master_of(key: &str) -> usize {
    usize::from(slot(key.as_bytes())) * 3 / 16_384
}

/// All keys but the counts, which stay, and what says that a tracker which has just started counts.
fn all_keys(store: &mut Store) -> Vec<String> {
    let mut all = cluster(store).keys();
    all.retain(|key| !key.ends_with(":mappings") && *key != keys::recount());
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_and_withdrawn_leaves_no_key() {
    let mut store = Store::open(Home::cluster(), 60).await;
    for number in 0..20 {
        store.publish(&legacy(&format!("203.0.113.{number}")), &[entry("a", "1"), entry("b", "1")]).await;
    }
    assert_eq!(stats(&store).await, Stats { peers: 20, files: 2, mappings: 40 });
    let kinds: Vec<String> =
        all_keys(&mut store).into_iter().filter(|key| key.ends_with(":changing")).collect();
    assert_eq!(kinds, [""; 0], "nothing is taken any more");
    for number in 0..10 {
        store.remove_peer(&format!("203.0.113.{number}")).await;
    }
    for number in 10..20 {
        store.unpublish(peer(&format!("203.0.113.{number}")).into(), &["a", "b", "c"]).await;
    }
    assert_eq!(stats(&store).await, Stats::default());
    assert_eq!(all_keys(&mut store), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_swept_leave_no_key_and_many_peers_in_many_slots_go_at_once() {
    let mut store = Store::open(Home::cluster(), 1).await;
    let other = another(&store, 1).await;
    for number in 0..40 {
        store.add(&format!("10.0.0.{number}"), "a", "abc").await;
    }
    assert_eq!(store.peers("a").await.len(), 40);
    let mut swept = 0;
    while swept < 40 {
        let (here, there) = tokio::join!(store.registry.sweep(), other.sweep());
        swept += here.unwrap().mappings + there.unwrap().mappings;
        tokio::task::yield_now().await;
    }
    assert_eq!(swept, 40, "each mapping went once");
    eventually("no key is left", || {
        let left = cluster(&mut store).keys().into_iter().filter(|key| !key.ends_with(":mappings")).count();
        async move { left == 0 }
    })
    .await;
    assert_eq!(stats(&store).await, Stats::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_were_cut_off_between_two_steps_leave_nothing_that_is_not_mended() {
    const PEERS: u8 = 6;
    const FILES: u8 = 5;
    let mut store = Store::open(Home::cluster(), 60).await;
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..2 * PEERS {
        let registry = Arc::clone(&store.registry);
        tasks.spawn(async move {
            // Two workers are one peer.
            let me = legacy(&format!("203.0.113.{}", worker / 2));
            for _ in 0..150 {
                let name = format!("site/{}", fastrand::u8(..FILES));
                let file: FileName = name.parse().unwrap();
                let cut_off = Duration::from_micros(fastrand::u64(..2_500));
                let change = async {
                    match fastrand::u8(..8) {
                        0 => drop(registry.unpublish_all(me.owner).await),
                        1 | 2 => drop(registry.unpublish(me.owner, &[file]).await),
                        3 => drop(registry.heartbeat(&me).await),
                        _ => drop(registry.publish(&me, &[entry(&name, "abc")]).await),
                    }
                };
                _ = tokio::time::timeout(cut_off, change).await;
            }
        });
    }
    tasks.join_all().await;
    // Who was cut off holds up others for no longer than a second; then each has what it publishes.
    for number in 0..PEERS {
        let me = legacy(&format!("203.0.113.{number}"));
        eventually("it publishes again", || async {
            store.registry.publish(&me, &[entry("site/0", "def")]).await == Ok(vec![Verdict::Listed])
        })
        .await;
    }
    assert_eq!(store.peers("site/0").await.len(), usize::from(PEERS));
    assert!(store.files("", 100).await.contains(&"site/0".to_owned()));
    // Nobody is handed out for a file that is not in its index: else it would stay when its peer goes.
    for number in 0..PEERS {
        let owner: Owner = peer(&format!("203.0.113.{number}")).into();
        eventually("it is gone", || async { store.registry.unpublish_all(owner).await.is_ok() }).await;
    }
    for file in 0..FILES {
        assert_eq!(store.peers(&format!("site/{file}")).await, set([]));
    }
    // The first listing takes the names away that nothing stands behind.
    assert_eq!(store.files("", 100).await, [""; 0]);
    let mut left = all_keys(&mut store);
    left.retain(|key| !key.contains(":changing") && !key.starts_with("p2p:{due:"));
    assert_eq!(left, [""; 0]);
}

/// A publish is told that its file's server does not answer, and is not done behind its back when that goes on: others may have
/// changed the mapping since.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_comes_late_is_not_made() {
    let mut store = Store::open(Home::cluster(), 60).await;
    let me = legacy("203.0.113.5");
    let [seen, due] = [keys::peer_seen(me.owner), keys::due_of(me.owner)].map(|key| master_of(&key));
    let file = (0..10_000)
        .map(|number| format!("site/{number}"))
        .find(|name| ![seen, due].contains(&master_of(&keys::file_hashes(&name.parse().unwrap()))))
        .unwrap();
    let name: FileName = file.parse().unwrap();
    let hashes = keys::file_hashes(&name);
    let other = another(&store, 60).await;
    cluster(&mut store).master(master_of(&hashes)).stop();
    assert!(store.registry.publish(&me, &[entry(&file, "abc")]).await.is_err());
    // As long as a claim may come, and shorter than the servers wait for each other.
    tokio::time::sleep(Duration::from_millis(800)).await;
    cluster(&mut store).master(master_of(&hashes)).cont();
    let you = legacy("203.0.113.6");
    eventually("the server answers", || async {
        other.publish(&you, &[entry(&file, "def")]).await == Ok(vec![Verdict::Listed])
    })
    .await;
    let claims = cluster(&mut store).command(&hashes, &["HKEYS", &hashes]).texts();
    assert_eq!(claims, [you.owner.to_string()]);
    eventually("it is published again", || async {
        store.registry.publish(&me, &[entry(&file, "abc")]).await == Ok(vec![Verdict::Listed])
    })
    .await;
    assert_eq!(store.peers(&file).await, set(["203.0.113.5", "203.0.113.6"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_away_holds_up_the_sweep_of_its_own_only() {
    const AWAY: usize = 1;
    let mut store = Store::open(Home::cluster(), 1).await;
    for number in 0..3 {
        cluster(&mut store).master(number).command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    let owners: Vec<Owner> = (0..60).map(|number| peer(&format!("10.0.0.{number}")).into()).collect();
    let file: FileName = (0..10_000)
        .map(|number| format!("site/{number}").parse().unwrap())
        .find(|name| [keys::file_hashes(name), keys::names_of(name)].iter().all(|key| master_of(key) != AWAY))
        .unwrap();
    for number in 0..60 {
        store.add(&format!("10.0.0.{number}"), file.as_str(), "abc").await;
    }
    let is_here = |owner: &&Owner| {
        [keys::peer_seen(**owner), keys::due_of(**owner)].iter().all(|key| master_of(key) != AWAY)
    };
    let away: Vec<String> = owners.iter().filter(|owner| !is_here(owner)).map(Owner::to_string).collect();
    assert!((1..60).contains(&away.len()), "peers on both: {}", away.len());
    eventually("all are dead", || async { store.peers(file.as_str()).await.is_empty() }).await;
    cluster(&mut store).master(AWAY).stop();
    let hashes = keys::file_hashes(&file);
    let expected: std::collections::BTreeSet<String> = away.into_iter().collect();
    let registry = Arc::clone(&store.registry);
    eventually("those of the others are swept", || {
        let claims = cluster(&mut store).command(&hashes, &["HKEYS", &hashes]).texts();
        let left: std::collections::BTreeSet<String> = claims.into_iter().collect();
        let registry = Arc::clone(&registry);
        let done = left == expected;
        async move {
            if !done {
                assert!(registry.sweep().await.is_err(), "one is away");
            }
            done
        }
    })
    .await;
    cluster(&mut store).master(AWAY).cont();
}

/// A file is in the index of its peer before it is counted, and a tracker that starts just then sees only the one.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_published_while_a_tracker_starts_is_counted_once() {
    let home = RedisCluster::start_new();
    let me = legacy("203.0.113.5");
    let [files, due, count] =
        [keys::peer_files(me.owner), keys::due_of(me.owner), keys::mappings_of(me.owner)];
    home.command(&files, &["SADD", &files, "site/0"]);
    home.command(&due, &["ZADD", &due, "4102444800000", &me.owner.to_string()]);
    let mut store = Store::open(Home::Cluster(home), 60).await;
    let recount = keys::recount();
    let counts = |store: &mut Store| cluster(store).command(recount, &["EXISTS", recount]);
    eventually("it counts", || {
        let counts = counts(&mut store);
        async move { counts == Reply::Number(1) }
    })
    .await;
    cluster(&mut store).command(&count, &["INCRBY", &count, "1"]);
    eventually("it has counted", || {
        let counts = counts(&mut store);
        async move { counts == Reply::Number(0) }
    })
    .await;
    assert_eq!(stats(&store).await.mappings, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_servers_forgot_are_given_to_them_again() {
    let mut store = Store::open(Home::cluster(), 60).await;
    for number in 0..3 {
        cluster(&mut store).master(number).command(&["SCRIPT", "FLUSH"]);
    }
    let names: Vec<String> = (0..200).map(|number| format!("site/{number}")).collect();
    let entries: Vec<_> = names.iter().map(|name| entry(name, "abc")).collect();
    let verdicts = store.publish(&legacy("203.0.113.5"), &entries).await;
    assert_eq!(verdicts, vec![Verdict::Listed; 200]);
    assert_eq!(stats(&store).await, Stats { peers: 1, files: 200, mappings: 200 });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_replica_of_a_master_that_was_killed_takes_over_and_nothing_older_than_a_second_is_lost() {
    let mut store = Store::open(Home::Cluster(RedisCluster::start_with_replicas()), 60).await;
    let load = Load::start(&store.registry);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let crash = Instant::now();
    cluster(&mut store).master(1).kill9();
    cluster_fails_and_comes_back(&mut store).await;
    publishes_again(&store.registry).await;
    let log = load.end().await;
    log.report("kill -9 of a master of three with replicas");
    assert!(log.failures() > 0, "a third of the slots was away");
    log.check(&store, crash).await;
}

/// Waits until the others have noticed that one is gone, and all slots are served again.
async fn cluster_fails_and_comes_back(store: &mut Store) {
    let cluster = cluster(store);
    let failed = |cluster: &mut RedisCluster| match cluster.master(0).command(&["CLUSTER", "NODES"]) {
        Reply::Text(nodes) => nodes.contains("master,fail "),
        reply => panic!("{reply:?}"),
    };
    let started = Instant::now();
    while !failed(cluster) {
        assert!(started.elapsed() < Duration::from_secs(20), "nobody notices");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    cluster.wait_until_ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_move_to_another_server_under_load_without_a_failed_request() {
    let mut store = Store::open(Home::cluster(), 60).await;
    let others = cluster(&mut store).add_master();
    // Of the files and peers of the load, the due sets and the names: what moves is in use.
    let mut moving: Vec<(u16, usize)> = Vec::new();
    for number in 0..8 {
        let owner: Owner = peer(&format!("203.0.113.{number}")).into();
        for key in [keys::peer_seen(owner), keys::due_of(owner)] {
            moving.push((slot(key.as_bytes()), 0));
        }
    }
    moving.extend((0..keys::SHARDS).map(|shard| (slot(keys::names(shard).as_bytes()), 0)));
    for (slot, from) in &mut moving {
        *from = usize::from(*slot) * 3 / 16_384;
    }
    moving.sort_unstable();
    moving.dedup();
    let load = Load::start(&store.registry);
    let Home::Cluster(cluster) = &store.home else { panic!("a store on a Cluster") };
    tokio::task::block_in_place(|| {
        for (slot, from) in &moving {
            cluster.move_slot(*slot, *from, others);
        }
    });
    let log = load.end().await;
    log.report("slots of peers, due sets and names that move");
    assert_eq!(log.failures(), 0);
    log.check(&store, Instant::now() + Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_goes_is_told_at_once_and_one_that_returns_is_used() {
    let mut store = Store::open(Home::cluster(), 60).await;
    store.add("203.0.113.5", "a", "abc").await;
    for number in 0..3 {
        cluster(&mut store).master(number).stop();
    }
    eventually("not ready", || async { store.registry.ready().is_err() }).await;
    let asked = Instant::now();
    assert!(store.peers_for("192.0.2.99", "a", 10).await.is_err());
    assert!(asked.elapsed() < Duration::from_millis(300), "{:?}", asked.elapsed());
    for number in 0..3 {
        cluster(&mut store).master(number).cont();
    }
    eventually("ready again", || async { store.registry.ready().is_ok() }).await;
    publishes_again(&store.registry).await;
    assert_eq!(store.peers("a").await, set(["203.0.113.5"]));
}
