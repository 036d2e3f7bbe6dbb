//! Redis is killed while peers of different matchmakers connect without a pause: no connect fails.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use black_box::cluster::RedisCluster;
use black_box::deadline::{PATIENCE, eventually};
use black_box::nodes::{is_linked, launch, server, start, wait_for_homes, wait_for_others};
use black_box::process::Process;
use black_box::redis::RedisServer;
use peer_client::{Client, Config, Identity, Target};

const NODES: usize = 3;
const PEERS: u8 = 6;
/// Connects of all peers before, between and after what happens.
const CONNECTS: usize = 60;
/// Paths that the side which was asked keeps: one that ends at once would be lost to who has not confirmed it yet.
const PATHS: usize = 16;

async fn client(node: &Process, number: u8) -> Client {
    let server = server(node);
    let config = Config::new(server)
        .with_identity(Identity::from_bytes(&[number; 32]))
        .listening_at((server.ip(), 0).into());
    Client::bind(config).await.expect("the server answers")
}

/// Peers, each of which asks for the next one, at another node, again and again. None may fail.
struct Load {
    goes_on: Arc<AtomicBool>,
    met: Arc<AtomicUsize>,
    longest: Arc<Mutex<Duration>>,
    failures: Arc<Mutex<Vec<String>>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    async fn start(nodes: &[Process]) -> (Self, Vec<String>) {
        let mut clients = Vec::new();
        for number in 0..PEERS {
            clients.push(client(&nodes[usize::from(number) % NODES], number + 1).await);
        }
        let ids: Vec<_> = clients.iter().map(|client| client.id().unwrap()).collect();
        let load = Self {
            goes_on: Arc::new(AtomicBool::new(true)),
            met: Arc::default(),
            longest: Arc::default(),
            failures: Arc::default(),
            tasks: Vec::new(),
        };
        // What a node says of a peer is in Redis a moment after the peer knows that it is registered.
        for (number, client) in clients.iter().enumerate() {
            let target = Target::Id(ids[(number + 1) % ids.len()]);
            let limit = Instant::now() + PATIENCE;
            while client.connect(target).await.is_err() {
                assert!(Instant::now() < limit, "peer {number} does not reach the next one");
            }
        }
        let mut tasks = Vec::new();
        for (number, client) in clients.into_iter().enumerate() {
            let target = Target::Id(ids[(number + 1) % ids.len()]);
            let accepting = client.clone();
            tasks.push(tokio::spawn(async move {
                let mut paths = VecDeque::new();
                while let Some(path) = accepting.accept().await {
                    paths.push_back(path);
                    if paths.len() > PATHS {
                        paths.pop_front();
                    }
                }
            }));
            let (goes_on, met) = (Arc::clone(&load.goes_on), Arc::clone(&load.met));
            let (longest, failures) = (Arc::clone(&load.longest), Arc::clone(&load.failures));
            tasks.push(tokio::spawn(async move {
                while goes_on.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    match client.connect(target).await {
                        Ok(_) => met.fetch_add(1, Ordering::Relaxed),
                        Err(error) => {
                            failures.lock().unwrap().push(format!("peer {number}: {error}"));
                            continue;
                        }
                    };
                    let mut longest = longest.lock().unwrap();
                    *longest = longest.max(asked.elapsed());
                }
                client.close().await;
            }));
        }
        let ids = ids.iter().map(ToString::to_string).collect();
        (Self { tasks, ..load }, ids)
    }

    /// Waits until so many more came through.
    fn wait_for_more(&self) {
        let before = self.met.load(Ordering::Relaxed);
        eventually(PATIENCE, "peers connect", || {
            (self.met.load(Ordering::Relaxed) >= before + CONNECTS).then_some(())
        });
    }

    /// The longest connect since this was asked last.
    fn take_longest(&self) -> Duration {
        std::mem::take(&mut *self.longest.lock().unwrap())
    }

    #[track_caller]
    fn assert_none_failed(&self) {
        let failures = self.failures.lock().unwrap();
        assert!(
            failures.is_empty(),
            "{} failed, {} came through: {:?}",
            failures.len(),
            self.met.load(Ordering::Relaxed),
            &failures[..failures.len().min(20)]
        );
    }

    async fn stop(self) -> usize {
        self.goes_on.store(false, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("a task of the load");
        }
        self.met.load(Ordering::Relaxed)
    }
}

/// The channel of each node.
fn channels(nodes: &[Process]) -> Vec<String> {
    let name =
        |node: &Process| node.events("other nodes can be reached")[0]["node"].as_str().unwrap().to_owned();
    nodes.iter().map(|node| format!("p2p:node:{}", name(node))).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "figures")]
async fn no_connect_fails_while_masters_of_a_cluster_are_killed_and_fail_over() {
    let mut cluster = RedisCluster::start_with_replicas();
    let mut nodes: Vec<Process> = (0..NODES).map(|_| launch(&cluster.url()).start()).collect();
    for node in &nodes {
        wait_for_others(node, NODES - 1);
    }
    let (load, ids) = Load::start(&nodes).await;
    let homes: Vec<String> = ids.iter().map(|id| format!("p2p:{{p:{id}}}:homes")).collect();
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
    load.wait_for_more();
    eprintln!("the longest connect while nothing happens: {:?}", load.take_longest());
    for (master, keys, of_keys) in [(first, &homes, &of_homes), (second, &channels, &of_channels)] {
        let key = of_keys.iter().position(|of| *of == master).map(|place| &keys[place]).expect("it has one");
        eprintln!(
            "kill -9 of a master with the homes of {} of {PEERS} peers and the channels of {} of {NODES} nodes",
            count(&of_homes, master),
            count(&of_channels, master)
        );
        let killed = Instant::now();
        cluster.master(master).kill9();
        tokio::task::block_in_place(|| cluster.wait_for_failover(key));
        eprintln!("its replica serves after {:?}", killed.elapsed());
        tokio::task::block_in_place(|| load.wait_for_more());
        for node in &nodes {
            tokio::task::block_in_place(|| wait_for_others(node, NODES - 1));
        }
        tokio::task::block_in_place(|| load.wait_for_more());
        eprintln!("the longest connect meanwhile: {:?}", load.take_longest());
        load.assert_none_failed();
    }
    eprintln!("{} connects came through, none failed", load.stop().await);
    nodes.iter_mut().for_each(Process::assert_sound);
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
