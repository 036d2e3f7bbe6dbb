use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;

use peer_core::datagram::v2::{
    Connect, ErrorCode, Introduction, LanAddrs, NatKind, PairId, PunchKey, Reply, Target, Tid,
};
use peer_core::limits::{V2_COLD_MS, V2_INTERVAL_MS, V2_START_MAX_MS};

use super::pairs::Told;
use super::peers::{AtIp, PeerView};
use super::{Exchange, NEVER_US, V2};
use crate::engine::{Admitted, Found};
use crate::limits::Rate;
use crate::nodes::message::Side;
use crate::outbox::Outbox;
use crate::registrations::Target as LegacyPeer;
use crate::{Engine, Outcome};

impl Engine {
    pub(super) fn connect_v2(&self, exchange: &Exchange<'_>, connect: &Connect, out: &mut Outbox) -> Outcome {
        let (v2, now_us, sender, tid) = (exchange.v2, exchange.now_us, exchange.sender, connect.tid);
        let Ok(asker) = exchange.verify(connect.token) else {
            let bad = Reply::error(Some(tid), ErrorCode::BadToken);
            return self.answer_stranger(exchange, &bad, Outcome::V2BadToken, out);
        };
        if !self.may_answer_verified(exchange) {
            return Outcome::SourceLimit;
        }
        let Some(asker) = asker else {
            return exchange.refuse(tid, ErrorCode::Unregistered, Outcome::V2Unregistered, out);
        };
        v2.peers.touch(sender.from, sender.via, now_us);
        if let Some(told) = v2.pairs.lock().repeated(sender.from, tid, now_us) {
            exchange.push(&Reply::Peer(told.introduction(now_us)), out);
            return Outcome::V2Repeated;
        }
        let found = match self.find_target(now_us, sender.from, &connect.target) {
            Ok(found) => found,
            Err(ErrorCode::Ambiguous) => {
                return exchange.refuse(tid, ErrorCode::Ambiguous, Outcome::V2Ambiguous, out);
            }
            Err(code) => {
                return self
                    .seek_v2(exchange, connect, &asker, out)
                    .unwrap_or_else(|| exchange.refuse(tid, code, Outcome::V2NotFound, out));
            }
        };
        if let Err(outcome) = self.may_meet(exchange, &found) {
            return exchange.refuse(tid, ErrorCode::Rate, outcome, out);
        }
        let asker = PeerView { via: sender.via, heard_us: now_us, ..asker };
        match found {
            Found::V2(peer) => exchange.introduce(connect, &asker, &peer, out),
            Found::Legacy(peer) => exchange.introduce_to_legacy(connect, &asker, &peer, out),
        }
    }

    /// Whom a peer of version 2 means.
    pub(super) fn find_target(
        &self,
        now_us: u64,
        from: SocketAddr,
        target: &Target,
    ) -> Result<Found, ErrorCode> {
        let Some(V2 { peers, .. }) = &self.v2 else { return Err(ErrorCode::NotFound) };
        let legacy = |ip: IpAddr, is_it: &dyn Fn(SocketAddr) -> bool| {
            let found = self.find(now_us, ip).filter(|peer| peer.addr != from && is_it(peer.addr));
            found.map(Found::Legacy).ok_or(ErrorCode::NotFound)
        };
        match *target {
            Target::Id(id) => {
                let found = peers.holder(id, from.is_ipv4(), now_us).filter(|peer| peer.addr != from);
                found.map(Found::V2).ok_or(ErrorCode::NotFound)
            }
            Target::Addr(addr) if addr == from => Err(ErrorCode::NotFound),
            Target::Addr(addr) => match peers.view(addr, now_us) {
                Some(peer) => Ok(Found::V2(peer)),
                None => legacy(addr.ip(), &|other| other == addr),
            },
            Target::Ip(ip) => match peers.at_ip(ip, Some(from), now_us) {
                AtIp::One(peer) => Ok(Found::V2(peer)),
                AtIp::Several { .. } => Err(ErrorCode::Ambiguous),
                AtIp::Nobody => legacy(ip, &|_| true),
            },
        }
    }

    /// Whether the sender may ask for this peer, and this peer be told of one more.
    fn may_meet(&self, exchange: &Exchange<'_>, found: &Found) -> Result<(), Outcome> {
        let Some(limits) = exchange.v2.limits_of(exchange.sender.from) else { return Ok(()) };
        let (now_us, target) = (exchange.now_us, found.addr());
        if !self.may_pair(now_us, exchange.sender.from, target) {
            return Err(Outcome::V2PairLimit);
        }
        let allowed = match found {
            Found::V2(peer) => exchange.v2.peers.may_be_asked(peer.addr, now_us, limits.target, None),
            Found::Legacy(peer) => {
                let asker = Admitted { registered: true, limits: Some(limits) };
                self.may_be_asked(now_us, peer.addr.ip(), asker).is_ok()
            }
        };
        if allowed { Ok(()) } else { Err(Outcome::V2TargetLimit) }
    }

    /// The peer of version 2 at `ip` that was heard last, for a legacy peer that asks for it.
    pub(crate) fn newest_v2(&self, now_us: u64, ip: IpAddr) -> Option<PeerView> {
        match self.v2.as_ref()?.peers.at_ip(ip, None, now_us) {
            AtIp::Nobody => None,
            AtIp::One(newest) | AtIp::Several { newest } => Some(newest),
        }
    }

    /// Whether a peer of version 2 may be told of a legacy peer. Charges it.
    pub(crate) fn v2_may_be_asked(
        &self,
        now_us: u64,
        addr: SocketAddr,
        all: Rate,
        unregistered: Option<Rate>,
    ) -> bool {
        self.v2.as_ref().is_some_and(|v2| v2.peers.may_be_asked(addr, now_us, all, unregistered))
    }

    /// Tells a peer of version 2 of a legacy peer that asks for it. It is told once: what a legacy datagram makes us send
    /// could be for somebody else. Where that is really sent, [`Self::remember`] what this gives.
    pub(crate) fn tell_of_legacy(
        &self,
        now_us: u64,
        asker: SocketAddr,
        target: &PeerView,
        out: &mut Outbox,
    ) -> Option<Told> {
        let (pair, _) = self.v2.as_ref()?.new_pair(now_us);
        let introduction = of_legacy(pair, asker);
        out.push_with(target.addr, target.via, |bytes| Reply::Peer(introduction).encode(bytes));
        Some(Told { to: target.addr, via: target.via, introduction, start_us: now_us, way_us: 0 })
    }

    /// A peer of version 2 was told of a legacy peer.
    pub(crate) fn remember(&self, told: &Told, now_us: u64) {
        if let Some(v2) = &self.v2 {
            v2.told(std::slice::from_ref(told), false, now_us);
        }
    }
}

/// How much later a pair begins together that was asked for lately, in us: after the first two resends.
const PATIENCE_US: u64 = 600_000;

impl V2 {
    pub(crate) fn new_pair(&self, now_us: u64) -> (PairId, PunchKey) {
        self.tokens.pair(now_us, self.count.fetch_add(1, Ordering::Relaxed))
    }

    /// Remembers what sides were told, to tell them again where that is wanted.
    pub(super) fn told(&self, sides: &[Told], resend: bool, now_us: u64) {
        let mut pairs = self.pairs.lock();
        for side in sides {
            pairs.add(side, resend, now_us);
        }
        self.due_us.store(pairs.next_due_us().unwrap_or(NEVER_US), Ordering::Relaxed);
    }
}

impl Exchange<'_> {
    fn introduce(&self, connect: &Connect, asker: &PeerView, target: &PeerView, out: &mut Outbox) -> Outcome {
        let now_us = self.now_us;
        let (pair, key) = self.v2.new_pair(now_us);
        let [way_of_asker, way_of_target] = ways_us(asker.rtt_ms, target.rtt_ms);
        let names = (asker.addr.ip(), target.id, target.id.is_none().then_some(target.addr));
        let again = self.v2.pairs.lock().asks_again(names, pair, now_us);
        // Where an attempt came to nothing, the word of it may have been lost to one of them, so that it began too late: the
        // next one, from a fresh port and so without an id, begins after they would have been told again.
        let patience_us = if again && asker.id.is_none() { PATIENCE_US } else { 0 };
        let start_us = now_us + way_of_asker.max(way_of_target) + patience_us;
        let told = |to: &PeerView, of: &PeerView, tid, way_us| Told {
            to: to.addr,
            via: to.via,
            introduction: introduction(tid, (pair, key), &of.side(now_us), &to.side(now_us)),
            start_us,
            way_us,
        };
        let sides =
            [told(asker, target, Some(connect.tid), way_of_asker), told(target, asker, None, way_of_target)];
        let [of_asker, of_target] = sides.map(|side| Reply::Peer(side.introduction(now_us)));
        self.push(&of_asker, out);
        out.push_with(target.addr, target.via, |bytes| of_target.encode(bytes));
        self.v2.told(&sides, true, now_us);
        if sides.iter().all(|side| side.introduction.punch) {
            Outcome::V2Matched
        } else {
            Outcome::V2Unpunchable
        }
    }

    fn introduce_to_legacy(
        &self,
        connect: &Connect,
        asker: &PeerView,
        target: &LegacyPeer,
        out: &mut Outbox,
    ) -> Outcome {
        let (pair, _) = self.v2.new_pair(self.now_us);
        let introduction = Introduction { tid: Some(connect.tid), ..of_legacy(pair, target.addr) };
        let told =
            Told { to: self.sender.reply_to, via: asker.via, introduction, start_us: self.now_us, way_us: 0 };
        self.push(&Reply::Peer(introduction), out);
        out.push(target.addr, target.via, peer_core::datagram::Reply::Peer(asker.addr));
        self.v2.told(&[told], true, self.now_us);
        Outcome::V2Matched
    }
}

/// What a side is told of the other one.
pub(super) fn introduction(
    tid: Option<Tid>,
    (pair, key): (PairId, PunchKey),
    of: &Side,
    to: &Side,
) -> Introduction {
    let same_nat = of.addr.ip() == to.addr.ip();
    Introduction {
        tid,
        pair,
        peer: of.addr,
        id: of.id,
        lan: if same_nat { of.lan } else { LanAddrs::EMPTY },
        nat: of.nat,
        punch: of.nat != NatKind::Hard || to.nat != NatKind::Hard,
        start_ms: 0,
        interval_ms: V2_INTERVAL_MS,
        key: Some(key),
        cold: of.cold,
    }
}

/// What there is to say of a legacy peer, which begins as soon as it is told.
pub(super) fn of_legacy(pair: PairId, peer: SocketAddr) -> Introduction {
    Introduction {
        tid: None,
        pair,
        peer,
        id: None,
        lan: LanAddrs::EMPTY,
        nat: NatKind::Unknown,
        punch: true,
        start_ms: 0,
        interval_ms: V2_INTERVAL_MS,
        key: None,
        cold: false,
    }
}

pub(super) fn is_cold(peer: &PeerView, now_us: u64) -> bool {
    now_us.saturating_sub(peer.heard_us) > V2_COLD_MS * 1_000
}

/// How long what is sent now is on its way to each of two peers, in us. Where that is not known of one, it is taken to be as
/// far as the other, and both begin as soon as they are told.
pub(super) fn ways_us(first_ms: Option<u16>, second_ms: Option<u16>) -> [u64; 2] {
    let (first, second) = (first_ms.or(second_ms), second_ms.or(first_ms));
    // Nobody waits longer than it may.
    let way_us = |rtt_ms: Option<u16>| u64::from(rtt_ms.unwrap_or(0).min(2 * V2_START_MAX_MS)) * 500;
    [way_us(first), way_us(second)]
}
