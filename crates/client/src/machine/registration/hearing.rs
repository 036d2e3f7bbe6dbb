//! What a server says to a registration, and what that changes.

use std::net::SocketAddr;
use std::time::Duration;

use peer_core::datagram::v2::{ErrorCode, NatKind, Status, Tid, YourAddr};

use super::asking::Step;
use super::{Contact, Held, News, Registration, Who};
use crate::machine::event::SocketId;
use crate::machine::outbox::Outbox;
use crate::machine::probe::Probe;

/// How often a registration is refused, or begun anew at the server's word, until that counts as its last word.
const RESTARTS_MAX: u32 = 4;
/// Keepalive where the server names none: most NATs keep a mapping for 30 seconds.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// Bounds for the keepalive that a server names.
const KEEPALIVE_LEAST: Duration = Duration::from_secs(1);
const KEEPALIVE_MOST: Duration = Duration::from_mins(1);
/// Wait after `full` and after `rate`.
const FULL_WAIT: Duration = Duration::from_mins(1);
const RATE_WAIT: Duration = Duration::from_secs(1);

impl Registration {
    /// An answer of version 2 to a register.
    pub(in crate::machine) fn hear(
        &mut self,
        now: Duration,
        said: &YourAddr,
        who: &Who<'_>,
        out: &mut Outbox,
    ) -> News {
        let Some(step) = self.asking.answered(now, said.tid) else { return News::Nothing };
        self.heard();
        self.legacy = false;
        match said.status {
            Status::Verify => {
                // What is answered like that for want of a token is no refusal.
                self.restarts += u32::from(step != Step::Ask);
                if self.restarts > RESTARTS_MAX {
                    return self.restart(now, who, out);
                }
                let sig = who.identity.map(|identity| identity.sign_register(said.token, said.addr));
                self.register(now, Step::Prove, Some(said.token), sig, who, out);
            }
            Status::Ok { keepalive_secs, alt_port, .. } => {
                self.restarts = 0;
                self.unproven = 0;
                self.contact = Contact::Good;
                let keepalive =
                    Duration::from_secs(keepalive_secs.into()).clamp(KEEPALIVE_LEAST, KEEPALIVE_MOST);
                let moved = self.held.is_none_or(|held| held.addr != said.addr);
                self.held = Some(Held { addr: said.addr, token: Some(said.token) });
                self.refresh_at = Some(now + keepalive);
                if (moved || self.probe.is_none()) && self.socket == SocketId::MAIN {
                    let alt = alt_port.map(|port| SocketAddr::new(who.server.ip(), port));
                    self.probe = alt.map(|alt| Probe::new(now, said.addr, alt, out));
                    self.tick_probe(now, out);
                }
            }
        }
        News::Nothing
    }

    /// An answer of a legacy server to a register.
    pub(in crate::machine) fn hear_legacy(&mut self, now: Duration, addr: SocketAddr) {
        if self.asking.answered_by_legacy(now).is_none() {
            return;
        }
        self.legacy = true;
        self.contact = Contact::Good;
        self.held = Some(Held { addr, token: None });
        // What it is sent then is a register of version 2 as well: when the server was renewed, it shows.
        self.refresh_at = Some(now + KEEPALIVE);
    }

    pub(in crate::machine) fn hear_error(
        &mut self,
        now: Duration,
        tid: Tid,
        code: ErrorCode,
        who: &Who<'_>,
        out: &mut Outbox,
    ) -> News {
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.is_called(tid)) {
            probe.give_up();
            return News::Nothing;
        }
        let Some(step) = self.asking.answered(now, tid) else { return News::Nothing };
        self.heard();
        match (step, code) {
            (Step::Leave, _) => {
                self.left = true;
                News::Left
            }
            // The address changed on the way, or the server has new keys.
            (_, ErrorCode::BadToken | ErrorCode::BadSignature | ErrorCode::Unregistered) => {
                self.restart(now, who, out)
            }
            (_, ErrorCode::Rate) => {
                self.refresh_at = Some(now + RATE_WAIT);
                News::Nothing
            }
            (_, code) => {
                self.refresh_at = Some(now + FULL_WAIT);
                News::Refused(code)
            }
        }
    }

    pub(in crate::machine) fn hear_nat(&mut self, tid: Tid, nat: NatKind) {
        if let Some(probe) = &mut self.probe {
            probe.hear(tid, nat);
        }
    }

    pub(in crate::machine) fn hear_unregistered(&mut self, tid: Tid) -> News {
        if !self.asking.left(tid) {
            return News::Nothing;
        }
        self.left = true;
        News::Left
    }

    /// The server does not know us any more.
    pub(in crate::machine) fn restart(&mut self, now: Duration, who: &Who<'_>, out: &mut Outbox) -> News {
        let knows_us = !matches!(self.contact, Contact::Forgotten | Contact::Away);
        if !knows_us && self.asking.is_under_way() {
            // It is at that: several requests may have been refused before.
            return News::Nothing;
        }
        if knows_us {
            self.contact = Contact::Forgotten;
        }
        self.restarts += 1;
        if self.restarts > RESTARTS_MAX {
            // Again when it would be time for a keepalive.
            self.restarts = 0;
            self.asking.give_up();
            self.refresh_at = Some(now + KEEPALIVE);
            return News::Refused(ErrorCode::BadToken);
        }
        self.begin(now, who, out)
    }

    fn heard(&mut self) {
        if self.contact == Contact::Silent {
            self.contact = Contact::Good;
        }
    }
}
