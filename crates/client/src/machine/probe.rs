use std::net::SocketAddr;
use std::time::Duration;

use peer_core::datagram::v2::{NatKind, Request, Tid, Token};

use super::event::SocketId;
use super::outbox::Outbox;

/// Probes without an answer until the kind of NAT counts as unknown.
const TRIES_MAX: u32 = 3;

/// The question to the server's other port which kind of NAT is in between.
#[derive(Debug)]
pub(super) struct Probe {
    tid: Tid,
    /// The address that the main port sees.
    addr: SocketAddr,
    pub(super) alt: SocketAddr,
    pub(super) nat: NatKind,
    /// `None` once it is answered or given up.
    pub(super) retry_at: Option<Duration>,
    tries: u32,
}

impl Probe {
    /// One that is due at once, from where the main port sees `addr`.
    pub(super) fn new(now: Duration, addr: SocketAddr, alt: SocketAddr, out: &mut Outbox) -> Self {
        Self { tid: out.next_tid(), addr, alt, nat: NatKind::Unknown, retry_at: Some(now), tries: 0 }
    }

    /// Asks, or asks again, when that is due.
    pub(super) fn tick(
        &mut self,
        now: Duration,
        patience: Duration,
        socket: SocketId,
        token: Option<Token>,
        out: &mut Outbox,
    ) {
        if self.retry_at.is_none_or(|at| at > now) {
            return;
        }
        self.retry_at = None;
        let Some(token) = token.filter(|_| self.tries < TRIES_MAX) else { return };
        self.tries += 1;
        self.retry_at = Some(now + patience);
        out.request(socket, self.alt, &Request::Probe { tid: self.tid, token, addr: self.addr });
    }

    pub(super) fn hear(&mut self, tid: Tid, nat: NatKind) {
        if self.is_called(tid) {
            self.nat = nat;
            self.retry_at = None;
        }
    }

    /// It will not be answered.
    pub(super) fn give_up(&mut self) {
        self.retry_at = None;
    }

    pub(super) fn is_called(&self, tid: Tid) -> bool {
        self.tid == tid
    }
}
