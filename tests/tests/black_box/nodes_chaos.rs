//! Matchmakers and the way of each to Redis: one that is cut off goes on for its own peers, and is back by itself.

use std::time::{Duration, Instant};

use black_box::chaos::{ChaosProxy, Weather};
use black_box::deadline::{PATIENCE, eventually};
use black_box::nodes::{
    admin, assert_meet, is_linked, launch, moved, refusal, server, v2, wait_for_homes, wait_for_others,
};
use black_box::process::Process;
use black_box::redis::RedisServer;
use black_box::udp::UdpPeer;

/// How long a node is cut off.
const PARTITION: Duration = Duration::from_secs(10);
/// Addresses of loopback, so that each peer is one IP.
const A: &str = "127.0.0.11";
const B: &str = "127.0.0.12";
const C: &str = "127.0.0.13";
const D: &str = "127.0.0.14";

/// Nodes that know each other, each with a way to Redis of its own.
fn start(redis: &RedisServer, count: usize) -> Vec<(ChaosProxy, Process)> {
    let nodes: Vec<_> = (0..count)
        .map(|_| {
            let proxy = ChaosProxy::before(redis.address());
            let node = launch(&proxy.redis_url()).start();
            (proxy, node)
        })
        .collect();
    wait_for_all(&nodes, count);
    nodes
}

fn wait_for_all(nodes: &[(ChaosProxy, Process)], count: usize) {
    for (_, node) in nodes {
        wait_for_others(node, count - 1);
    }
}

fn wait_for_outage(node: &Process) {
    eventually(PATIENCE, "the outage is noticed", || (!is_linked(node)).then_some(()));
}

#[test]
fn peers_of_other_nodes_meet_while_one_is_cut_off_for_ten_seconds_and_all_is_back_by_itself() {
    let redis = RedisServer::start_new();
    let mut nodes = start(&redis, 3);
    let [(_, one), (_, two), (proxy, three)] = &nodes[..] else { panic!("three") };
    let (mut first, second) = (v2(A, one, 1), v2(B, two, 2));
    let (mut third, neighbour) = (v2(C, three, 3), v2(D, three, 4));
    wait_for_homes(&redis, &second.id(), 1);
    wait_for_homes(&redis, &third.id(), 1);
    assert_meet(&mut first, &third);
    proxy.set(Weather::Stalled);
    let since = Instant::now();
    let mut met = 0;
    while since.elapsed() < PARTITION {
        assert_meet(&mut first, &second);
        met += 1;
        if met % 100 == 0 {
            assert_eq!(refusal(&mut first, &third), "not_found");
            assert_meet(&mut third, &neighbour);
        }
    }
    assert!(met > 100, "{met}");
    assert!(!is_linked(three));
    assert_eq!(refusal(&mut third, &first), "not_found");
    assert_eq!((admin(three).live(), admin(three).ready()), (200, 200));
    proxy.set(Weather::Fair);
    wait_for_all(&nodes, 3);
    wait_for_homes(&redis, &third.id(), 1);
    assert_meet(&mut first, &third);
    assert_meet(&mut third, &second);
    for (_, node) in &mut nodes {
        node.assert_sound();
    }
}

#[test]
fn a_node_is_back_whatever_happened_on_its_way_to_redis() {
    let redis = RedisServer::start_new();
    let mut nodes = start(&redis, 2);
    let [(_, one), (proxy, two)] = &nodes[..] else { panic!("two") };
    let (mut first, mut second, neighbour) = (v2(A, one, 1), v2(B, two, 2), v2(C, two, 3));
    wait_for_homes(&redis, &second.id(), 1);
    for weather in [
        Weather::Slow(Duration::from_secs(1)),
        Weather::Trickle(1, Duration::from_millis(100)),
        Weather::Stalled,
        Weather::Refusing,
    ] {
        proxy.set(weather);
        wait_for_outage(two);
        assert_meet(&mut second, &neighbour);
        let legacy = UdpPeer::at(D, server(two));
        assert_eq!(legacy.register(), legacy.address());
        assert_eq!(refusal(&mut second, &first), "not_found");
        proxy.set(Weather::Fair);
        wait_for_others(two, 1);
        wait_for_others(one, 1);
        wait_for_homes(&redis, &second.id(), 1);
        wait_for_homes(&redis, &first.id(), 1);
        assert_meet(&mut first, &second);
        assert_meet(&mut second, &first);
    }
    for _ in 0..10 {
        let before = two.events("other nodes can be reached").len();
        proxy.cut();
        eventually(PATIENCE, "it is there again", || {
            (two.events("other nodes can be reached").len() > before).then_some(())
        });
        assert_meet(&mut first, &second);
    }
    for (_, node) in &mut nodes {
        node.assert_sound();
    }
}

#[test]
fn over_a_slow_redis_peers_of_two_nodes_meet() {
    let redis = RedisServer::start_new();
    let mut nodes = start(&redis, 2);
    for (proxy, _) in &nodes {
        proxy.set(Weather::Slow(Duration::from_millis(30)));
    }
    let (mut first, mut second) = (v2(A, &nodes[0].1, 1), v2(B, &nodes[1].1, 2));
    wait_for_homes(&redis, &second.id(), 1);
    wait_for_homes(&redis, &first.id(), 1);
    for _ in 0..10 {
        assert_meet(&mut first, &second);
        assert_meet(&mut second, &first);
    }
    for (_, node) in &mut nodes {
        node.assert_sound();
    }
}

#[test]
fn tokens_stay_good_where_a_new_node_is_the_first_at_a_redis_that_came_back_empty() {
    let mut redis = RedisServer::start_new();
    let nodes = start(&redis, 2);
    let (first, second) = (v2(A, &nodes[0].1, 1), v2(B, &nodes[1].1, 2));
    for (proxy, node) in &nodes {
        proxy.set(Weather::Refusing);
        wait_for_outage(node);
    }
    redis.kill9();
    redis.start();
    let newcomer = launch(&redis.url()).start();
    wait_for_others(&newcomer, 0);
    let third = v2(C, &newcomer, 3);
    for (proxy, _) in &nodes {
        proxy.set(Weather::Fair);
    }
    wait_for_all(&nodes, 3);
    wait_for_others(&newcomer, 2);
    for (peer, number, node) in [
        (&first, 1, &newcomer),
        (&second, 2, &newcomer),
        (&third, 3, &nodes[0].1),
        (&third, 3, &nodes[1].1),
        (&first, 1, &nodes[1].1),
    ] {
        assert_eq!(moved(peer, node, number).keep_alive()["status"], "ok", "of peer {number}");
    }
}
