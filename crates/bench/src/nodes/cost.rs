//! What each word of a matchmaker costs a real Redis: the connections that the matchmaker itself uses, one node each.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use peer_core::{NodeId, PeerId, keys};
use registry::nodes::{Errand, Home, HomeKind, Node, SharedKeys};
use registry::{NodeMessages, NodesConnection};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::figures::{float, micros_each};
use crate::servers::Redis;

/// Nodes that connect, or speak, at the same time.
const AT_ONCE: usize = 64;
/// Homes that go in one round trip: of a small node's walk, and of a busy one.
const FEW: usize = 4;
const MANY: usize = 256;
/// Peers that are said to be heard.
const HOMES: usize = 100_000;
/// Errands of each kind, and how many go in one round trip.
const ERRANDS: usize = 100_000;
const ERRANDS_AT_ONCE: usize = 64;
/// Bytes of a message: an ask of a peer with an id and an address in its network has 150.
const MESSAGE_BYTES: usize = 150;
const PEER_TTL_SECS: u64 = 86_400;

/// What one of many cost.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Each {
    /// CPU time of Redis, in us.
    pub redis_us: f64,
    /// Bytes that it received.
    pub in_bytes: f64,
    /// Bytes that it sent.
    pub out_bytes: f64,
}

/// What a beat costs beside so many nodes.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct BeatCost {
    pub nodes: usize,
    pub each: Each,
    /// Memory of Redis a node: its connections and its place in the list, in bytes.
    pub memory_bytes: f64,
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Costs {
    pub beats: Vec<BeatCost>,
    /// A peer is heard, four in a round trip.
    pub heard_few: Each,
    /// The same, 256 in a round trip.
    pub heard_many: Each,
    /// The same of peers that a tracker knows, whose sign of life is renewed by it.
    pub heard_known: Each,
    pub find: Each,
    pub message: Each,
    /// Memory of Redis for a peer that is heard in one way, in bytes.
    pub home_bytes: f64,
}

/// Measures with so many nodes, from the fewest.
pub(crate) async fn measure(redis: &Redis, counts: &[usize]) -> anyhow::Result<Costs> {
    let mut open = Vec::new();
    connect(redis, &mut open, 1).await?;
    let words = words(redis, &open).await?;
    let mut counts = counts.to_vec();
    counts.sort_unstable();
    let (mut beats, empty) = (Vec::new(), redis.used_memory().await?);
    for nodes in counts {
        connect(redis, &mut open, nodes).await?;
        beat(&open, 1).await?;
        let memory = float(redis.used_memory().await?.saturating_sub(empty));
        // Some 2,000 beats, so that the clock of Redis sees them.
        let rounds = (2_000 / nodes).max(1);
        let each = metered(redis, nodes * rounds, beat(&open, rounds)).await?;
        beats.push(BeatCost { nodes, each, memory_bytes: memory / float(nodes as u64) });
    }
    Ok(Costs { beats, ..words })
}

/// What a node says of peers and to others. Before there are many: what their connections hold comes and goes.
async fn words(redis: &Redis, open: &Open) -> anyhow::Result<Costs> {
    let (connection, messages) = open.first().context("no node")?;
    let to = NodeId::from_bits(1);
    anyhow::ensure!(messages.id() == to, "the first node is number 1");
    let homes = |from: usize| -> Vec<Home> { (from..from + HOMES).map(home).collect() };
    let before = redis.used_memory().await?;
    let first = homes(0);
    let heard_few = metered(redis, HOMES, hear(connection, &first, FEW)).await?;
    let home_bytes = float(redis.used_memory().await?.saturating_sub(before)) / float(HOMES as u64);
    let heard_many = metered(redis, HOMES, hear(connection, &first, MANY)).await?;
    let known = homes(HOMES);
    let seen: Vec<String> = known.iter().map(|home| keys::peer_seen(home.owner)).collect();
    redis.set(&seen, "1764100000000").await?;
    hear(connection, &known, MANY).await?;
    let heard_known = metered(redis, HOMES, hear(connection, &known, MANY)).await?;
    let finds: Vec<Errand> = first.iter().map(|home| Errand::Find(home.owner)).take(ERRANDS).collect();
    let find = metered(redis, ERRANDS, run(connection, &finds)).await?;
    let tells = vec![Errand::Tell(to, vec![7; MESSAGE_BYTES]); ERRANDS];
    let message = metered(redis, ERRANDS, run(connection, &tells)).await?;
    Ok(Costs { beats: Vec::new(), heard_few, heard_many, heard_known, find, message, home_bytes })
}

/// What a node is there with. Its channel is read by a task, as messages would otherwise pile up.
struct Listener {
    id: NodeId,
    _reader: JoinSet<()>,
}

impl Listener {
    fn new(id: NodeId, mut messages: NodeMessages) -> Self {
        let mut reader = JoinSet::new();
        reader.spawn(async move { while messages.next().await.is_some() {} });
        Self { id, _reader: reader }
    }

    fn id(&self) -> NodeId {
        self.id
    }
}

type Open = Vec<(NodesConnection, Listener)>;

async fn connect(redis: &Redis, open: &mut Open, nodes: usize) -> anyhow::Result<()> {
    while open.len() < nodes {
        let first = open.len() as u64 + 1;
        let most = AT_ONCE.min(nodes - open.len()) as u64;
        let mut opening = JoinSet::new();
        for number in first..first + most {
            let (url, id) = (redis.url(), NodeId::from_bits(number));
            opening.spawn(async move { (id, NodesConnection::open(&url, id, PEER_TTL_SECS).await) });
        }
        let mut opened = opening.join_all().await;
        opened.sort_by_key(|(id, _)| *id);
        for (id, opened) in opened {
            let (connection, messages) = opened?;
            open.push((connection, Listener::new(id, messages)));
        }
    }
    Ok(())
}

/// Each node says so often that it is there.
async fn beat(open: &Open, rounds: usize) -> anyhow::Result<()> {
    let keys = SharedKeys { current: [1; 16], next: [2; 16], previous: None, shared: true };
    for _ in 0..rounds {
        for nodes in open.chunks(AT_ONCE) {
            let mut beating = JoinSet::new();
            for (connection, listener) in nodes {
                let (connection, id) = (connection.clone(), listener.id());
                beating.spawn(async move {
                    let addrs = vec![SocketAddr::from((Ipv4Addr::new(203, 0, 113, 10), 12_345))];
                    let node = Node { id, leaving: false, addrs };
                    connection.beat(&node, &node, &keys, [3; 16]).await
                });
            }
            for answer in beating.join_all().await {
                answer?;
            }
        }
    }
    Ok(())
}

fn home(number: usize) -> Home {
    let mut id = [7; 32];
    for (place, byte) in id.iter_mut().zip(number.to_be_bytes()) {
        *place = byte;
    }
    Home { owner: PeerId::from_bytes(id).into(), kind: HomeKind::IdV4 }
}

async fn hear(connection: &NodesConnection, homes: &[Home], at_once: usize) -> anyhow::Result<()> {
    for homes in homes.chunks(at_once) {
        connection.heard(homes).await?;
    }
    Ok(())
}

async fn run(connection: &NodesConnection, errands: &[Errand]) -> anyhow::Result<()> {
    for errands in errands.chunks(ERRANDS_AT_ONCE) {
        connection.run(errands).await?;
    }
    Ok(())
}

async fn metered(
    redis: &Redis,
    count: usize,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Each> {
    let (cpu, wire) = (redis.cpu().await?, redis.wire().await?);
    work.await?;
    let (wire_after, cpu_after) = (redis.wire().await?, redis.cpu().await?);
    let count = count as u64;
    let redis_us = micros_each(cpu_after.saturating_sub(cpu).max(Duration::ZERO), count).unwrap_or_default();
    let share = |after: u64, before: u64| float(after.saturating_sub(before)) / float(count.max(1));
    Ok(Each { redis_us, in_bytes: share(wire_after.0, wire.0), out_bytes: share(wire_after.1, wire.1) })
}

impl Costs {
    /// CPU time of Redis for a beat beside so many nodes, in us: on the line between what was measured.
    pub(crate) fn beat_us(&self, nodes: f64) -> f64 {
        let points: Vec<(f64, f64)> =
            self.beats.iter().map(|beat| (float(beat.nodes as u64), beat.each.redis_us)).collect();
        on_line(&points, nodes)
    }
}

/// The value at `at` on the lines between `points`; beyond them the nearest line goes on.
pub(crate) fn on_line(points: &[(f64, f64)], at: f64) -> f64 {
    let pair = points.windows(2).find(|pair| pair.last().is_some_and(|(end, _)| at <= *end));
    match pair.or_else(|| points.windows(2).last()) {
        Some([(from, low), (to, high)]) => low + (high - low) * (at - from) / (to - from),
        _ => points.first().map_or(0.0, |(_, value)| *value),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;

    #[tokio::test]
    async fn each_word_costs_a_real_redis_something() {
        let directory = tempfile::tempdir().unwrap();
        let redis = Redis::start(directory.path()).await.unwrap();
        let (mut open, homes) = (Vec::new(), [home(1), home(2), home(3)]);
        connect(&redis, &mut open, 3).await.unwrap();
        let each = metered(&redis, 6, beat(&open, 2)).await.unwrap();
        assert!(each.in_bytes > 300.0 && each.out_bytes > 100.0, "{each:?}");
        hear(&open.first().unwrap().0, &homes, 2).await.unwrap();
        run(&open.first().unwrap().0, &[Errand::Find(homes.first().unwrap().owner)]).await.unwrap();
        let calls = redis.calls().await.unwrap();
        assert_eq!((calls.get("evalsha"), calls.get("zadd")), (Some(&9), Some(&9)));
    }

    #[test]
    fn between_two_figures_there_is_a_line_and_beyond_them_it_goes_on() {
        let points = [(1.0, 10.0), (10.0, 20.0), (100.0, 110.0)];
        for (at, expected) in [(1.0, 10.0), (5.5, 15.0), (55.0, 65.0), (200.0, 210.0), (0.0, 8.888)] {
            assert!((on_line(&points, at) - expected).abs() < 0.01, "{at}: {}", on_line(&points, at));
        }
        assert!((on_line(&[(5.0, 3.0)], 9.0) - 3.0).abs() < 1e-9);
    }
}
