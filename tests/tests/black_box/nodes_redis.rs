//! Matchmakers over a Redis of several servers: a master behind Sentinels, and a Cluster.

use std::time::Duration;

use black_box::cluster::RedisCluster;
use black_box::deadline::{PATIENCE, eventually};
use black_box::nodes::{assert_meet, launch, moved, v2, wait_for_others};
use black_box::process::Process;
use black_box::resp::{Reply, command};
use black_box::sentinel::SentinelSetup;
use black_box::v2::V2Peer;
use serde_json::json;

/// Addresses of loopback, so that each peer is one IP.
const A: &str = "127.0.0.11";
const B: &str = "127.0.0.12";
/// Until a failover is over, and all is as before.
const FAILOVER: Duration = Duration::from_secs(30);

fn start(url: &str, count: usize) -> Vec<Process> {
    let nodes: Vec<Process> = (0..count).map(|_| launch(url).start()).collect();
    for node in &nodes {
        wait_for_others(node, count - 1);
    }
    nodes
}

/// Waits until one is told of the other, and both are.
fn wait_until_they_meet(asker: &mut V2Peer, target: &V2Peer) {
    eventually(FAILOVER, "peers of two nodes meet", || {
        let told = asker.connect(json!({"target_id": target.id()}));
        if told["type"] != "peer" {
            return None;
        }
        asker.ack(&told);
        let heard = target.udp.receive();
        assert_eq!((&heard["pair"], &heard["peer"]), (&told["pair"], &asker.udp.pair()));
        target.ack(&heard);
        Some(())
    });
}

#[test]
fn nodes_follow_a_master_behind_sentinels() {
    let mut setup = SentinelSetup::start_new();
    let mut nodes = start(&setup.url(), 2);
    let (mut first, mut second) = (v2(A, &nodes[0], 1), v2(B, &nodes[1], 2));
    wait_until_they_meet(&mut first, &second);
    let before = setup.master().address();
    setup.master().kill9();
    eventually(FAILOVER, "another one is the master", || (setup.master().address() != before).then_some(()));
    for node in &nodes {
        wait_for_others(node, 1);
    }
    wait_until_they_meet(&mut first, &second);
    wait_until_they_meet(&mut second, &first);
    assert_eq!(moved(&first, &nodes[1], 1).keep_alive()["status"], "ok");
    nodes.iter_mut().for_each(Process::assert_sound);
}

#[test]
fn nodes_meet_over_a_cluster_whose_masters_fail_over() {
    let mut cluster = RedisCluster::start_with_replicas();
    let mut nodes = start(&cluster.url(), 3);
    let (mut first, mut second) = (v2(A, &nodes[0], 1), v2(B, &nodes[1], 2));
    wait_until_they_meet(&mut first, &second);
    wait_until_they_meet(&mut second, &first);
    assert_meet(&mut first, &second);
    cluster.master(1).kill9();
    for node in &nodes {
        wait_for_others(node, 2);
    }
    wait_until_they_meet(&mut first, &second);
    wait_until_they_meet(&mut second, &first);
    assert_eq!(moved(&first, &nodes[2], 1).keep_alive()["status"], "ok");
    nodes.iter_mut().for_each(Process::assert_sound);
}

#[test]
fn a_node_follows_its_channel_to_where_its_slot_goes() {
    let mut cluster = RedisCluster::start_new();
    let mut nodes = start(&cluster.url(), 2);
    let (mut first, second) = (v2(A, &nodes[0], 1), v2(B, &nodes[1], 2));
    wait_until_they_meet(&mut first, &second);
    let name = nodes[1].events("other nodes can be reached")[0]["node"].as_str().unwrap().to_owned();
    let channel = format!("p2p:node:{name}");
    let listeners = |cluster: &mut RedisCluster| -> Vec<i64> {
        let count = |number: usize| {
            let address = cluster.master(number).address();
            match command(address, &["PUBSUB", "SHARDNUMSUB", &channel]).unwrap() {
                Reply::List(pair) => match pair[..] {
                    [_, Reply::Number(count)] => count,
                    ref other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            }
        };
        (0..3).map(count).collect()
    };
    let before = listeners(&mut cluster);
    let from = before.iter().position(|count| *count == 1).expect("the node listens");
    let to = (from + 1) % 3;
    let address = cluster.master(from).address();
    let Reply::Number(slot) = command(address, &["CLUSTER", "KEYSLOT", &channel]).unwrap() else {
        panic!("a slot")
    };
    cluster.move_slot(u16::try_from(slot).unwrap(), from, to);
    eventually(PATIENCE, "the node listens at the other server", || {
        (listeners(&mut cluster)[to] == 1).then_some(())
    });
    wait_until_they_meet(&mut first, &second);
    nodes.iter_mut().for_each(Process::assert_sound);
}
