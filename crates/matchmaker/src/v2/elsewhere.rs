//! What peers of version 2 have of other nodes: to be asked for from there, and to ask there.

use std::net::SocketAddr;

use peer_core::PeerId;
use peer_core::datagram::Reply as LegacyReply;
use peer_core::datagram::v2::{Connect, ErrorCode, Introduction, PairId, PunchKey, Reply, Target, Tid};

use super::Exchange;
use super::connect::{introduction, is_cold, of_legacy, ways_us};
use super::pairs::Told;
use super::peers::PeerView;
use crate::engine::{Admitted, Found};
use crate::nodes::asks::{Asker, NewAsk};
use crate::nodes::message::{Ask, Side};
use crate::outbox::Outbox;
use crate::{Engine, Outcome};

/// What came of an ask of another node.
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation for each")]
pub(crate) enum Asked {
    /// The target was told, and both begin in so many us.
    Told {
        target: Side,
        start_in_us: u64,
    },
    Refused(ErrorCode),
}

impl PeerView {
    /// As another node is told of it.
    pub(crate) fn side(&self, now_us: u64) -> Side {
        Side {
            addr: self.addr,
            is_v2: true,
            id: self.id,
            lan: self.lan,
            nat: self.nat,
            rtt_ms: self.rtt_ms,
            cold: is_cold(self, now_us),
        }
    }
}

impl Engine {
    /// Asks the other nodes for a target that is not here; `None` where this one is alone.
    pub(super) fn seek_v2(
        &self,
        exchange: &Exchange<'_>,
        connect: &Connect,
        asker: &PeerView,
        out: &mut Outbox,
    ) -> Option<Outcome> {
        let nodes = self.nodes.as_ref()?;
        let (now_us, sender, tid) = (exchange.now_us, exchange.sender, connect.tid);
        if matches!(connect.target, Target::Addr(addr) if addr == sender.from) {
            return None;
        }
        if exchange.v2.limits_of(sender.from).is_some()
            && !self.may_pair_with(now_us, sender.from, &connect.target)
        {
            return Some(exchange.refuse(tid, ErrorCode::Rate, Outcome::V2PairLimit, out));
        }
        let new = NewAsk {
            key: PunchKey::from_bytes([0; 16]),
            asker: Asker::V2 { peer: PeerView { via: sender.via, heard_us: now_us, ..*asker }, tid },
            target: connect.target,
            reply_to: sender.reply_to,
            via: sender.via,
            repeat: self.hash_of(&(sender.from, tid)),
        };
        let outcomes = [Outcome::V2Sought, Outcome::V2Repeated, Outcome::SeekLimit];
        let outcome = self.seek(nodes, now_us, new, outcomes, out);
        if outcome == Outcome::SeekLimit {
            return Some(exchange.refuse(tid, ErrorCode::Rate, outcome, out));
        }
        Some(outcome)
    }

    /// Another node asks for a peer here, which is told.
    pub(crate) fn tell_asked(&self, now_us: u64, ask: &Ask, out: &mut Outbox) -> Asked {
        match self.find_asked(now_us, ask) {
            Ok(Found::V2(target)) => self.tell_v2(now_us, ask, &target, out),
            Ok(Found::Legacy(target)) => {
                let asker = self.admitted(ask);
                if self.may_be_asked(now_us, target.addr.ip(), asker).is_err() {
                    return Asked::Refused(ErrorCode::Rate);
                }
                out.push(target.addr, target.via, LegacyReply::Peer(ask.asker.addr));
                Asked::Told { target: crate::nodes::legacy_side(target.addr), start_in_us: 0 }
            }
            Err(code) => Asked::Refused(code),
        }
    }

    fn find_asked(&self, now_us: u64, ask: &Ask) -> Result<Found, ErrorCode> {
        let found = match ask.target {
            Target::Ip(ip) if !ask.asker.is_v2 => self.find_newest(now_us, ip).ok_or(ErrorCode::NotFound),
            _ => self.find_target(now_us, ask.asker.addr, &ask.target),
        };
        found.and_then(
            |found| if found.addr() == ask.asker.addr { Err(ErrorCode::NotFound) } else { Ok(found) },
        )
    }

    fn admitted(&self, ask: &Ask) -> Admitted {
        let limits = self.v2.as_ref().and_then(|v2| v2.limits_of(ask.asker.addr));
        Admitted { registered: ask.registered, limits }
    }

    fn tell_v2(&self, now_us: u64, ask: &Ask, target: &PeerView, out: &mut Outbox) -> Asked {
        let Some(v2) = &self.v2 else { return Asked::Refused(ErrorCode::NotFound) };
        if self.v2_peer_may_be_asked(now_us, target.addr, self.admitted(ask)).is_err() {
            return Asked::Refused(ErrorCode::Rate);
        }
        let asker = &ask.asker;
        let told = if asker.is_v2 {
            let [way_of_asker, way_of_target] = ways_us(asker.rtt_ms, target.rtt_ms);
            // The asker hears of it when this node's answer is at its own.
            let start_us = now_us + way_of_target.max(way_of_asker + u64::from(ask.relay_us));
            let introduction = introduction(None, (ask.pair, ask.key), asker, &target.side(now_us));
            Told { to: target.addr, via: target.via, introduction, start_us, way_us: way_of_target }
        } else {
            let introduction = of_legacy(ask.pair, asker.addr);
            Told { to: target.addr, via: target.via, introduction, start_us: now_us, way_us: 0 }
        };
        let reply = Reply::Peer(told.introduction(now_us));
        out.push_with(target.addr, target.via, |bytes| reply.encode(bytes));
        // What a legacy datagram makes us send could be for somebody else, and is sent once.
        v2.told(&[told], asker.is_v2, now_us);
        Asked::Told { target: target.side(now_us), start_in_us: told.start_us - now_us }
    }

    /// Tells the asker of a target that another node has told. Both begin at `begin_us`.
    pub(crate) fn tell_asker(
        &self,
        now_us: u64,
        pair: (PairId, PunchKey),
        (asker, tid, reply_to): (&PeerView, Tid, SocketAddr),
        target: &Side,
        begin_us: u64,
        out: &mut Outbox,
    ) {
        let Some(v2) = &self.v2 else { return };
        let introduction = if target.is_v2 {
            introduction(Some(tid), pair, target, &asker.side(now_us))
        } else {
            Introduction { tid: Some(tid), ..of_legacy(pair.0, target.addr) }
        };
        let [way_us, _] = ways_us(asker.rtt_ms, target.rtt_ms);
        let told = Told { to: asker.addr, via: asker.via, introduction, start_us: begin_us, way_us };
        let reply = Reply::Peer(told.introduction(now_us));
        out.push_with(reply_to, asker.via, |bytes| reply.encode(bytes));
        v2.told(&[told], true, now_us);
    }

    /// The holder of an id is elsewhere now.
    pub(crate) fn forget_id(&self, id: PeerId, is_v4: bool) {
        if let Some(v2) = &self.v2
            && let Some(addr) = v2.peers.addr_of(id, is_v4)
        {
            v2.peers.remove(addr);
        }
    }

    /// The peer of an address is elsewhere now.
    pub(crate) fn forget_v2(&self, addr: SocketAddr) {
        if let Some(v2) = &self.v2 {
            v2.peers.remove(addr);
        }
    }
}
