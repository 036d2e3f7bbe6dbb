use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use peer_core::datagram::Reply;

use crate::NodeEvent;

/// Datagrams to be sent, in order. One outbox serves batch after batch and allocates only while it grows.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    queued: Vec<Queued>,
    events: Vec<NodeEvent>,
}

#[derive(Debug)]
struct Queued {
    to: SocketAddr,
    via: Via,
    range: Range<usize>,
}

/// By which of our sockets and from which of our addresses a peer is spoken to: those that it spoke to, since its
/// NAT lets in nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Via {
    pub(crate) socket: u8,
    pub(crate) local: Option<IpAddr>,
}

/// A datagram to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// Where it goes.
    pub to: SocketAddr,
    /// The socket that sends it, as in [`crate::Arrival::socket`].
    pub socket: u8,
    /// The address that it is sent from, where the kernel said which one was spoken to.
    pub local: Option<IpAddr>,
    /// Its content.
    pub bytes: &'a [u8],
}

impl Outbox {
    pub(crate) fn push(&mut self, to: SocketAddr, via: Via, reply: Reply<'_>) {
        self.push_with(to, via, |bytes| reply.encode(bytes));
    }

    /// A datagram that `encode` appends to the bytes of those before it.
    pub(crate) fn push_with(&mut self, to: SocketAddr, via: Via, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        encode(&mut self.bytes);
        self.queued.push(Queued { to, via, range: start..self.bytes.len() });
    }

    /// Something for the other nodes.
    pub(crate) fn push_event(&mut self, event: NodeEvent) {
        self.events.push(event);
    }

    /// What there is for the other nodes, which is taken out.
    pub fn take_events(&mut self) -> impl Iterator<Item = NodeEvent> {
        self.events.drain(..)
    }

    /// Datagrams that are queued.
    pub fn len(&self) -> usize {
        self.queued.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// Bytes of all that is queued.
    pub(crate) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes back what was pushed after there were `datagrams` of `bytes` together.
    pub(crate) fn truncate(&mut self, datagrams: usize, bytes: usize) {
        self.queued.truncate(datagrams);
        self.bytes.truncate(bytes);
    }

    /// Datagram number `index`, in the order in which they were answered.
    pub fn get(&self, index: usize) -> Option<Outgoing<'_>> {
        let queued = self.queued.get(index)?;
        let bytes = self.bytes.get(queued.range.clone())?;
        Some(Outgoing { to: queued.to, socket: queued.via.socket, local: queued.via.local, bytes })
    }

    /// What is to be sent, in order.
    pub fn iter(&self) -> impl Iterator<Item = Outgoing<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Where the run of datagrams from `start` ends that go out by the same socket from the same address, after no
    /// more than `most`.
    pub(crate) fn run_end(&self, start: usize, most: usize) -> usize {
        let way = self.queued.get(start).map(|queued| queued.via);
        let run = self.queued.iter().skip(start).take(most);
        start + run.take_while(|queued| Some(queued.via) == way).count()
    }

    /// Empties it for the next batch.
    pub fn clear(&mut self) {
        self.truncate(0, 0);
        self.events.clear();
    }
}
