//! Several engines in virtual time, and what they share as a table in the test.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports what is wrong by failing"
)]

mod asking;
mod hostile;
mod leaving;
mod outage;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use ed25519_dalek::{Signer as _, SigningKey};
use peer_core::datagram::v2::{
    Connect, ErrorCode, Introduction, LanAddrs, NatKind, Register, Reply, Request, SignedText, Status,
    Target, Tid, Token,
};
use peer_core::{NodeId, Owner, PeerId, PeerSignature};
use registry::nodes::{HomeAt, HomeKind};

use super::choosing::owner_of;
use super::message::{Message, Moved};
use super::{NodeEvent, NodeOutcome};
use crate::outbox::Outbox;
use crate::{Arrival, Endpoints, Engine, Legacy, LegacyLimits, Outcome, TokenKeys, V2Settings};

const A: &str = "203.0.113.10:41001";
const B: &str = "198.51.100.7:5000";
const C: &str = "192.0.2.99:7";

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn id(number: u8) -> PeerId {
    PeerId::from_bytes(key(number).verifying_key().to_bytes())
}

/// A datagram that left a node.
#[derive(Debug, Clone)]
struct Sent {
    node: usize,
    to: SocketAddr,
    bytes: Vec<u8>,
}

impl Sent {
    fn introduction(&self) -> Introduction {
        match Reply::decode(&self.bytes).unwrap() {
            Reply::Peer(introduction) => introduction,
            other => panic!("{other:?}"),
        }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }
}

/// Nodes, and the Redis between them, which takes no time unless it is held up.
struct Fleet {
    engines: Vec<Engine>,
    homes: HashMap<Owner, Vec<HomeAt>>,
    /// Nodes that are gone: nobody listens there.
    gone: Vec<usize>,
    outcomes: Vec<NodeOutcome>,
    /// How long a message is on its way, in us.
    way_us: u64,
    /// Whether messages are lost.
    loses: bool,
    /// Whether Redis is away, so that nothing is done.
    is_away: bool,
    now_us: u64,
    tids: u32,
}

fn node(index: usize) -> NodeId {
    NodeId::from_bits(index as u64 + 1)
}

impl Fleet {
    fn new(nodes: usize) -> Self {
        let engine = |index| {
            let legacy = Legacy::Limited(LegacyLimits::default());
            let keys = TokenKeys::new([7; 16]);
            let settings = V2Settings { max_clients: 1_000, legacy, keys, epoch_ms: 1_764_100_000_000 };
            let engine = Engine::new(1_000, legacy)
                .with_endpoints(Endpoints::new(&[addr("0.0.0.0:12345")], &[]))
                .with_v2(&settings)
                .with_nodes(node(index));
            engine.set_linked(true);
            engine
        };
        Self {
            engines: (0..nodes).map(engine).collect(),
            homes: HashMap::new(),
            gone: Vec::new(),
            outcomes: Vec::new(),
            way_us: 0,
            loses: false,
            is_away: false,
            now_us: 1_000_000,
            tids: 0,
        }
    }

    fn next_tid(&mut self) -> Tid {
        self.tids += 1;
        format!("t{}", self.tids).parse().unwrap()
    }

    /// Hands a datagram to a node, and does all that follows of it.
    fn send_bytes(&mut self, index: usize, from: &str, datagram: &[u8]) -> (Outcome, Vec<Sent>) {
        let arrival = Arrival {
            from: addr(from),
            socket: 0,
            local: Some("192.0.2.1".parse().unwrap()),
            local_port: 12_345,
        };
        let mut out = Outbox::default();
        let outcome = self.engines[index].handle(self.now_us, arrival, datagram, &mut out);
        (outcome, self.settle(index, out))
    }

    fn send(&mut self, index: usize, from: &str, request: &Request) -> (Outcome, Vec<Sent>) {
        let mut datagram = Vec::new();
        request.encode(&mut datagram);
        self.send_bytes(index, from, &datagram)
    }

    /// Does what events ask for until there is none, and gives all datagrams.
    fn settle(&mut self, index: usize, out: Outbox) -> Vec<Sent> {
        let mut sent = Vec::new();
        let mut outs = VecDeque::from([(index, out)]);
        while let Some((index, mut out)) = outs.pop_front() {
            sent.extend(out.iter().map(|sent| Sent { node: index, to: sent.to, bytes: sent.bytes.to_vec() }));
            let events: Vec<NodeEvent> = out.take_events().collect();
            for event in events {
                outs.extend(self.event(index, event));
            }
        }
        sent
    }

    fn event(&mut self, index: usize, event: NodeEvent) -> Vec<(usize, Outbox)> {
        let mut out = Outbox::default();
        match event {
            NodeEvent::Arrived { home, addr } => {
                let here = HomeAt { node: node(index), kind: home.kind };
                let homes = self.homes.entry(home.owner).or_default();
                homes.retain(|at| *at != here);
                let others = homes.clone();
                homes.insert(0, here);
                let moved = match home.kind {
                    HomeKind::Address => Moved::Addr(addr),
                    HomeKind::Legacy => Moved::Legacy(addr.ip()),
                    _ => Moved::Id { id: home.owner.id().unwrap(), is_v4: addr.is_ipv4() },
                };
                let message = Message::Moved(moved).encode();
                let told = others.into_iter().filter(|at| at.kind == home.kind);
                return told.flat_map(|at| self.tell(index, at.node, None, &message)).collect();
            }
            NodeEvent::Left(home) => {
                let here = HomeAt { node: node(index), kind: home.kind };
                self.homes.entry(home.owner).or_default().retain(|at| *at != here);
            }
            NodeEvent::Find { pair, .. } | NodeEvent::Tell { pair: Some(pair), .. } if self.is_away => {
                self.engines[index].put_off_ask(pair);
            }
            NodeEvent::Find { pair, target } => {
                let homes = owner_of(target).and_then(|owner| self.homes.get(&owner)).cloned();
                let homes = homes.unwrap_or_default();
                let outcome = self.engines[index].node_homes(self.now_us, pair, &homes, &mut out);
                self.outcomes.extend(outcome);
            }
            NodeEvent::Tell { to, pair, message } => return self.tell(index, to, pair, &message),
        }
        vec![(index, out)]
    }

    fn tell(
        &mut self,
        from: usize,
        to: NodeId,
        pair: Option<peer_core::datagram::v2::PairId>,
        message: &[u8],
    ) -> Vec<(usize, Outbox)> {
        if self.loses {
            return Vec::new();
        }
        let mut out = Outbox::default();
        let there = (0..self.engines.len()).find(|index| node(*index) == to && !self.gone.contains(index));
        let Some(there) = there else {
            let outcome =
                pair.and_then(|pair| self.engines[from].node_unheard(self.now_us, pair, to, &mut out));
            self.outcomes.extend(outcome);
            return vec![(from, out)];
        };
        self.now_us += self.way_us;
        let outcome = self.engines[there].node_message(self.now_us, message, &mut out);
        self.outcomes.extend(outcome);
        vec![(there, out)]
    }

    fn register(&mut self, index: usize, from: &str, register: impl FnOnce(&mut Register)) -> Vec<Sent> {
        let tid = self.next_tid();
        let mut request = Register { tid, token: None, id: None, sig: None, lan: LanAddrs::EMPTY };
        register(&mut request);
        self.send(index, from, &Request::Register(request)).1
    }

    /// Registers with the id of `number`, unless that is 0. Gives the token.
    fn join(&mut self, index: usize, from: &str, number: u8) -> Token {
        let sent = self.register(index, from, |_| ());
        let token = your_addr(&sent).1;
        let sent = self.register(index, from, |register| {
            register.token = Some(token);
            if number > 0 {
                let text = SignedText::of_register(token, addr(from));
                register.id = Some(id(number));
                register.sig = Some(PeerSignature::from_bytes(key(number).sign(text.as_bytes()).to_bytes()));
            }
        });
        let (status, token) = your_addr(&sent);
        assert!(matches!(status, Status::Ok { .. }));
        token
    }

    fn connect(&mut self, index: usize, from: &str, token: Token, target: Target) -> (Outcome, Vec<Sent>) {
        let tid = self.next_tid();
        self.send(index, from, &Request::Connect(Connect { tid, token, target }))
    }

    fn legacy(&mut self, index: usize, from: &str, datagram: &str) -> Vec<Sent> {
        self.send_bytes(index, from, datagram.as_bytes()).1
    }

    /// Lets time pass, and does what is due.
    fn wait_ms(&mut self, ms: u64) -> Vec<Sent> {
        self.now_us += ms * 1_000;
        let mut sent = Vec::new();
        for index in 0..self.engines.len() {
            let mut out = Outbox::default();
            let outcomes = self.engines[index].node_tick(self.now_us, &mut out);
            self.outcomes.extend(outcomes);
            sent.extend(self.settle(index, out));
        }
        sent
    }
}

fn your_addr(sent: &[Sent]) -> (Status, Token) {
    match Reply::decode(&sent[0].bytes).unwrap() {
        Reply::YourAddr(said) => (said.status, said.token),
        other => panic!("{other:?}"),
    }
}

fn code(sent: &[Sent]) -> ErrorCode {
    match sent {
        [sent] => match Reply::decode(&sent.bytes).unwrap() {
            Reply::Error { code, .. } => code,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// When an asker that was refused is to ask again.
fn retry_ms(sent: &[Sent]) -> Option<u32> {
    match sent {
        [sent] => match Reply::decode(&sent.bytes).unwrap() {
            Reply::Error { code: ErrorCode::NotFound, retry_ms, .. } => retry_ms,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// Of what was sent, what went to whom.
#[track_caller]
fn to<'a>(sent: &'a [Sent], addr_text: &str) -> &'a Sent {
    let mut found = sent.iter().filter(|sent| sent.to == addr(addr_text));
    let first = found.next().unwrap_or_else(|| panic!("nothing to {addr_text}: {sent:?}"));
    assert!(found.next().is_none(), "{sent:?}");
    first
}
