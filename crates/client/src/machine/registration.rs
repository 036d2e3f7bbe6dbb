//! How a socket registers, is kept and leaves. What the server says to that is in `hearing`.

mod asking;
mod hearing;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use peer_core::PeerSignature;
use peer_core::datagram::v2::{ErrorCode, LanAddrs, NatKind, Register, Request, Token};

pub(super) use asking::RETRY_FIRST;
use asking::{Asking, Step};

use super::event::{SocketId, Standing};
use super::outbox::Outbox;
use super::probe::Probe;
use crate::Identity;

/// Tokens that are shown without an answer, one after the other, before the one that makes the server count as silent.
const UNPROVEN_MAX: u32 = 5;

/// How one socket stands with the server.
#[derive(Debug)]
pub(super) struct Registration {
    socket: SocketId,
    asking: Asking,
    held: Option<Held>,
    /// When to register again.
    refresh_at: Option<Duration>,
    probe: Option<Probe>,
    legacy: bool,
    restarts: u32,
    /// Tokens that were shown without an answer.
    unproven: u32,
    contact: Contact,
    left: bool,
}

/// What is registered.
#[derive(Debug, Clone, Copy)]
struct Held {
    addr: SocketAddr,
    /// `None` with a legacy server.
    token: Option<Token>,
}

/// What is known of the server's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contact {
    Good,
    /// It does not answer.
    Silent,
    /// It does not know any more what is held.
    Forgotten,
    /// The one before it did not answer, and it does not know us yet.
    Away,
}

/// What a socket registers as.
pub(super) struct Who<'a> {
    pub(super) server: SocketAddr,
    /// Whether others can be asked in its place.
    pub(super) has_others: bool,
    pub(super) identity: Option<&'a Identity>,
    pub(super) lan: LanAddrs,
}

/// What came of a datagram or of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    Nothing,
    /// It does not answer. To be asked again, or another one in its place.
    Silent,
    /// It will not have this registration.
    Refused(ErrorCode),
    /// The server forgot us, or was asked to.
    Left,
}

impl Registration {
    pub(super) fn new(socket: SocketId) -> Self {
        Self {
            socket,
            asking: Asking::new(socket),
            held: None,
            refresh_at: None,
            probe: None,
            legacy: false,
            restarts: 0,
            unproven: 0,
            contact: Contact::Good,
            left: false,
        }
    }

    pub(super) fn standing(&self) -> Standing {
        let unknown = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Standing {
            address: self.held.map_or(unknown, |held| held.addr),
            nat: self.probe.as_ref().map_or(NatKind::Unknown, |probe| probe.nat),
            registered: self.held.is_some() && !matches!(self.contact, Contact::Silent | Contact::Away),
            legacy: self.legacy,
        }
    }

    /// The token to ask with, where the server has one for this socket.
    pub(super) fn token(&self) -> Option<Token> {
        self.held?.token
    }

    pub(super) fn has_joined(&self) -> bool {
        self.held.is_some() && !matches!(self.contact, Contact::Forgotten | Contact::Away)
    }

    pub(super) fn has_left(&self) -> bool {
        self.left
    }

    /// It has left the server, or has asked to.
    pub(super) fn is_leaving(&self) -> bool {
        self.left || self.asking.is_leaving()
    }

    pub(super) fn is_legacy(&self) -> bool {
        self.legacy
    }

    /// How long an answer of the server is waited for at first.
    pub(super) fn patience(&self) -> Duration {
        self.asking.patience()
    }

    /// It is registered, and a probe has shown what it can.
    pub(super) fn is_settled(&self) -> bool {
        self.held.is_some() && self.probe.as_ref().is_none_or(|probe| probe.retry_at.is_none())
    }

    pub(super) fn alt(&self) -> Option<SocketAddr> {
        self.probe.as_ref().map(|probe| probe.alt)
    }

    pub(super) fn due(&self) -> Option<Duration> {
        let probe = self.probe.as_ref().and_then(|probe| probe.retry_at);
        [self.asking.due(), probe, self.refresh_at].into_iter().flatten().min()
    }

    /// From the first step on.
    pub(super) fn begin(&mut self, now: Duration, who: &Who<'_>, out: &mut Outbox) -> News {
        self.register(now, Step::Ask, None, None, who, out);
        News::Nothing
    }

    /// Another server is asked from now on, which does not know us yet.
    pub(super) fn move_on(&mut self) {
        self.contact = Contact::Forgotten;
        self.probe = None;
        self.restarts = 0;
        self.asking.move_on();
    }

    /// The same since the one before does not answer; when `all` do not, this one is waited for longer.
    pub(super) fn move_away(&mut self, all: bool) {
        self.move_on();
        self.contact = Contact::Away;
        if all {
            self.asking.be_patient();
        }
    }

    /// A keepalive is due at once, where nothing else is under way.
    pub(super) fn keep_now(&mut self, now: Duration) {
        if self.refresh_at.is_some() {
            self.refresh_at = Some(now);
        }
    }

    pub(super) fn leave(&mut self, now: Duration, server: SocketAddr, out: &mut Outbox) {
        self.probe = None;
        self.refresh_at = None;
        let Some(token) = self.token() else {
            self.asking.give_up();
            self.left = true;
            return;
        };
        let tid = out.next_tid();
        self.asking.send(now, Step::Leave, tid, &Request::Unregister { tid, token }, server, out);
    }

    pub(super) fn tick(&mut self, now: Duration, who: &Who<'_>, out: &mut Outbox) -> News {
        self.tick_probe(now, out);
        if self.refresh_at.is_some_and(|at| at <= now) {
            self.refresh_at = None;
            match self.token() {
                Some(token) => self.register(now, Step::Keep, Some(token), None, who, out),
                None => self.register(now, Step::Ask, None, None, who, out),
            }
        }
        match self.asking.tick(now, who.server, who.has_others, out) {
            None => News::Nothing,
            Some(Step::Leave) => {
                self.left = true;
                News::Left
            }
            Some(Step::Prove) if self.unproven < UNPROVEN_MAX => {
                self.unproven += 1;
                self.begin(now, who, out)
            }
            Some(Step::Ask | Step::Prove | Step::Keep) => {
                self.unproven = 0;
                self.contact = Contact::Silent;
                News::Silent
            }
        }
    }

    fn register(
        &mut self,
        now: Duration,
        step: Step,
        token: Option<Token>,
        sig: Option<PeerSignature>,
        who: &Who<'_>,
        out: &mut Outbox,
    ) {
        let tid = out.next_tid();
        // What shows no token yet need not say more.
        let lan = if token.is_some() { who.lan } else { LanAddrs::EMPTY };
        let id = who.identity.map(Identity::id);
        let request = Request::Register(Register { tid, token, id, sig, lan });
        self.refresh_at = None;
        self.asking.send(now, step, tid, &request, who.server, out);
    }

    fn tick_probe(&mut self, now: Duration, out: &mut Outbox) {
        let (patience, socket, token) = (self.patience(), self.socket, self.token());
        if let Some(probe) = &mut self.probe {
            probe.tick(now, patience, socket, token, out);
        }
    }
}
