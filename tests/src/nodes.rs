//! Matchmakers that meet over a Redis, and their peers on loopback.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::binary::Binary;
use crate::deadline::{PATIENCE, eventually};
use crate::metrics::Admin;
use crate::process::{Launch, Process};
use crate::redis::RedisServer;
use crate::resp::Reply;
use crate::udp::UdpPeer;
use crate::v2::V2Peer;

/// A node on the Redis at this URL.
pub fn launch(url: &str) -> Launch {
    Launch::new(Binary::Matchmaker).set("REDIS_URL", url).set("MATCHMAKER_NODES", "on")
}

/// Nodes that know each other.
pub fn start(redis: &RedisServer, count: usize) -> Vec<Process> {
    let nodes: Vec<Process> = (0..count).map(|_| launch(&redis.url()).start()).collect();
    for node in &nodes {
        wait_for_others(node, count - 1);
    }
    nodes
}

/// The admin listener of a node.
pub fn admin(node: &Process) -> Admin {
    Admin::at(node.address("matchmaker-admin"))
}

/// Where peers reach a node.
pub fn server(node: &Process) -> SocketAddr {
    node.address("matchmaker")
}

/// Whether it can ask others.
pub fn is_linked(node: &Process) -> bool {
    admin(node).sum("matchmaker_node_linked", &[]) > 0.0
}

/// Waits until a node knows of so many others, and can ask them.
#[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "a handful")]
pub fn wait_for_others(node: &Process, others: usize) {
    eventually(PATIENCE, "the nodes know each other", || {
        (admin(node).sum("matchmaker_node_others", &[]) == others as f64 && is_linked(node)).then_some(())
    });
}

/// Waits until Redis says that `owner` is heard by so many.
pub fn wait_for_homes(redis: &RedisServer, owner: &str, homes: i64) {
    eventually(PATIENCE, "the presence is in Redis", || {
        let count = redis.command(&["ZCARD", &format!("p2p:{{p:{owner}}}:homes")]);
        (count == Reply::Number(homes)).then_some(())
    });
}

/// A peer of version 2 at a node.
pub fn v2(ip: &str, node: &Process, number: u8) -> V2Peer {
    let mut peer = V2Peer::new(UdpPeer::at(ip, server(node)), number);
    peer.join();
    peer
}

/// The peer goes to another node with the token that it has, from the same socket.
pub fn moved(peer: &V2Peer, node: &Process, number: u8) -> V2Peer {
    let socket = peer.udp.socket().try_clone().expect("a socket");
    let mut moved = V2Peer::new(UdpPeer::over(socket, server(node)), number);
    moved.steal(peer.token());
    moved
}

/// Both are told of each other, each by its own server.
#[track_caller]
pub fn assert_meet(asker: &mut V2Peer, target: &V2Peer) {
    let told = asker.connect(json!({"target_id": target.id()}));
    assert_eq!((&told["type"], &told["peer"]), (&json!("peer"), &target.udp.pair()), "{told}");
    let heard = target.udp.receive();
    assert_eq!((&heard["pair"], &heard["key"]), (&told["pair"], &told["key"]));
    assert_eq!(heard["peer"], asker.udp.pair());
    asker.ack(&told);
    target.ack(&heard);
}

/// What a connect for a peer is answered with, where it is not met.
pub fn refusal(asker: &mut V2Peer, target: &V2Peer) -> Value {
    asker.connect(json!({"target_id": target.id()}))["code"].clone()
}
