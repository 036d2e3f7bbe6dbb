//! Version 2 in virtual time: a client for each address, and a clock that the test turns.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports what is wrong by failing"
)]

mod bounds;
mod legacy;
mod meeting;
mod registering;
mod resending;
mod spoofing;

use std::net::SocketAddr;

use ed25519_dalek::{Signer as _, SigningKey};
use peer_core::datagram::v2::{
    Connect, ErrorCode, Introduction, LanAddrs, PairId, Register, Reply, Request, SignedText, Status, Target,
    Tid, Token, YourAddr,
};
use peer_core::{PeerId, PeerSignature};

use super::*;
use crate::Endpoints;

const A: &str = "203.0.113.10:41001";
const B: &str = "198.51.100.7:5000";
const C: &str = "192.0.2.99:7";
const MAIN_PORT: u16 = 12_345;
const ALT_PORT: u16 = 12_346;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn tid(text: &str) -> Tid {
    text.parse().unwrap()
}

/// A key, always the same for a number.
fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn id(number: u8) -> PeerId {
    PeerId::from_bytes(key(number).verifying_key().to_bytes())
}

fn sign(number: u8, token: Token, addr: SocketAddr) -> PeerSignature {
    PeerSignature::from_bytes(key(number).sign(SignedText::of_register(token, addr).as_bytes()).to_bytes())
}

/// A datagram that left.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sent {
    to: SocketAddr,
    bytes: Vec<u8>,
}

impl Sent {
    fn reply(&self) -> Reply {
        Reply::decode(&self.bytes).unwrap()
    }
}

struct Bench {
    engine: Engine,
    now_us: u64,
    tids: u32,
}

impl Bench {
    fn new() -> Self {
        Self::with(1_000, Legacy::Limited(LegacyLimits::default()))
    }

    fn with(max_clients: u32, legacy: Legacy) -> Self {
        let endpoints =
            Endpoints::new(&[addr(&format!("0.0.0.0:{MAIN_PORT}"))], &[addr(&format!("0.0.0.0:{ALT_PORT}"))]);
        let settings =
            V2Settings { max_clients, legacy, keys: TokenKeys::new([7; 16]), epoch_ms: 1_764_100_000_000 };
        let engine = Engine::new(max_clients, legacy).with_endpoints(endpoints).with_v2(&settings);
        Self { engine, now_us: 1_000_000, tids: 0 }
    }

    fn wait_ms(&mut self, ms: u64) {
        self.now_us += ms * 1_000;
    }

    fn next_tid(&mut self) -> Tid {
        self.tids += 1;
        tid(&format!("t{}", self.tids))
    }

    fn send_bytes(&mut self, from: &str, port: u16, datagram: &[u8]) -> (Outcome, Vec<Sent>) {
        let arrival = Arrival {
            from: addr(from),
            socket: u8::from(port == ALT_PORT),
            local: Some("192.0.2.1".parse().unwrap()),
            local_port: port,
        };
        let mut out = Outbox::default();
        let outcome = self.engine.handle(self.now_us, arrival, datagram, &mut out);
        (outcome, all(&out))
    }

    fn send(&mut self, from: &str, request: &Request) -> (Outcome, Vec<Sent>) {
        let mut datagram = Vec::new();
        request.encode(&mut datagram);
        self.send_bytes(from, MAIN_PORT, &datagram)
    }

    /// What leaves of itself by now.
    fn resent(&mut self) -> Vec<Sent> {
        let mut out = Outbox::default();
        self.engine.resend(self.now_us, &mut out);
        all(&out)
    }

    fn register_with(
        &mut self,
        from: &str,
        register: impl FnOnce(&mut Register),
    ) -> (Outcome, Option<Reply>) {
        let tid = self.next_tid();
        let mut request = Register { tid, token: None, id: None, sig: None, lan: LanAddrs::EMPTY };
        register(&mut request);
        let (outcome, sent) = self.send(from, &Request::Register(request));
        assert!(sent.len() <= 1 && sent.iter().all(|sent| sent.to == addr(from)), "{sent:?}");
        (outcome, sent.first().map(Sent::reply))
    }

    /// A first token for an address.
    fn token(&mut self, from: &str) -> Token {
        let (outcome, reply) = self.register_with(from, |_| ());
        assert_eq!(outcome, Outcome::V2Verify);
        your_addr(reply.as_ref()).token
    }

    /// Registers at once, with the id of `number` unless that is 0, and with local addresses. Gives the token.
    fn join(&mut self, from: &str, number: u8, lan: &[&str]) -> Token {
        let token = self.token(from);
        self.join_with(from, number, lan, token)
    }

    fn join_with(&mut self, from: &str, number: u8, lan: &[&str], token: Token) -> Token {
        let (outcome, reply) = self.register_with(from, |register| {
            register.token = Some(token);
            register.lan = lan.iter().map(|text| addr(text)).collect();
            if number > 0 {
                register.id = Some(id(number));
                register.sig = Some(sign(number, token, addr(from)));
            }
        });
        assert_eq!(outcome, Outcome::V2Registered, "{reply:?}");
        your_addr(reply.as_ref()).token
    }

    fn connect(&mut self, from: &str, token: Token, target: Target) -> (Outcome, Vec<Sent>) {
        let tid = self.next_tid();
        self.send(from, &Request::Connect(Connect { tid, token, target }))
    }

    /// A connect that is met: what the sender and the target are told.
    fn meet(&mut self, from: &str, token: Token, target: Target) -> [Introduction; 2] {
        let (outcome, sent) = self.connect(from, token, target);
        assert!(matches!(outcome, Outcome::V2Matched | Outcome::V2Unpunchable), "{outcome:?}");
        let [to_sender, to_target] = sent.try_into().unwrap();
        assert_eq!(to_sender.to, addr(from));
        let told = [introduction(&to_sender), introduction(&to_target)];
        assert_eq!(told[0].peer, to_target.to);
        told
    }
}

fn all(out: &Outbox) -> Vec<Sent> {
    out.iter().map(|sent| Sent { to: sent.to, bytes: sent.bytes.to_vec() }).collect()
}

fn your_addr(reply: Option<&Reply>) -> YourAddr {
    match reply {
        Some(Reply::YourAddr(your_addr)) => *your_addr,
        other => panic!("{other:?}"),
    }
}

fn introduction(sent: &Sent) -> Introduction {
    match sent.reply() {
        Reply::Peer(introduction) => introduction,
        other => panic!("{other:?}"),
    }
}

fn code(sent: &[Sent]) -> Option<ErrorCode> {
    match sent {
        [sent] => match sent.reply() {
            Reply::Error { code, .. } => Some(code),
            _ => None,
        },
        _ => None,
    }
}
