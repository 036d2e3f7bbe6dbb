//! What is left of the requests: to unregister, to probe, and to say what became of a pair.

use std::net::SocketAddr;

use peer_core::datagram::v2::{ErrorCode, NatKind, Path, Reply, Tid, Token, Verdict};

use super::Exchange;
use crate::outbox::Outbox;
use crate::{Engine, Outcome};

impl Engine {
    pub(super) fn unregister_v2(
        &self,
        exchange: &Exchange<'_>,
        tid: Tid,
        token: Token,
        out: &mut Outbox,
    ) -> Outcome {
        let (from, now_us) = (exchange.sender.from, exchange.now_us);
        if exchange.verify(token).is_err() {
            // The token of a peer with an id shows nothing any more once that is gone.
            if exchange.v2.pairs.lock().has_left(from, tid, now_us) {
                let left = Reply::Unregistered { tid };
                return self.answer_stranger(exchange, &left, Outcome::V2Repeated, out);
            }
            let bad = Reply::error(Some(tid), ErrorCode::BadToken);
            return self.answer_stranger(exchange, &bad, Outcome::V2BadToken, out);
        }
        if !self.may_answer_verified(exchange) {
            return Outcome::SourceLimit;
        }
        let id = exchange.v2.peers.view(from, now_us).and_then(|peer| peer.id);
        exchange.v2.peers.remove(from);
        self.v2_left(now_us, from, id, out);
        exchange.v2.pairs.lock().left(from, tid, now_us);
        exchange.push(&Reply::Unregistered { tid }, out);
        Outcome::V2Left
    }

    /// `addr` is where the token was given to. The answer goes to where the probe came from, which need not be verified.
    pub(super) fn probe_v2(
        &self,
        exchange: &Exchange<'_>,
        tid: Tid,
        token: Token,
        addr: SocketAddr,
        out: &mut Outbox,
    ) -> Outcome {
        let (v2, now_us, from) = (exchange.v2, exchange.now_us, exchange.sender.from);
        let id = v2.peers.view(addr, now_us).and_then(|peer| peer.id);
        let given = |id| v2.tokens.issued_ms(now_us, token, addr, id).is_some();
        if !given(id) && !given(None) {
            let bad = Reply::error(Some(tid), ErrorCode::BadToken);
            return self.answer_stranger(exchange, &bad, Outcome::V2BadToken, out);
        }
        // On the port where the token came from, and in another family, it shows nothing.
        let tells = self.endpoints().is_alt(exchange.arrival) && from.is_ipv4() == addr.is_ipv4();
        let nat = match (tells, from == addr) {
            (false, _) => NatKind::Unknown,
            (true, true) => NatKind::Easy,
            (true, false) => NatKind::Hard,
        };
        if tells {
            v2.peers.set_nat(addr, nat, now_us);
        }
        self.answer_stranger(exchange, &Reply::Nat { tid, addr: from, nat }, Outcome::V2Probed, out)
    }
}

impl Exchange<'_> {
    pub(super) fn result(&self, verdict: &Verdict) -> Outcome {
        let reached = verdict.reached.is_some();
        if !self.v2.pairs.lock().result(verdict.pair, self.sender.from, reached, self.now_us) {
            return Outcome::V2Stray;
        }
        match verdict.reached {
            Some((Path::Lan, _)) => Outcome::V2ReachedLan,
            Some((Path::Mapped, _)) => Outcome::V2ReachedMapped,
            Some((Path::Observed, _)) => Outcome::V2ReachedObserved,
            None => Outcome::V2NotReached,
        }
    }
}
