//! What the Redis store promises of Redis: no key but ours, each with its expiry, outages, earlier data.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use black_box::redis::RedisServer;
use black_box::resp::Reply;
use peer_core::{Owner, PeerId};
use registry::{Entry, HoldersQuery, Publisher, Record, Registry, RegistryError, Report, Stats, Verdict};

use crate::store::{Home, Store, eventually, peer, set};

pub(crate) fn server(store: &Store) -> &RedisServer {
    match &store.home {
        Home::Redis(server) => server,
        _ => panic!("a store on one Redis has a server"),
    }
}

fn expiry_ms(server: &RedisServer, key: &str) -> i64 {
    match server.command(&["PTTL", key]) {
        Reply::Number(left_ms) => left_ms,
        reply => panic!("{key}: {reply:?}"),
    }
}

/// All keys but the counts, which stay.
pub(crate) fn keys(server: &RedisServer) -> Vec<String> {
    let mut keys = server.command(&["KEYS", "*"]).texts();
    keys.retain(|key| !key.ends_with(":mappings"));
    keys.sort_unstable();
    keys
}

pub(crate) fn id(number: u8) -> Owner {
    PeerId::from_bytes([number; 32]).into()
}

pub(crate) fn entry(file: &str) -> Entry {
    Entry { file: file.parse().unwrap(), hash: "abc".parse().unwrap(), size: Some(7) }
}

pub(crate) fn at(owner: Owner, address: &str) -> Publisher {
    Publisher { owner, address: peer(address), port: Some(4_000), ttl_secs: Some(50) }
}

pub(crate) fn report(reporter: &str, subject: Owner, file: Option<&str>) -> Report {
    let file = file.map(|file| file.parse().unwrap());
    Report { reporter: peer(reporter), subject, file, decisive: false }
}

/// As seen by three others in different networks.
pub(crate) async fn report_thrice(registry: &dyn Registry, subject: Owner, file: Option<&str>) {
    for reporter in ["192.0.2.1", "198.51.100.1", "2001:db8:9::1"] {
        registry.report(&report(reporter, subject, file)).await.unwrap();
    }
}

pub(crate) async fn stats(store: &Store) -> Stats {
    store.registry.stats().await.unwrap()
}

/// Every kind of key, as its pattern and how long it may live yet, in ms; -1 is for ever.
fn check_keys(server: &RedisServer, expected: &[(&str, RangeInclusive<i64>)]) {
    let expected: BTreeMap<&str, RangeInclusive<i64>> = expected.iter().cloned().collect();
    let mut found = server.command(&["KEYS", "*"]).texts();
    found.sort_unstable();
    assert_eq!(found, expected.keys().copied().collect::<Vec<_>>());
    for (key, range_ms) in expected {
        let left_ms = expiry_ms(server, key);
        assert!(range_ms.contains(&left_ms), "{key}: {left_ms} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_those_of_the_model_and_expire_as_it_says() {
    const INDEX: RangeInclusive<i64> = 100_000..=180_000;
    const REPORT: RangeInclusive<i64> = 500_000..=600_000;
    let store = Store::redis(60).await;
    store.add("203.0.113.5", "site/a.html", "abc").await;
    let server = server(&store);
    check_keys(
        server,
        &[
            ("p2p:{due:02}", -1..=-1),
            ("p2p:{due:02}:mappings", -1..=-1),
            ("p2p:{f:site/a.html}:hashes", INDEX),
            ("p2p:{names:13}", -1..=-1),
            ("p2p:{p:203.0.113.5}:files", INDEX),
            ("p2p:{p:203.0.113.5}:seen", 1..=60_000),
        ],
    );
    store.remove_peer("203.0.113.5").await;
    assert_eq!(keys(server), [""; 0]);

    let owner = id(1);
    store.registry.publish(&at(owner, "203.0.113.7"), &[entry("b")]).await.unwrap();
    store.registry.report(&report("192.0.2.1", owner, None)).await.unwrap();
    report_thrice(&*store.registry, owner, Some("b")).await;
    assert!(store.registry.first_use([7; 32], 60).await.unwrap());
    let of = |kind: &str| format!("p2p:{{p:{owner}}}:{kind}");
    let used = format!("p2p:used:{}", PeerId::from_bytes([7; 32]));
    // The mapping is withheld, and has no other place.
    let mut expected = vec![
        ("p2p:{f:b}:withheld".to_owned(), INDEX),
        (of("seen"), 1..=50_000),
        (of("files"), INDEX),
        (of("withheld"), INDEX),
        (of("strikes"), 80_000_000..=86_400_000),
        (of("reports:"), REPORT),
        ("p2p:{r:192.0.2.1}:hidden".to_owned(), REPORT),
        ("p2p:{r:198.51.100.1}:hidden".to_owned(), REPORT),
        ("p2p:{r:2001:db8:9::1}:hidden".to_owned(), REPORT),
        ("p2p:{a:203.0.113.7}:ids".to_owned(), INDEX),
        (used, 50_000..=60_000),
    ];
    let never = server.command(&["KEYS", "p2p:{due:*"]).texts();
    expected.extend(never.into_iter().map(|key| (key, -1..=-1)));
    expected.extend(server.command(&["KEYS", "p2p:{names:*"]).texts().into_iter().map(|key| (key, -1..=-1)));
    let expected: Vec<(&str, RangeInclusive<i64>)> =
        expected.iter().map(|(key, range)| (key.as_str(), range.clone())).collect();
    check_keys(server, &expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_swept_leave_no_key_behind() {
    let store = Store::redis(1).await;
    store.add("203.0.113.5", "a", "abc").await;
    store.add("203.0.113.5", "b", "abc").await;
    eventually("swept", || async { store.sweep().await == 2 }).await;
    assert_eq!(keys(server(&store)), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_expires_when_peers_live_for_ever() {
    let store = Store::redis(0).await;
    store.add("203.0.113.5", "a", "abc").await;
    let server = server(&store);
    for key in keys(server) {
        assert_eq!(expiry_ms(server, &key), -1, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_redis_forgot_are_given_to_it_again() {
    let store = Store::redis(60).await;
    server(&store).command(&["SCRIPT", "FLUSH"]);
    store.add("203.0.113.5", "a", "abc").await;
    server(&store).command(&["SCRIPT", "FLUSH"]);
    assert_eq!(store.peers("a").await, set(["203.0.113.5"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_goes_is_told_at_once_and_one_that_returns_is_used() {
    let mut store = Store::redis(60).await;
    store.add("203.0.113.5", "a", "abc").await;
    let Home::Redis(server) = &mut store.home else { panic!("a Redis store has a server") };
    server.kill9();
    let store = store;
    eventually("not ready", || async { store.registry.ready().is_err() }).await;
    let asked = std::time::Instant::now();
    assert!(matches!(store.peers_for("192.0.2.99", "a", 10).await, Err(RegistryError::Unavailable(_))));
    assert!(asked.elapsed() < std::time::Duration::from_millis(300), "{:?}", asked.elapsed());
    let Store { registry, home: Home::Redis(mut server) } = store else {
        panic!("a Redis store has a server")
    };
    server.start();
    let store = Store { registry, home: Home::Redis(server) };
    eventually("ready again", || async { store.registry.ready().is_ok() }).await;
    store.add("203.0.113.5", "b", "abc").await;
    assert_eq!(store.peers("b").await, set(["203.0.113.5"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_the_original_is_taken_over_once() {
    let server = RedisServer::start_new();
    server.command(&["SADD", "file:site/a.html", "203.0.113.5", "2001:DB8::5", "not-an-address"]);
    server.command(&["SET", "filehash:site/a.html", "abc"]);
    server.command(&["SADD", "file:site/no-hash.html", "203.0.113.5"]);
    server.command(&["SADD", "file:../evil", "203.0.113.5"]);
    server.command(&["SET", "file:not-a-set", "203.0.113.5"]);
    server.command(&["SADD", "ip:203.0.113.5", "site/a.html", "site/no-hash.html", "../evil"]);
    server.command(&["HSET", "peer:lastseen", "203.0.113.5", "2020-01-01T00:00:00"]);
    let store = Store::open(Home::Redis(server), 60).await;
    assert_eq!(store.files("", 10).await, ["site/a.html", "site/no-hash.html"]);
    assert_eq!(store.peers("site/a.html").await, set(["2001:db8::5", "203.0.113.5"]));
    assert_eq!(store.sweep().await, 0);
    store.remove_peer("203.0.113.5").await;
    let store = store.reopen(60).await;
    assert_eq!(store.files("", 10).await, ["site/a.html"]);
    assert_eq!(store.peers("site/a.html").await, set(["2001:db8::5"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_20_000_peers_is_sampled_fairly() {
    const PEERS: usize = 20_000;
    const LIMIT: usize = 100;
    const ASKED: usize = 2_000;
    let store = Store::redis(60).await;
    let records: Vec<Record> = (0..PEERS)
        .map(|number| {
            let address = peer(&format!("10.0.{}.{}", number / 250, number % 250));
            Record { publisher: Publisher::legacy(address), last_seen_ms: u64::MAX, entry: entry("a") }
        })
        .collect();
    for chunk in records.chunks(1_000) {
        assert_eq!(store.registry.import(chunk).await, Ok(chunk.len()));
    }
    let file = "a".parse().unwrap();
    let query = HoldersQuery { file, hash: None, limit: LIMIT, exclude: Vec::new() };
    let mut counts: BTreeMap<peer_core::Peer, u32> = BTreeMap::new();
    for _ in 0..ASKED {
        let sample = store.ask("192.0.2.99", &query).await.holders;
        assert_eq!(sample.len(), LIMIT);
        for holder in sample {
            *counts.entry(holder.address).or_default() += 1;
        }
    }
    // Each is expected ten times. With chance alone at work, the squares of what is off sum up to about the number of peers;
    // Redis looks into some neighbouring buckets of a table and takes one of what it finds, which adds a little.
    let expected = f64::from(u32::try_from(ASKED * LIMIT / PEERS).unwrap());
    let seen: f64 = counts.values().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
    let never_seen = f64::from(u32::try_from(PEERS - counts.len()).unwrap()) * expected;
    let chi_square_per_peer = (seen + never_seen) / f64::from(u32::try_from(PEERS).unwrap());
    assert!((0.9..2.5).contains(&chi_square_per_peer), "{chi_square_per_peer}");
    // Asked for so often it is answered from samples, which change.
    let seen = RefCell::new(BTreeSet::new());
    eventually("a tenth of them was handed out", || async {
        for _ in 0..100 {
            let sample = store.peers_for("192.0.2.99", "a", LIMIT).await.unwrap();
            assert_eq!(sample.len(), LIMIT);
            seen.borrow_mut().extend(sample);
        }
        seen.borrow().len() >= PEERS / 10
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_the_version_before_are_used_as_they_are() {
    let redis = RedisServer::start_new();
    let [now_secs, _] = &redis.command(&["TIME"]).texts()[..] else { panic!("TIME gives two numbers") };
    let (seen, published) = (format!("{now_secs}000"), format!("{now_secs}000000"));
    for owner in ["203.0.113.5", "198.51.100.1"] {
        let due = peer_core::keys::due_of(peer(owner).into());
        redis.command(&["ZADD", "p2p:{f:site/a.html}:peers", &published, owner]);
        redis.command(&["HSET", "p2p:{f:site/a.html}:hashes", owner, "abc"]);
        redis.command(&["SET", &format!("p2p:{{p:{owner}}}:seen"), &seen, "PX", "60000"]);
        redis.command(&["SADD", &format!("p2p:{{p:{owner}}}:files"), "site/a.html"]);
        redis.command(&["ZADD", &due, "0", owner]);
    }
    for key in ["p2p:{f:site/a.html}:peers", "p2p:{f:site/a.html}:hashes"] {
        redis.command(&["PEXPIRE", key, "180000"]);
    }
    redis.command(&["ZADD", "p2p:{names:13}", "0", "site/a.html"]);
    let store = Store::open(Home::Redis(redis), 60).await;
    assert_eq!(store.peers("site/a.html").await, set(["198.51.100.1", "203.0.113.5"]));
    assert_eq!(store.files("", 10).await, ["site/a.html"]);
    eventually("counted", || async { stats(&store).await == Stats { peers: 2, files: 1, mappings: 2 } })
        .await;
    // What it kept besides goes.
    eventually("cleared up", || async {
        !keys(server(&store)).contains(&"p2p:{f:site/a.html}:peers".to_owned())
    })
    .await;
    assert_eq!(store.sweep().await, 0);
    store.add("203.0.113.5", "site/a.html", "def").await;
    assert_eq!(stats(&store).await, Stats { peers: 2, files: 1, mappings: 2 });
    store.remove_peer("198.51.100.1").await;
    store.remove("203.0.113.5", "site/a.html").await;
    assert_eq!(stats(&store).await, Stats::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_peer_is_withheld_until_it_is_heard_and_asking_is_not_enough() {
    let store = Store::redis(60).await;
    store.add("203.0.113.5", "a", "abc").await;
    let me = Publisher::legacy(peer("203.0.113.5"));
    let decisive = Report { decisive: true, ..report("192.0.2.1", me.owner, None) };
    store.registry.report(&decisive).await.unwrap();
    assert_eq!(store.peers_for("203.0.113.5", "a", 10).await.unwrap(), set([]));
    assert_eq!(store.files("", 10).await, [""; 0]);
    assert_eq!(store.registry.heartbeat(&me).await, Ok(true));
    assert_eq!(store.peers("a").await, set(["203.0.113.5"]));
    store.registry.report(&decisive).await.unwrap();
    assert_eq!(store.registry.heartbeat(&me).await, Ok(true));
    assert_eq!(store.peers("a").await, set([]), "the second time it has to wait");
    store.remove_peer("203.0.113.5").await;
    let verdicts = store.registry.publish(&me, &[entry("a")]).await.unwrap();
    assert!(matches!(verdicts[..], [Verdict::Withheld { secs: 590..=600 }]), "to leave does not help");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_nothing_stands_behind_any_more_go_with_the_first_look() {
    let store = Store::redis(60).await;
    store.add("203.0.113.5", "a", "abc").await;
    // As after a time without any tracker, in which all keys with an expiry went.
    for key in ["p2p:{f:a}:hashes", "p2p:{p:203.0.113.5}:files", "p2p:{p:203.0.113.5}:seen"] {
        server(&store).command(&["DEL", key]);
    }
    server(&store).command(&["ZADD", "p2p:{due:02}", "XX", "0", "203.0.113.5"]);
    assert_eq!(store.files("", 10).await, [""; 0]);
    assert_eq!(store.sweep().await, 0);
    assert_eq!(keys(server(&store)), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_lived_for_ever_die_when_the_setting_changes() {
    let store = Store::redis(0).await;
    store.add("203.0.113.5", "a", "abc").await;
    let store = store.reopen(1).await;
    eventually("swept", || async { store.sweep().await == 1 }).await;
    assert_eq!(keys(server(&store)), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_departure_that_was_cut_off_is_ended_by_the_sweep() {
    let store = Store::redis(60).await;
    store.add("203.0.113.5", "a", "abc").await;
    store.add("203.0.113.5", "b", "abc").await;
    // All that a tracker did before it was killed.
    server(&store).command(&["DEL", "p2p:{p:203.0.113.5}:seen"]);
    server(&store).command(&["ZADD", "p2p:{due:02}", "XX", "0", "203.0.113.5"]);
    assert_eq!(store.sweep().await, 2);
    assert_eq!(keys(server(&store)), [""; 0]);
}
