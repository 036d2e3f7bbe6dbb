//! Several matchmakers over one Redis: peers of one reach peers of another, whatever ends or hangs meanwhile.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use black_box::deadline::{PATIENCE, eventually};
use black_box::nodes::{
    admin, assert_meet, is_linked, launch, moved, server, start, v2, wait_for_homes, wait_for_others,
};
use black_box::process::Process;
use black_box::redis::RedisServer;
use black_box::resp::Reply;
use black_box::udp::{UdpPeer, not_found, pair, peer};
use black_box::v2::V2Peer;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::connects::Connects;

/// Addresses of loopback, so that each peer is one IP.
const A: &str = "127.0.0.11";
const B: &str = "127.0.0.12";

/// How long a peer waits for an answer that may take two nodes.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

#[test]
fn peers_of_version_2_meet_across_nodes_by_id_and_by_address() {
    let redis = RedisServer::start_new();
    let nodes = start(&redis, 3);
    let (mut first, second) = (v2(A, &nodes[0], 1), v2(B, &nodes[2], 2));
    wait_for_homes(&redis, &second.id(), 1);
    wait_for_homes(&redis, B, 1);
    assert_meet(&mut first, &second);
    let told = first.connect(json!({"target_ip": B}));
    assert_eq!(told["peer"], second.udp.pair());
    let nobody = first.connect(json!({"target_ip": "192.0.2.77"}));
    assert_eq!((&nobody["code"], &nobody["retry"]), (&json!("not_found"), &Value::Null));
}

#[test]
fn legacy_peers_meet_across_nodes_and_with_those_of_version_2() {
    let redis = RedisServer::start_new();
    let nodes = start(&redis, 2);
    let (first, second) = (UdpPeer::at(A, server(&nodes[0])), UdpPeer::at(B, server(&nodes[1])));
    first.register();
    second.register();
    wait_for_homes(&redis, B, 1);
    wait_for_homes(&redis, A, 1);
    first.connect(B);
    first.expect(&peer(second.address()));
    second.expect(&peer(first.address()));
    first.connect("192.0.2.77");
    first.expect(&not_found("192.0.2.77"));

    let mut modern = v2("127.0.0.13", &nodes[0], 3);
    wait_for_homes(&redis, "127.0.0.13", 1);
    let told = modern.connect(json!({"target_ip": B}));
    assert_eq!((&told["peer"], &told["key"]), (&second.pair(), &Value::Null));
    modern.ack(&told);
    second.expect(&peer(modern.udp.address()));
    second.connect("127.0.0.13");
    second.expect(&peer(modern.udp.address()));
    assert_eq!(modern.udp.receive()["peer"], second.pair());
}

#[test]
fn a_token_of_one_node_is_good_at_another_and_a_peer_is_at_one_node() {
    let redis = RedisServer::start_new();
    let nodes = start(&redis, 2);
    let first = v2(A, &nodes[0], 1);
    // Who has not said yet that it hears a peer is not told that it left.
    wait_for_homes(&redis, &first.id(), 1);
    let mut moved = moved(&first, &nodes[1], 1);
    assert_eq!(moved.keep_alive()["status"], "ok");
    eventually(PATIENCE, "the first node forgets it", || {
        (admin(&nodes[0]).sum("matchmaker_node_outcomes_total", &[("outcome", "moved")]) > 0.0).then_some(())
    });
    let mut other = v2(B, &nodes[0], 2);
    let told = other.connect(json!({"target_id": moved.id()}));
    assert_eq!(told["peer"], moved.udp.pair(), "{told}");
    assert_eq!(moved.udp.receive()["pair"], told["pair"]);
}

#[test]
fn a_killed_node_is_asked_no_more_and_its_peers_go_on_at_another() {
    let redis = RedisServer::start_new();
    let mut nodes = start(&redis, 3);
    let (mut first, second) = (v2(A, &nodes[0], 1), v2(B, &nodes[1], 2));
    wait_for_homes(&redis, &second.id(), 1);
    nodes[1].kill9();
    let asked = Instant::now();
    assert_eq!(first.connect(json!({"target_id": second.id()}))["code"], "not_found");
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    let second = v2(B, &nodes[2], 2);
    wait_for_homes(&redis, &second.id(), 2);
    assert_meet(&mut first, &second);
    // What it said of itself ends within its time.
    wait_for_others(&nodes[0], 1);
    wait_for_others(&nodes[2], 1);
}

#[test]
#[expect(clippy::float_cmp, reason = "a count")]
fn garbage_in_a_channel_is_counted_and_dropped() {
    let redis = RedisServer::start_new();
    let mut nodes = start(&redis, 2);
    let channels = redis.command(&["PUBSUB", "CHANNELS", "p2p:node:*"]).texts();
    assert_eq!(channels.len(), 2);
    let long = "\u{1}".repeat(600);
    for channel in &channels {
        for message in ["", "garbage", "\u{1}", "\u{1}\u{0}\u{7f}", &long] {
            assert_eq!(redis.command(&["PUBLISH", channel, message]), Reply::Number(1));
        }
    }
    for node in &mut nodes {
        for (outcome, expected) in [("malformed", 3.0), ("other_version", 1.0), ("too_long", 1.0)] {
            eventually(PATIENCE, outcome, || {
                let counted = admin(node).sum("matchmaker_node_outcomes_total", &[("outcome", outcome)]);
                (counted == expected).then_some(())
            });
        }
        node.assert_sound();
    }
    let (mut first, second) = (v2(A, &nodes[0], 1), v2(B, &nodes[1], 2));
    wait_for_homes(&redis, &second.id(), 1);
    assert_meet(&mut first, &second);
}

/// Peers of one node are served, and whoever asks for those of another is to ask again.
#[track_caller]
fn assert_alone(node: &Process, first: &mut V2Peer, neighbour: &V2Peer, elsewhere: &V2Peer) {
    eventually(PATIENCE, "the outage is noticed", || (!is_linked(node)).then_some(()));
    assert_eq!((admin(node).live(), admin(node).ready()), (200, 200));
    assert!(admin(node).get("/ready").text().contains("degraded"), "it is said");
    assert_meet(first, neighbour);
    let asked = Instant::now();
    let refused = first.connect(json!({"target_id": elsewhere.id()}));
    assert_eq!((&refused["code"], &refused["retry"]), (&json!("not_found"), &json!(500)));
    assert!(asked.elapsed() < Duration::from_millis(1_500), "{:?}", asked.elapsed());
}

#[test]
fn nodes_go_on_alone_without_redis_and_meet_again_when_it_is_back_even_empty() {
    let mut redis = RedisServer::start_new();
    let nodes = start(&redis, 2);
    let mut first = v2(A, &nodes[0], 1);
    let (neighbour, elsewhere) = (v2("127.0.0.13", &nodes[0], 3), v2(B, &nodes[1], 2));
    wait_for_homes(&redis, &elsewhere.id(), 1);
    for round in 0..3 {
        match round {
            0 => redis.stop(),
            _ => redis.kill9(),
        }
        assert_alone(&nodes[0], &mut first, &neighbour, &elsewhere);
        match round {
            0 => redis.cont(),
            // It kept nothing.
            _ => redis.start(),
        }
        wait_for_others(&nodes[0], 1);
        wait_for_others(&nodes[1], 1);
        wait_for_homes(&redis, &elsewhere.id(), 1);
        wait_for_homes(&redis, &first.id(), 1);
        assert_meet(&mut first, &elsewhere);
    }
    let lines = nodes[0].events("other nodes cannot be reached; peers of this one are served").len();
    assert_eq!((lines, nodes[0].events("other nodes can be reached").len()), (3, 4), "a line a change");
}

#[test]
fn a_node_starts_without_redis_and_meets_the_others_when_it_comes() {
    let mut redis = RedisServer::reserved();
    let nodes: Vec<Process> = (0..2).map(|_| launch(&redis.url()).start()).collect();
    let (mut first, second) = (v2(A, &nodes[0], 1), v2(B, &nodes[1], 2));
    redis.start();
    wait_for_homes(&redis, &second.id(), 1);
    wait_for_others(&nodes[0], 1);
    assert_meet(&mut first, &second);
    // The tokens from before are good still.
    assert_eq!(first.keep_alive()["status"], "ok");
}

#[test]
fn a_redis_that_is_full_still_carries_connects() {
    let redis = RedisServer::start_new();
    let mut nodes = start(&redis, 2);
    let (mut first, second) = (v2(A, &nodes[0], 1), v2(B, &nodes[1], 2));
    wait_for_homes(&redis, &second.id(), 1);
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let _third = v2("127.0.0.13", &nodes[0], 3);
    eventually(PATIENCE, "writes are refused", || {
        (admin(&nodes[0]).sum("matchmaker_node_refused_writes_total", &[]) > 0.0).then_some(())
    });
    assert!(is_linked(&nodes[0]));
    assert_meet(&mut first, &second);
    nodes.iter_mut().for_each(Process::assert_sound);
}

#[test]
fn a_node_that_is_alone_ends_at_once() {
    let redis = RedisServer::start_new();
    let mut node = launch(&redis.url()).start();
    wait_for_others(&node, 0);
    let _peer = v2(A, &node, 1);
    let told = Instant::now();
    node.signal(Signal::SIGTERM);
    assert_eq!(node.wait(PATIENCE).code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
    assert_eq!(redis.command(&["ZCARD", "p2p:{nodes}:alive"]), Reply::Number(0));
}

#[test]
fn a_node_that_ends_is_red_and_serves_those_who_stay_for_no_longer_than_it_is_told() {
    let redis = RedisServer::start_new();
    let mut nodes = [launch(&redis.url()).set("DRAIN_SECS", "3").start(), launch(&redis.url()).start()];
    for node in &nodes {
        wait_for_others(node, 1);
    }
    let (mut stays, other) = (v2(A, &nodes[0], 1), v2(B, &nodes[1], 2));
    wait_for_homes(&redis, &other.id(), 1);
    let told = Instant::now();
    nodes[0].signal(Signal::SIGTERM);
    let (bytes, _) = stays.udp.receive_within(ANSWER_LIMIT).expect("it is told to move");
    let word: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!((&word["type"], &word["to"]), (&json!("move"), &json!([pair(server(&nodes[1]))])), "{word}");
    assert_eq!((admin(&nodes[0]).live(), admin(&nodes[0]).ready()), (200, 503));
    assert_meet(&mut stays, &other);
    assert_eq!(nodes[0].wait(PATIENCE).code(), Some(0));
    let took = told.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(6)).contains(&took), "{took:?}");
}

#[test]
fn in_a_rolling_restart_no_connect_is_lost() {
    /// Connects before each.
    const CONNECTS: usize = 60;
    let redis = RedisServer::start_new();
    let mut nodes = start(&redis, 3);
    let servers: Vec<SocketAddr> = (0..6).map(|number| server(&nodes[number % nodes.len()])).collect();
    let load = Connects::start(&servers, 1, Duration::ZERO);
    for index in 0..nodes.len() {
        load.wait_for(CONNECTS);
        nodes[index].signal(Signal::SIGTERM);
        let ended = nodes[index].wait(PATIENCE);
        assert_eq!(ended.code(), Some(0), "{}", nodes[index].said());
        nodes[index] = launch(&redis.url()).start();
        for node in &nodes {
            wait_for_others(node, 2);
        }
    }
    load.wait_for(CONNECTS);
    load.stop();
}
