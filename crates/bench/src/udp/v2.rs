//! A peer of version 2 with two ids, each with a key.

use std::net::{SocketAddr, SocketAddrV4};

use ed25519_dalek::{Signer as _, SigningKey};
use peer_core::datagram::v2::{
    Connect, LanAddrs, Register, Reply, Request, SignedText, Status, Target, Tid, Token, YourAddr,
};
use peer_core::{PeerId, PeerSignature};

/// What it knows of its address, and its keys.
#[derive(Debug)]
pub(crate) struct V2Peer {
    addr: SocketAddrV4,
    keys: [SigningKey; 2],
    /// Which of them it goes by.
    by: usize,
    token: Option<Token>,
    sent: u64,
}

impl V2Peer {
    /// A peer that has not spoken yet.
    pub(crate) fn new(addr: SocketAddrV4) -> Self {
        let seed = |number: u8| {
            let [a, b, c, d] = addr.ip().octets();
            let mut seed = [number; 32];
            for (place, byte) in seed.iter_mut().zip([a, b, c, d]) {
                *place = byte;
            }
            SigningKey::from_bytes(&seed)
        };
        Self { addr, keys: [seed(1), seed(2)], by: 0, token: None, sent: 0 }
    }

    /// The next register: for a token where it has none, then with a signature, then as a keepalive. With `anew` it goes by
    /// its other id, so that each is the first register of an id and has a signature.
    pub(crate) fn register(&mut self, anew: bool) -> Vec<u8> {
        self.sent += 1;
        let is_first = self.sent == 2;
        if anew && self.token.is_some() {
            self.by = 1 - self.by;
        }
        let key = self.keys.get(self.by);
        let sign = |token| {
            let text = SignedText::of_register(token, SocketAddr::V4(self.addr));
            key.map(|key| PeerSignature::from_bytes(key.sign(text.as_bytes()).to_bytes()))
        };
        let register = Register {
            tid: tid(self.sent),
            token: self.token,
            id: key.map(|key| PeerId::from_bytes(key.verifying_key().to_bytes())),
            sig: self.token.filter(|_| anew || is_first).and_then(sign),
            lan: LanAddrs::EMPTY,
        };
        let mut datagram = Vec::new();
        Request::Register(register).encode(&mut datagram);
        datagram
    }

    /// Whether it may say more than hello.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// The id that it goes by.
    pub(crate) fn id(&self) -> PeerId {
        let [first, second] = &self.keys;
        let key = if self.by == 0 { first } else { second };
        PeerId::from_bytes(key.verifying_key().to_bytes())
    }

    /// A connect; `None` before it has a token.
    pub(crate) fn connect(&mut self, target: Target) -> Option<Vec<u8>> {
        let token = self.token?;
        self.sent += 1;
        let connect = Connect { tid: tid(self.sent), token, target };
        let mut datagram = Vec::new();
        Request::Connect(connect).encode(&mut datagram);
        Some(datagram)
    }

    /// Whether `datagram` is the answer that is due: a token at first, and a registration after that.
    pub(crate) fn check(&mut self, datagram: &[u8]) -> Result<(), String> {
        let registers = self.token.is_some();
        match Reply::decode(datagram) {
            Ok(Reply::YourAddr(YourAddr { tid: answered, addr, status, token }))
                if answered == tid(self.sent)
                    && addr == SocketAddr::V4(self.addr)
                    && (status != Status::Verify) == registers =>
            {
                self.token = Some(token);
                Ok(())
            }
            other => Err(format!("{other:?} for a register of {}", self.addr)),
        }
    }
}

/// A number of at most 16 digits, which no run reaches.
fn tid(number: u64) -> Tid {
    format!("{}", number % 10_000_000_000_000_000)
        .parse()
        .unwrap_or_else(|_| unreachable!("digits are allowed"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use peer_core::datagram::v2::Decoded;

    use super::*;

    fn asked(datagram: &[u8]) -> Register {
        match Request::decode(datagram) {
            Decoded::Request(Request::Register(register)) => register,
            other => unreachable!("{other:?}"),
        }
    }

    fn answer(peer: &V2Peer, status: Status) -> Vec<u8> {
        let mut out = Vec::new();
        let (tid, addr) = (tid(peer.sent), SocketAddr::V4(peer.addr));
        Reply::YourAddr(YourAddr { tid, addr, status, token: Token::from_bytes([1; 16]) }).encode(&mut out);
        out
    }

    #[test]
    fn it_asks_for_a_token_signs_once_and_keeps_alive_or_signs_for_the_other_id_each_time() {
        let ok = Status::Ok { ttl_secs: 120, keepalive_secs: 20, alt_port: None };
        for anew in [false, true] {
            let mut peer = V2Peer::new("127.1.0.1:4000".parse().unwrap());
            assert!(asked(&peer.register(anew)).token.is_none());
            let wrong = answer(&peer, ok);
            assert!(peer.check(&wrong).is_err());
            let right = answer(&peer, Status::Verify);
            assert_eq!(peer.check(&right), Ok(()));
            let mut ids = Vec::new();
            for number in 0..4 {
                let register = asked(&peer.register(anew));
                assert_eq!(register.sig.is_some(), anew || number == 0);
                ids.push(register.id);
                let right = answer(&peer, ok);
                assert_eq!(peer.check(&right), Ok(()));
            }
            ids.dedup();
            assert_eq!(ids.len(), if anew { 4 } else { 1 });
        }
    }
}
