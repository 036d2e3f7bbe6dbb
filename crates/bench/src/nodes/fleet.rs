//! Matchmakers in virtual time: the real engines, and between them a [`Ledger`] in the place of Redis. What the session of a
//! node does with Redis is done here step by step; that it is the same is held against real processes (`bench nodes --processes`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use anyhow::Context as _;
use matchmaker::{
    Arrival, Endpoints, Engine, Legacy, LegacyLimits, NodeEvent, NodeOutcome, Outbox, PresenceCursor,
    TokenKeys, V2Settings,
};
use peer_core::datagram::v2::Target;
use peer_core::limits::{HOME_RENEW_MS, NODE_MS, V2_KEEPALIVE_SECS};
use peer_core::{NodeId, Owner, Peer};
use registry::nodes::{Home, Node};

use super::ledger::{Ledger, Load};
use crate::udp::v2::V2Peer;

/// From one beat of a node to the next.
const BEAT_US: u64 = NODE_MS * 1_000 / 5;
/// How long a walk through all registrations takes.
const WALK_US: u64 = HOME_RENEW_MS * 1_000;
/// How long a word to Redis and back takes.
const REDIS_US: u64 = 500;
const KEEPALIVE_US: u64 = V2_KEEPALIVE_SECS as u64 * 1_000_000;
/// What a node without anything else set gives the signs of life that it renews, in ms.
const PEER_TTL_MS: u64 = 86_400_000;
pub(super) const PORT: u16 = 12_345;
const SECOND_US: u64 = 1_000_000;
/// When the first peer comes: all nodes know each other by then.
pub(super) const JOIN_FROM_US: u64 = 2 * BEAT_US;

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scene {
    pub nodes: usize,
    pub peers: usize,
    /// Connects of all peers together, a second; each peer asks for another at random.
    pub connects_per_second: f64,
    /// Peers that a node has room for.
    pub room: u32,
    /// Within this time all peers have come.
    pub joining_us: u64,
    pub seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Beat(usize),
    Walk(usize),
    Say(usize),
    Connect,
}

#[derive(Debug)]
struct SimNode {
    engine: Engine,
    node: Node,
    cursor: PresenceCursor,
    pause_us: u64,
}

#[derive(Debug)]
struct SimPeer {
    speaker: V2Peer,
    addr: SocketAddrV4,
    home: usize,
}

/// The nodes, their peers, and the Redis.
#[derive(Debug)]
pub(crate) struct Fleet {
    nodes: Vec<SimNode>,
    peers: Vec<SimPeer>,
    pub ledger: Ledger,
    due: BinaryHeap<Reverse<(u64, Due)>>,
    pub now_us: u64,
    connect_every_us: u64,
    random: fastrand::Rng,
    /// Asks for peers of other nodes of which both sides were told.
    pub matched: u64,
    /// Asks that were not met.
    pub missed: u64,
    /// Connects of which the target was at the asker's own node.
    pub at_home: u64,
}

impl Fleet {
    /// All nodes there, no peer yet.
    pub(crate) fn new(scene: &Scene) -> Self {
        let mut random = fastrand::Rng::with_seed(scene.seed);
        let nodes: Vec<SimNode> = (0..scene.nodes).map(|index| sim_node(index, scene.room)).collect();
        let peers = (0..scene.peers)
            .map(|index| {
                let addr = SocketAddrV4::new(address(index), 40_000);
                SimPeer { speaker: V2Peer::new(addr), addr, home: index % scene.nodes }
            })
            .collect();
        let mut due = BinaryHeap::new();
        for index in 0..scene.nodes {
            // Nodes were started at some time or other.
            let start_us = random.u64(0..BEAT_US);
            due.push(Reverse((start_us, Due::Beat(index))));
            due.push(Reverse((start_us, Due::Walk(index))));
        }
        for index in 0..scene.peers {
            due.push(Reverse((JOIN_FROM_US + random.u64(0..=scene.joining_us), Due::Say(index))));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "us between two connects"
        )]
        let connect_every_us =
            if scene.connects_per_second > 0.0 { (1e6 / scene.connects_per_second) as u64 } else { 0 };
        if connect_every_us > 0 {
            due.push(Reverse((JOIN_FROM_US + scene.joining_us + 2 * SECOND_US, Due::Connect)));
        }
        let (ledger, matched, missed, at_home) = (Ledger::default(), 0, 0, 0);
        Self { nodes, peers, ledger, due, now_us: 0, connect_every_us, random, matched, missed, at_home }
    }

    /// Lets time pass until `end_us`, and gives what Redis did in it.
    pub(crate) fn run_until(&mut self, end_us: u64) -> anyhow::Result<Load> {
        let before = self.ledger.load.clone();
        while let Some(Reverse((at_us, due))) = self.due.pop_if_before(end_us) {
            self.now_us = at_us;
            match due {
                Due::Beat(index) => self.beat(index),
                Due::Walk(index) => self.walk(index),
                Due::Say(index) => self.say(index)?,
                Due::Connect => self.connect()?,
            }
        }
        self.now_us = end_us;
        Ok(self.ledger.load.since(&before))
    }

    fn beat(&mut self, index: usize) {
        let Some(node) = self.nodes.get(index) else { return };
        self.ledger.beat(&node.node, self.now_us);
        let mut out = Outbox::default();
        node.engine.tick(self.now_us);
        node.engine.node_tick(self.now_us, &mut out);
        self.settle(index, &mut out);
        self.due.push(Reverse((self.now_us + BEAT_US, Due::Beat(index))));
    }

    /// One step of the walk that says again who is heard.
    fn walk(&mut self, index: usize) {
        let Some(node) = self.nodes.get_mut(index) else { return };
        let mut homes: Vec<Home> = Vec::new();
        if node.engine.presence_step(self.now_us, &mut node.cursor, &mut homes) {
            for home in &homes {
                self.ledger.heard(node.node.id, *home, PEER_TTL_MS, self.now_us);
            }
        } else {
            node.cursor = PresenceCursor::default();
            node.pause_us = WALK_US / (node.engine.presence_steps().max(1) as u64);
        }
        let waits_us = if homes.is_empty() { 0 } else { REDIS_US };
        let at_us = self.now_us + node.pause_us + waits_us;
        self.due.push(Reverse((at_us, Due::Walk(index))));
    }

    /// A peer registers: for a token, with a signature, and again and again.
    fn say(&mut self, index: usize) -> anyhow::Result<()> {
        let peer = self.peers.get_mut(index).context("a peer of ours")?;
        let mut due_us = KEEPALIVE_US;
        if !peer.speaker.has_token() {
            due_us = REDIS_US;
        }
        let datagram = peer.speaker.register(false);
        let (addr, home) = (peer.addr, peer.home);
        let mut out = self.hand_over(home, addr, &datagram)?;
        let answer = out.get(0).map(|sent| sent.bytes.to_vec()).context("no answer to a register")?;
        let peer = self.peers.get_mut(index).context("a peer of ours")?;
        peer.speaker.check(&answer).map_err(anyhow::Error::msg)?;
        self.settle(home, &mut out);
        self.due.push(Reverse((self.now_us + due_us, Due::Say(index))));
        Ok(())
    }

    fn connect(&mut self) -> anyhow::Result<()> {
        let (asker, target) =
            (self.random.usize(0..self.peers.len()), self.random.usize(0..self.peers.len()));
        self.due.push(Reverse((self.now_us + self.connect_every_us, Due::Connect)));
        if asker != target {
            self.connect_pair(asker, target)?;
        }
        Ok(())
    }

    /// One peer asks for another by its id.
    pub(crate) fn connect_pair(&mut self, asker: usize, target: usize) -> anyhow::Result<()> {
        let target = self.peers.get(target).context("a peer of ours")?;
        let (id, target_home) = (target.speaker.id(), target.home);
        let asker = self.peers.get_mut(asker).context("a peer of ours")?;
        let Some(datagram) = asker.speaker.connect(Target::Id(id)) else { return Ok(()) };
        let (addr, home) = (asker.addr, asker.home);
        let mut out = self.hand_over(home, addr, &datagram)?;
        if home == target_home {
            self.at_home += 1;
        }
        self.settle(home, &mut out);
        Ok(())
    }

    fn hand_over(&self, index: usize, from: SocketAddrV4, datagram: &[u8]) -> anyhow::Result<Outbox> {
        let node = self.nodes.get(index).context("a node of ours")?;
        let arrival = Arrival { from: from.into(), socket: 0, local: None, local_port: PORT };
        let mut out = Outbox::default();
        node.engine.handle(self.now_us, arrival, datagram, &mut out);
        Ok(out)
    }

    /// Does what a node wants of Redis and of other nodes, until nobody wants anything.
    fn settle(&mut self, index: usize, out: &mut Outbox) {
        let mut wanted: Vec<(usize, NodeEvent)> = out.take_events().map(|event| (index, event)).collect();
        while let Some((index, event)) = wanted.pop() {
            let Some(node) = self.nodes.get(index) else { continue };
            let (this, mut out) = (node.node.id, Outbox::default());
            let (at_us, engine) = (self.now_us + REDIS_US, &node.engine);
            let (by, outcome) = match event {
                NodeEvent::Arrived { home, .. } => {
                    // Nobody moves here, so that there is nobody to be told.
                    self.ledger.heard(this, home, PEER_TTL_MS, self.now_us);
                    continue;
                }
                NodeEvent::Left(home) => {
                    self.ledger.lost(this, home);
                    continue;
                }
                NodeEvent::Find { pair, target } => {
                    let homes = owner_of(target).map(|owner| self.ledger.find(owner)).unwrap_or_default();
                    (index, engine.node_homes(at_us, pair, &homes, &mut out))
                }
                NodeEvent::Tell { to, message, .. } => {
                    self.ledger.tell(to, &message);
                    let there = index_of(to);
                    let Some(other) = self.nodes.get(there) else { continue };
                    (there, other.engine.node_message(at_us, &message, &mut out))
                }
            };
            match outcome {
                Some(NodeOutcome::Matched) => self.matched += 1,
                Some(NodeOutcome::NotFound | NodeOutcome::Declined | NodeOutcome::Flood) => self.missed += 1,
                _ => {}
            }
            wanted.extend(out.take_events().map(|event| (by, event)));
        }
    }
}

trait PopIfBefore {
    fn pop_if_before(&mut self, end_us: u64) -> Option<Reverse<(u64, Due)>>;
}

impl PopIfBefore for BinaryHeap<Reverse<(u64, Due)>> {
    fn pop_if_before(&mut self, end_us: u64) -> Option<Reverse<(u64, Due)>> {
        self.peek().filter(|Reverse((at_us, _))| *at_us < end_us)?;
        self.pop()
    }
}

/// A peer's address, of which no two share a network.
pub(super) fn address(index: usize) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(20, 0, 0, 1)) + u32::try_from(index).unwrap_or(u32::MAX / 16))
}

fn id_of(index: usize) -> NodeId {
    NodeId::from_bits(index as u64 + 1)
}

fn index_of(node: NodeId) -> usize {
    usize::try_from(node.to_bits()).map_or(usize::MAX, |bits| bits.wrapping_sub(1))
}

/// The engine of a node that meets others.
pub(super) fn engine(index: usize, room: u32) -> Engine {
    let legacy = Legacy::Limited(LegacyLimits::default());
    let keys = TokenKeys::new([7; 16]);
    let settings = V2Settings { max_clients: room, legacy, keys, epoch_ms: 1_764_100_000_000 };
    let listens = SocketAddr::from(([0, 0, 0, 0], PORT));
    let engine = Engine::new(room, legacy)
        .with_endpoints(Endpoints::new(&[listens], &[]))
        .with_v2(&settings)
        .with_nodes(id_of(index));
    engine.set_linked(true);
    engine
}

fn sim_node(index: usize, room: u32) -> SimNode {
    let public = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    let node = Node { id: id_of(index), leaving: false, addrs: vec![public] };
    SimNode { engine: engine(index, room), node, cursor: PresenceCursor::default(), pause_us: 0 }
}

fn owner_of(target: Target) -> Option<Owner> {
    match target {
        Target::Id(id) => Some(id.into()),
        Target::Ip(ip) => Peer::new(ip).ok().map(Owner::from),
        Target::Addr(addr) => Peer::new(addr.ip()).ok().map(Owner::from),
    }
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
