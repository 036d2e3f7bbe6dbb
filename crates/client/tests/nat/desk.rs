//! One peer's machine on a desk: what it is told and how time passes is the test's own.

use std::net::SocketAddr;
use std::time::Duration;

use peer_client::Identity;
use peer_client::machine::{Event, Machine, Settings, SocketId};
use peer_core::datagram::v2::{
    Decoded, Introduction, LanAddrs, NatKind, PairId, PunchKey, Register, Reply, Request, Status, Token,
    YourAddr,
};

/// A machine, and the time.
pub(crate) struct Desk {
    pub(crate) machine: Machine,
    pub(crate) now: Duration,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::knowing(&[])
    }

    /// It knows others as well.
    pub(crate) fn knowing(others: &[&str]) -> Self {
        let settings = Settings {
            server: addr("203.0.113.1:1"),
            others: others.iter().map(|other| addr(other)).collect(),
            identity: Some(Identity::from_bytes(&[1; 32])),
            lan: LanAddrs::EMPTY,
        };
        let mut machine = Machine::new(settings, [1; 16]);
        machine.start(Duration::ZERO);
        Self { machine, now: Duration::ZERO }
    }

    /// What it sent last, and where.
    pub(crate) fn sent(&mut self) -> (SocketAddr, Request) {
        let transmit = std::iter::from_fn(|| self.machine.poll_transmit()).last().expect("something is sent");
        let Decoded::Request(request) = Request::decode(&transmit.bytes) else { panic!("{transmit:?}") };
        (transmit.to, request)
    }

    /// What it asked of servers, by which sockets and where. What it says to peers is passed over.
    pub(crate) fn requests(&mut self) -> impl Iterator<Item = (SocketId, SocketAddr, Request)> {
        std::iter::from_fn(|| self.machine.poll_transmit()).filter_map(|transmit| {
            let Decoded::Request(request) = Request::decode(&transmit.bytes) else { return None };
            Some((transmit.socket, transmit.to, request))
        })
    }

    /// What it asked of a server by this socket last, and where.
    pub(crate) fn sent_by(&mut self, socket: SocketId) -> (SocketAddr, Request) {
        let asked = self.requests().filter(|(by, ..)| *by == socket).last();
        asked.map(|(_, to, request)| (to, request)).expect("something is asked")
    }

    pub(crate) fn register(&mut self) -> Register {
        match self.sent() {
            (_, Request::Register(register)) => register,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn hear(&mut self, from: &str, reply: &Reply) {
        self.hear_at(SocketId::MAIN, from, reply);
    }

    pub(crate) fn hear_at(&mut self, socket: SocketId, from: &str, reply: &Reply) {
        let mut bytes = Vec::new();
        reply.encode(&mut bytes);
        self.machine.handle(self.now, socket, addr(from), &bytes);
    }

    /// The server has answered every step.
    pub(crate) fn join(&mut self, server: &str) {
        self.join_by(SocketId::MAIN, server);
        assert!(self.machine.standing().registered);
    }

    pub(crate) fn join_by(&mut self, socket: SocketId, server: &str) {
        let ok = Status::Ok { ttl_secs: 120, keepalive_secs: 20, alt_port: None };
        for status in [Status::Verify, ok] {
            let (_, Request::Register(Register { tid, .. })) = self.sent_by(socket) else {
                panic!("a register")
            };
            let said =
                YourAddr { tid, addr: addr("198.51.100.7:5"), status, token: Token::from_bytes([2; 16]) };
            self.hear_at(socket, server, &Reply::YourAddr(said));
        }
    }

    /// The server answers what this socket has just asked for with a peer that can be punched.
    pub(crate) fn introduce(&mut self, socket: SocketId, pair: u8) {
        let (server, Request::Connect(connect)) = self.sent_by(socket) else { panic!("a connect") };
        let introduction = Introduction {
            tid: Some(connect.tid),
            pair: PairId::from_bits(pair.into()),
            peer: addr("198.51.100.9:9"),
            id: None,
            lan: LanAddrs::EMPTY,
            nat: NatKind::Unknown,
            punch: true,
            start_ms: 0,
            interval_ms: 100,
            key: Some(PunchKey::from_bytes([pair; 16])),
            cold: false,
        };
        self.hear_at(socket, &server.to_string(), &Reply::Peer(introduction));
    }

    /// Lets time pass from one thing that is due to the next.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.machine.next_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.machine.tick(self.now);
        }
        self.now = until;
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.machine.poll_event()).collect()
    }
}

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}
