//! What the Redis store promises of Redis: no key but ours, each with its expiry, outages, the original's data.

use black_box::redis::RedisServer;
use black_box::resp::Reply;
use registry::RegistryError;

use crate::store::{Home, Store, eventually, set};

fn server(store: &Store) -> &RedisServer {
    match &store.home {
        Home::Redis(server) => server,
        Home::Embedded(_) => panic!("a Redis store has a server"),
    }
}

fn expiry_ms(server: &RedisServer, key: &str) -> i64 {
    match server.command(&["PTTL", key]) {
        Reply::Number(left_ms) => left_ms,
        reply => panic!("{key}: {reply:?}"),
    }
}

fn keys(server: &RedisServer) -> Vec<String> {
    let mut keys = server.command(&["KEYS", "*"]).texts();
    keys.sort_unstable();
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_those_of_the_model_and_expire_as_it_says() {
    let store = Store::redis(60).await;
    store.add("203.0.113.5", "site/a.html", "abc").await;
    let server = server(&store);
    let expected = [
        ("p2p:{due:02}", -1..=-1),
        ("p2p:{f:site/a.html}:hashes", 100_000..=180_000),
        ("p2p:{f:site/a.html}:peers", 100_000..=180_000),
        ("p2p:{names:13}", -1..=-1),
        ("p2p:{p:203.0.113.5}:files", 100_000..=180_000),
        ("p2p:{p:203.0.113.5}:seen", 1..=60_000),
    ];
    assert_eq!(keys(server), expected.each_ref().map(|(key, _)| *key));
    for (key, range_ms) in expected {
        let left_ms = self::expiry_ms(server, key);
        assert!(range_ms.contains(&left_ms), "{key}: {left_ms} ms");
    }
    store.remove_peer("203.0.113.5").await;
    assert_eq!(keys(server), [""; 0]);
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
async fn two_trackers_on_one_redis_agree_and_share_the_sweep() {
    let one = Store::redis(1).await;
    let url = server(&one).url();
    let other = registry::RedisRegistry::open(&url, registry::PeerTtl::from_secs(1)).unwrap();
    let other = std::sync::Arc::new(other) as std::sync::Arc<dyn registry::Registry>;
    eventually("ready", || async { other.ready().is_ok() }).await;
    for number in 0..40 {
        one.add(&format!("10.0.0.{number}"), "a", "abc").await;
    }
    let file = "a".parse().unwrap();
    assert_eq!(other.peers("192.0.2.99".parse().unwrap(), &file, 100).await.unwrap().len(), 40);
    let mut swept = 0;
    while swept < 40 {
        let (here, there) = tokio::join!(one.registry.sweep(), other.sweep());
        swept += here.unwrap().mappings + there.unwrap().mappings;
        tokio::task::yield_now().await;
    }
    assert_eq!(swept, 40, "each mapping went once");
    assert_eq!(keys(server(&one)), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_has_a_bounded_number_of_files_and_may_renew_each() {
    let store = Store::redis(60).await;
    store.add("203.0.113.5", "site/1", "abc").await;
    let fill = "for i = 1, tonumber(ARGV[1]) do redis.call('SADD', KEYS[1], 'site/' .. i) end";
    let most = peer_core::limits::FILES_PER_PEER_MAX.to_string();
    server(&store).command(&["EVAL", fill, "1", "p2p:{p:203.0.113.5}:files", &most]);
    let (peer, hash) = ("203.0.113.5".parse().unwrap(), "abc".parse().unwrap());
    let refused = store.registry.add(peer, &"one-more".parse().unwrap(), &hash).await;
    assert_eq!(refused, Err(RegistryError::TooManyFiles));
    assert_eq!(store.peers("one-more").await, set([]));
    assert_eq!(store.registry.add(peer, &"site/1".parse().unwrap(), &hash).await, Ok(()));
    assert_eq!(store.files("", 10).await, ["site/1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_nothing_stands_behind_any_more_go_with_the_first_look() {
    let store = Store::redis(60).await;
    store.add("203.0.113.5", "a", "abc").await;
    // As after a time without any tracker, in which all keys with an expiry went.
    for key in
        ["p2p:{f:a}:peers", "p2p:{f:a}:hashes", "p2p:{p:203.0.113.5}:files", "p2p:{p:203.0.113.5}:seen"]
    {
        server(&store).command(&["DEL", key]);
    }
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
    assert_eq!(store.sweep().await, 2);
    assert_eq!(keys(server(&store)), [""; 0]);
}
