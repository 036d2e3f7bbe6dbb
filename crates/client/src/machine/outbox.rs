use std::collections::VecDeque;
use std::net::SocketAddr;

use peer_core::datagram::v2::{Request, Tid};

use super::event::{Event, SocketId, Transmit};
use super::names::Names;

/// What the machine wants sent and has to tell, and how it calls its requests. It is emptied after every call.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) transmits: VecDeque<Transmit>,
    pub(super) events: VecDeque<Event>,
    names: Names,
}

impl Outbox {
    pub(super) fn new(seed: [u8; 16]) -> Self {
        Self { transmits: VecDeque::new(), events: VecDeque::new(), names: Names::new(seed) }
    }

    pub(super) fn next_tid(&mut self) -> Tid {
        self.names.next()
    }

    pub(super) fn request(&mut self, socket: SocketId, to: SocketAddr, request: &Request) {
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        self.send(socket, to, bytes);
    }

    pub(super) fn send(&mut self, socket: SocketId, to: SocketAddr, bytes: Vec<u8>) {
        self.transmits.push_back(Transmit { socket, to, bytes });
    }
}
