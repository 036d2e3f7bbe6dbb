//! Who may be answered.

use peer_core::datagram::v2::{ErrorCode, Reply, Tid, Token};

use super::Exchange;
use super::peers::PeerView;
use crate::outbox::Outbox;
use crate::{Engine, Outcome};

/// The token of a request is not one of its source.
#[derive(Debug)]
pub(super) struct Unverified;

impl Engine {
    /// Answers whoever the datagram names as its sender: within the limits of a legacy source, and with no more bytes than
    /// it had.
    pub(super) fn answer_stranger(
        &self,
        exchange: &Exchange<'_>,
        reply: &Reply,
        outcome: Outcome,
        out: &mut Outbox,
    ) -> Outcome {
        let sender = exchange.sender;
        let (queued, start) = (out.len(), out.bytes_len());
        exchange.push(reply, out);
        let mut outcome = outcome;
        if out.bytes_len() - start > sender.bytes {
            out.truncate(queued, start);
            outcome = Outcome::V2TooSmall;
            exchange.push(&Reply::error(reply.tid(), ErrorCode::TooSmall), out);
        }
        let sent = out.bytes_len() - start;
        if sent > sender.bytes {
            out.truncate(queued, start);
        } else if !self.may_send(exchange.now_us, sender.from.ip(), sender.bytes, sent) {
            out.truncate(queued, start);
            outcome = Outcome::SourceLimit;
        }
        outcome
    }

    /// Whether one more answer goes to an address that is verified.
    pub(super) fn may_answer_verified(&self, exchange: &Exchange<'_>) -> bool {
        let Some(limits) = exchange.v2.limits_of(exchange.sender.from) else { return true };
        let from = exchange.sender.from;
        // The rate of its own where it is registered; it shares that of its source else.
        exchange
            .v2
            .peers
            .may_answer(from, exchange.now_us, limits.source)
            .unwrap_or_else(|| self.may_send(exchange.now_us, from.ip(), exchange.sender.bytes, 0))
    }
}

impl Exchange<'_> {
    pub(super) fn push(&self, reply: &Reply, out: &mut Outbox) {
        out.push_with(self.sender.reply_to, self.sender.via, |bytes| reply.encode(bytes));
    }

    /// An error for a sender that is verified.
    pub(super) fn refuse(&self, tid: Tid, code: ErrorCode, outcome: Outcome, out: &mut Outbox) -> Outcome {
        self.push(&Reply::error(Some(tid), code), out);
        outcome
    }

    /// The registration of the sender, where there is one; an error where the token is not of its address.
    pub(super) fn verify(&self, token: Token) -> Result<Option<PeerView>, Unverified> {
        let from = self.sender.from;
        let peer = self.v2.peers.view(from, self.now_us);
        // It may have come before the address showed that it holds the id.
        let ids = [peer.and_then(|peer| peer.id), None];
        let given = |id| self.v2.tokens.issued_ms(self.now_us, token, from, id).is_some();
        if ids.into_iter().any(given) { Ok(peer) } else { Err(Unverified) }
    }
}
