//! Clients of several matchmakers: one that is killed, or dead among those that a node names, is passed over.

use std::time::{Duration, Instant};

use black_box::deadline::{PATIENCE, eventually};
use black_box::nodes::{server, start, wait_for_homes};
use black_box::process::Process;
use black_box::redis::RedisServer;
use black_box::resp::Reply;
use nix::sys::signal::Signal;
use peer_client::{Client, Config, Identity, Target};

/// The keepalive is 20 seconds, and what is silent is told after that.
const NOTICE: Duration = Duration::from_secs(20 + 20);

/// A client that knows these nodes and begins with the first.
async fn client(nodes: &[&Process], number: u8) -> Client {
    let first = server(nodes[0]);
    let config = Config::new(first)
        .or_at(nodes[1..].iter().map(|node| server(node)))
        .with_identity(Identity::from_bytes(&[number; 32]))
        .listening_at((first.ip(), 0).into());
    Client::bind(config).await.expect("the server answers")
}

/// Reaches the other one at once.
async fn assert_reaches(asker: &Client, target: &Client) {
    let id = Target::Id(target.id().unwrap());
    let both = async { tokio::join!(asker.connect(id), target.accept()) };
    let (path, accepted) = tokio::time::timeout(PATIENCE, both).await.expect("in time");
    path.expect("a path");
    accepted.expect("a path");
}

/// Waits until the client is registered with a server.
async fn wait_for_registered(client: &Client) {
    let mut standing = client.standing();
    let stands = standing.wait_for(|standing| standing.registered);
    tokio::time::timeout(NOTICE, stands).await.expect("in time").expect("the client runs");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "a figure")]
async fn clients_of_a_killed_node_go_on_at_another() {
    let redis = RedisServer::start_new();
    let mut nodes = start(&redis, 3);
    let elsewhere = client(&[&nodes[0]], 1).await;
    let asks = client(&[&nodes[1], &nodes[2]], 2).await;
    let idle = client(&[&nodes[1], &nodes[2]], 3).await;
    for peer in [&elsewhere, &asks, &idle] {
        wait_for_homes(&redis, &peer.id().unwrap().to_string(), 1);
    }
    assert_reaches(&elsewhere, &idle).await;
    nodes[1].kill9();
    let killed = Instant::now();
    assert_reaches(&asks, &elsewhere).await;
    eprintln!("one that asks reaches another {:?} after its node was killed", killed.elapsed());
    let homes = format!("p2p:{{p:{}}}:homes", idle.id().unwrap());
    eventually(NOTICE, "the idle one is registered at another node", || {
        (redis.command(&["ZCARD", &homes]) == Reply::Number(2)).then_some(())
    });
    eprintln!("one that is idle is registered elsewhere {:?} after that", killed.elapsed());
    assert_reaches(&elsewhere, &idle).await;
    assert_reaches(&idle, &asks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_node_among_those_that_are_named_is_passed_over() {
    let redis = RedisServer::start_new();
    let mut nodes = start(&redis, 3);
    let mut clients = Vec::new();
    for number in 1..=4 {
        clients.push(client(&[&nodes[0]], number).await);
    }
    for client in &clients {
        wait_for_homes(&redis, &client.id().unwrap().to_string(), 1);
    }
    // It is still on the list, and half of them are sent there first.
    nodes[1].kill9();
    nodes[0].signal(Signal::SIGTERM);
    let ended = tokio::task::block_in_place(|| nodes[0].wait(PATIENCE));
    assert_eq!(ended.code(), Some(0));
    for client in &clients {
        wait_for_registered(client).await;
    }
    for pair in clients.windows(2) {
        assert_reaches(&pair[0], &pair[1]).await;
    }
}
