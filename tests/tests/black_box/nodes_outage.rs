//! Redis goes away while peers of different matchmakers connect without a pause: no connect fails.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use black_box::cluster::RedisCluster;
use black_box::deadline::{PATIENCE, eventually};
use black_box::nodes::{is_linked, launch, server, start, wait_for_homes, wait_for_others};
use black_box::process::Process;
use black_box::redis::RedisServer;
use peer_client::{Client, Config, Identity, Target};

use crate::connects::Connects;

const NODES: usize = 3;
const PEERS: u8 = 6;
/// Connects of all peers before, between and after what happens.
const CONNECTS: usize = 60;

async fn client(node: &Process, number: u8) -> Client {
    let server = server(node);
    let config = Config::new(server)
        .with_identity(Identity::from_bytes(&[number; 32]))
        .listening_at((server.ip(), 0).into());
    Client::bind(config).await.expect("the server answers")
}

/// The channel of each node.
fn channels(nodes: &[Process]) -> Vec<String> {
    let name =
        |node: &Process| node.events("other nodes can be reached")[0]["node"].as_str().unwrap().to_owned();
    nodes.iter().map(|node| format!("p2p:node:{}", name(node))).collect()
}

/// What becomes of a master.
type Fate = fn(&mut RedisServer);

/// Lets one master with presence and then one with channels go, each until its replica has taken over. No connect may fail.
#[expect(clippy::print_stderr, reason = "figures")]
fn assert_none_fails(what: &str, goes: Fate, comes_back: Fate) {
    let mut cluster = RedisCluster::start_with_replicas();
    let mut nodes: Vec<Process> = (0..NODES).map(|_| launch(&cluster.url()).start()).collect();
    for node in &nodes {
        wait_for_others(node, NODES - 1);
    }
    let servers: Vec<SocketAddr> =
        (0..usize::from(PEERS)).map(|number| server(&nodes[number % NODES])).collect();
    let load = Connects::start(&servers, 1, Duration::ZERO);
    let homes: Vec<String> = load.ids().iter().map(|id| format!("p2p:{{p:{id}}}:homes")).collect();
    let channels = channels(&nodes);
    let masters_of =
        |keys: &[String]| -> Vec<usize> { keys.iter().map(|key| cluster.first_master_of(key)).collect() };
    let (of_homes, of_channels) = (masters_of(&homes), masters_of(&channels));
    let count = |masters: &[usize], wanted| masters.iter().filter(|master| **master == wanted).count();
    // First one with presence and as few channels as there are, then one with a channel.
    let with_presence = (0..NODES).filter(|master| count(&of_homes, *master) > 0);
    let first =
        with_presence.min_by_key(|master| count(&of_channels, *master)).expect("someone has presence");
    let second = (0..NODES)
        .filter(|master| *master != first)
        .max_by_key(|master| count(&of_channels, *master))
        .expect("there are three");
    load.wait_for(CONNECTS);
    eprintln!("the longest connect while nothing happens: {:?}", load.take_longest());
    for (master, keys, of_keys) in [(first, &homes, &of_homes), (second, &channels, &of_channels)] {
        let key = of_keys.iter().position(|of| *of == master).map(|place| &keys[place]).expect("it has one");
        eprintln!(
            "{what} of a master with the homes of {} of {PEERS} peers and the channels of {} of {NODES} nodes",
            count(&of_homes, master),
            count(&of_channels, master)
        );
        let gone = Instant::now();
        goes(cluster.master(master));
        cluster.wait_for_failover(key);
        eprintln!("its replica serves after {:?}", gone.elapsed());
        load.wait_for(CONNECTS);
        comes_back(cluster.master(master));
        for node in &nodes {
            wait_for_others(node, NODES - 1);
        }
        load.wait_for(CONNECTS);
        eprintln!("the longest connect meanwhile: {:?}", load.take_longest());
        load.assert_none_failed();
    }
    eprintln!("{} connects came through, none failed", load.stop());
    nodes.iter_mut().for_each(Process::assert_sound);
}

#[test]
fn no_connect_fails_while_masters_of_a_cluster_are_killed_and_fail_over() {
    assert_none_fails("kill -9", RedisServer::kill9, |_| ());
}

#[test]
fn no_connect_fails_while_masters_of_a_cluster_hang_and_come_back_as_replicas() {
    assert_none_fails("SIGSTOP", |master| master.stop(), |master| master.cont());
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "figures")]
async fn connects_that_are_begun_while_the_only_redis_is_away_come_through_when_it_is_back_empty() {
    let mut redis = RedisServer::start_new();
    let mut nodes = start(&redis, NODES);
    let mut clients = Vec::new();
    for number in 0..PEERS {
        clients.push(client(&nodes[usize::from(number) % NODES], number + 1).await);
    }
    let ids: Vec<_> = clients.iter().map(|client| client.id().unwrap()).collect();
    for id in &ids {
        tokio::task::block_in_place(|| wait_for_homes(&redis, &id.to_string(), 1));
    }
    redis.kill9();
    let begun = Instant::now();
    let mut connects = Vec::new();
    for (number, client) in clients.iter().enumerate() {
        let (client, target) = (client.clone(), Target::Id(ids[(number + 1) % ids.len()]));
        connects.push(tokio::spawn(async move { (client.connect(target).await.map(drop), begun.elapsed()) }));
    }
    for node in &nodes {
        let is_alone = || (!is_linked(node)).then_some(());
        tokio::task::block_in_place(|| eventually(PATIENCE, "the outage is noticed", is_alone));
    }
    // Longer than one ask waits: all have been told to ask again.
    let unreachable = [("outcome", "unreachable")];
    for node in &nodes {
        let admin = black_box::nodes::admin(node);
        let is_told = || (admin.sum("matchmaker_node_outcomes_total", &unreachable) >= 2.0).then_some(());
        tokio::task::block_in_place(|| eventually(PATIENCE, "its peers are told to ask again", is_told));
    }
    tokio::task::block_in_place(|| redis.start());
    let back = begun.elapsed();
    for (number, connect) in connects.into_iter().enumerate() {
        let (connected, took) = connect.await.expect("it ends");
        assert_eq!(connected, Ok(()), "peer {number}, after {took:?}");
        eprintln!("peer {number} is through {:?} after Redis is back", took.saturating_sub(back));
    }
    nodes.iter_mut().for_each(Process::assert_sound);
}
