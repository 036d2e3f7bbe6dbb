use peer_core::datagram::v2::{ErrorCode, LanAddrs, Register, Reply, SignedText, Status, YourAddr, is_lan};
use peer_core::limits::{REGISTRATION_TTL_MS, V2_KEEPALIVE_SECS};
use peer_core::{Network, Peer, PeerId, PeerSignature};

use super::Exchange;
use super::peers::Registration;
use crate::limits::Rate;
use crate::outbox::Outbox;
use crate::{Engine, Outcome};

#[expect(clippy::cast_possible_truncation, reason = "the compiler would say so")]
const TTL_SECS: u32 = (REGISTRATION_TTL_MS / 1_000) as u32;
/// A token that comes back later tells of no round trip, in ms: the client took its time.
const RTT_MAX_MS: u64 = 2_000;
/// Signatures of an IPv4 address or IPv6 /64, as many peers may share one.
const OF_SOURCE: Rate = Rate::new(20, 100);
/// Signatures of all together: a quarter of a second of one core. A crowd that comes at once is spread.
const OF_ALL: Rate = Rate::new(5_000, 5_000);

/// What a token and a signature show of an id.
enum Shown {
    /// The address is verified, and no id was named.
    Nothing,
    /// The address holds this id, as of the time of this token.
    Holds { id: PeerId, issued_ms: u64 },
    /// It names one, and is to sign for it.
    Unsigned,
    /// There is a signature, and it is not right.
    Forged,
    /// There are too many signatures to look at this one.
    Unchecked,
}

impl Engine {
    pub(super) fn register_v2(
        &self,
        exchange: &Exchange<'_>,
        register: &Register,
        out: &mut Outbox,
    ) -> Outcome {
        let tid = register.tid;
        let Some(token) = register.token else {
            let verify = exchange.your_addr(register, Status::Verify, None);
            return self.answer_stranger(exchange, &verify, Outcome::V2Verify, out);
        };
        let (v2, now_us, from) = (exchange.v2, exchange.now_us, exchange.sender.from);
        let issued = |id| v2.tokens.issued_ms(now_us, token, from, id);
        let held = register.id.and_then(|id| issued(Some(id)));
        // What was not given for the id that it names now may have been given for none, or for the one that it had before.
        let before = || issued(Some(v2.peers.view(from, now_us)?.id?));
        let issued_ms = held.or_else(|| issued(None)).or_else(before);
        let Some(issued_ms) = issued_ms else {
            let bad = Reply::error(Some(tid), ErrorCode::BadToken);
            return self.answer_stranger(exchange, &bad, Outcome::V2BadToken, out);
        };
        if !self.may_answer_verified(exchange) {
            v2.peers.touch(from, exchange.sender.via, now_us);
            return Outcome::SourceLimit;
        }
        let shown = match (register.id, register.sig) {
            (None, _) => Shown::Nothing,
            (Some(id), _) if held.is_some() => Shown::Holds { id, issued_ms },
            (Some(_), None) => Shown::Unsigned,
            (Some(id), Some(sig)) => exchange.check(register, id, &sig, issued_ms),
        };
        let id = match shown {
            Shown::Nothing => None,
            Shown::Holds { id, issued_ms } if v2.peers.claim(id, from, issued_ms) => Some(id),
            // The id has been elsewhere since this token was made: only a newer one brings it here.
            Shown::Holds { .. } | Shown::Unsigned => {
                exchange.push(&exchange.your_addr(register, Status::Verify, None), out);
                return Outcome::V2Verify;
            }
            Shown::Forged => {
                return exchange.refuse(tid, ErrorCode::BadSignature, Outcome::V2BadSignature, out);
            }
            Shown::Unchecked => return exchange.refuse(tid, ErrorCode::Rate, Outcome::V2SignatureLimit, out),
        };
        let age_ms = v2.tokens.age_ms(now_us, issued_ms);
        let rtt_ms = u16::try_from(age_ms).ok().filter(|_| age_ms <= RTT_MAX_MS);
        let lan: LanAddrs = register.lan.as_slice().iter().copied().filter(|addr| is_lan(*addr)).collect();
        let registration = Registration { from, via: exchange.sender.via, id, lan, rtt_ms };
        let Some(is_new) = v2.peers.register(&registration, now_us) else {
            return exchange.refuse(tid, ErrorCode::Full, Outcome::V2Full, out);
        };
        if is_new {
            self.v2_arrived(from, id, out);
        }
        let alt_port = self.endpoints().alt_port(exchange.arrival);
        let status = Status::Ok { ttl_secs: TTL_SECS, keepalive_secs: V2_KEEPALIVE_SECS, alt_port };
        exchange.push(&exchange.your_addr(register, status, id), out);
        if let Some(moving) = self.moving(now_us, from) {
            exchange.push(&moving, out);
        }
        Outcome::V2Registered
    }
}

impl Exchange<'_> {
    fn your_addr(&self, register: &Register, status: Status, id: Option<PeerId>) -> Reply {
        let addr = self.sender.from;
        let token = self.v2.tokens.issue(self.now_us, addr, id);
        Reply::YourAddr(YourAddr { tid: register.tid, addr, status, token })
    }

    fn check(&self, register: &Register, id: PeerId, sig: &PeerSignature, issued_ms: u64) -> Shown {
        let Some(token) = register.token else { return Shown::Unsigned };
        let from = self.sender.from;
        if self.v2.limits_of(from).is_some() {
            let source = Peer::new(from.ip()).map_or(0, |peer| Network::of_customer(peer).to_bits());
            let source = self.v2.peers.mix(source);
            let (now_us, mut signers) = (self.now_us, self.v2.signers.lock());
            if !signers.charge(source, now_us, OF_SOURCE.cost_us(), OF_SOURCE.burst_us())
                || !self.v2.signatures.charge(now_us, OF_ALL.cost_us(), OF_ALL.burst_us())
            {
                return Shown::Unchecked;
            }
        }
        let text = SignedText::of_register(token, from);
        if id.signed(text.as_bytes(), sig) { Shown::Holds { id, issued_ms } } else { Shown::Forged }
    }
}
