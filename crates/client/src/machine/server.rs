//! What the server says, and how this peer stands with it.

use std::net::SocketAddr;
use std::time::Duration;

use peer_core::datagram::v2::{LanAddrs, NotAReply, Reply};

use super::Machine;
use super::event::{Event, SocketId};
use super::legacy::{self, Word};
use super::registration::{News, Registration, Who};
use crate::error::{BindError, ConnectError, Refusal};

/// Calls a method of the registration of a socket with who registers and the outbox.
macro_rules! with_registration {
    ($machine:ident, $socket:expr, |$registration:ident, $who:ident, $out:ident| $work:expr) => {{
        let Machine { main, further, servers, identity, lan, out: $out, .. } = &mut *$machine;
        let is_main = $socket == SocketId::MAIN;
        // A further socket has no id, which would move there, and its port is nobody's in the local network.
        let $who = Who {
            server: servers.current(),
            has_others: is_main && servers.has_others(),
            identity: identity.as_ref().filter(|_| is_main),
            lan: if is_main { *lan } else { LanAddrs::EMPTY },
        };
        let $registration: Option<&mut Registration> =
            if is_main { Some(main) } else { further.get_mut(&$socket) };
        $registration.map_or(News::Nothing, |$registration| $work)
    }};
}

impl Machine {
    /// Whether datagrams from there are the server's.
    pub(super) fn is_server(&self, from: SocketAddr) -> bool {
        self.servers.is_heard(from) || self.main.alt() == Some(from)
    }

    /// Begins to register a socket.
    pub(super) fn register(&mut self, now: Duration, socket: SocketId) {
        let news =
            with_registration!(self, socket, |registration, who, out| registration.begin(now, &who, out));
        self.take_news(socket, news);
    }

    /// Registers a socket anew which the server does not know any more.
    pub(super) fn register_again(&mut self, now: Duration, socket: SocketId) {
        let news =
            with_registration!(self, socket, |registration, who, out| registration.restart(now, &who, out));
        self.take_news(socket, news);
    }

    pub(super) fn tick_registrations(&mut self, now: Duration) {
        let sockets: Vec<SocketId> = self.further.keys().copied().chain([SocketId::MAIN]).collect();
        for socket in sockets {
            self.observe(now, socket, |machine| {
                let news = with_registration!(machine, socket, |registration, who, out| registration
                    .tick(now, &who, out));
                if news == News::Silent { machine.ask_again(now, socket) } else { news }
            });
        }
    }

    /// The server did not answer a socket: it is asked again, or the next one where others are known. Gives whether all are silent.
    fn ask_again(&mut self, now: Duration, socket: SocketId) -> News {
        if socket != SocketId::MAIN || !self.servers.has_others() {
            self.register(now, socket);
            return News::Silent;
        }
        let are_all_silent = self.servers.pass_over();
        // What has left one server is not to be registered at another.
        let sockets: Vec<SocketId> = self
            .further
            .iter()
            .filter(|(_, registration)| !registration.is_leaving())
            .map(|(socket, _)| *socket)
            .chain([SocketId::MAIN])
            .collect();
        for socket in sockets {
            if let Some(registration) = self.registration(socket) {
                registration.move_away(are_all_silent);
            }
            self.register(now, socket);
        }
        self.ask_elsewhere();
        if are_all_silent { News::Silent } else { News::Nothing }
    }

    /// The server has not answered something else: whether it is there shows by a keepalive, where there are others to go to.
    pub(super) fn doubt_server(&mut self, now: Duration) {
        if self.servers.has_others() {
            self.main.keep_now(now);
        }
    }

    pub(super) fn hear_server(&mut self, now: Duration, socket: SocketId, from: SocketAddr, datagram: &[u8]) {
        if from == self.servers.current() {
            self.servers.answered();
        }
        let reply = match Reply::decode(datagram) {
            Ok(reply) => reply,
            Err(NotAReply::OtherVersion) if from == self.servers.current() => {
                self.hear_legacy_server(now, socket, datagram);
                return;
            }
            Err(_) => return,
        };
        match reply {
            Reply::YourAddr(said) => self.observe(now, socket, |machine| {
                with_registration!(machine, socket, |registration, who, out| registration
                    .hear(now, &said, &who, out))
            }),
            Reply::Nat { tid, nat, .. } => self.observe(now, socket, |machine| {
                machine.main.hear_nat(tid, nat);
                News::Nothing
            }),
            Reply::Unregistered { tid } => self.observe(now, socket, |machine| {
                machine
                    .registration(socket)
                    .map_or(News::Nothing, |registration| registration.hear_unregistered(tid))
            }),
            Reply::Peer(introduction) => self.introduced(now, socket, &introduction),
            Reply::Error { tid: Some(tid), code, retry_ms } => {
                self.observe(now, socket, |machine| {
                    with_registration!(machine, socket, |registration, who, out| {
                        registration.hear_error(now, tid, code, &who, out)
                    })
                });
                self.request_refused(now, tid, code, retry_ms);
            }
            Reply::Error { tid: None, .. } => {}
            // A server that says it twice has moved us already, or knows better by now than to send us where nobody answers.
            Reply::Move { .. } if from != self.servers.current() && self.main.has_joined() => {}
            Reply::Move { .. } if self.main.is_leaving() => {}
            Reply::Move { to, .. } => {
                if self.servers.move_to(to.as_slice()) {
                    self.main.move_on();
                    self.register(now, SocketId::MAIN);
                }
            }
        }
    }

    fn hear_legacy_server(&mut self, now: Duration, socket: SocketId, datagram: &[u8]) {
        match legacy::decode(datagram) {
            Some(Word::YourAddr(addr)) => self.observe(now, socket, |machine| {
                if let Some(registration) = machine.registration(socket) {
                    registration.hear_legacy(now, addr);
                }
                News::Nothing
            }),
            Some(Word::Peer(peer)) => self.introduced_by_legacy(now, socket, peer),
            Some(Word::Error) => self.legacy_request_refused(),
            None => {}
        }
    }

    /// Does something to a registration, and tells what it changed.
    fn observe(&mut self, now: Duration, socket: SocketId, work: impl FnOnce(&mut Self) -> News) {
        let before = (self.main.standing(), self.main.is_settled());
        let news = work(self);
        let after = (self.main.standing(), self.main.is_settled());
        if before.0 != after.0 {
            self.out.events.push_back(Event::Standing(after.0));
        }
        if after.1 && !before.1 {
            self.out.events.push_back(Event::Ready);
        }
        self.take_news(socket, news);
        self.ask_where_registered(now);
    }

    fn take_news(&mut self, socket: SocketId, news: News) {
        let (bind, connect) = match news {
            News::Nothing => return,
            News::Left => {
                if self.closing && socket == SocketId::MAIN {
                    self.out.events.push_back(Event::Closed);
                }
                return;
            }
            News::Silent => (BindError::Silent, ConnectError::Silent),
            News::Refused(code) => (BindError::Refused(Refusal(code)), ConnectError::Refused(Refusal(code))),
        };
        if socket == SocketId::MAIN {
            self.out.events.push_back(Event::Unavailable(bind));
        }
        self.fail_waiting(socket, connect);
    }
}
