//! A message as bytes: a version, a kind, and then the fields in order; numbers have their most significant byte first. Whoever
//! can write to the Redis can write these, so they are read as what a stranger says: whole and in the one form, or not at all.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use peer_core::datagram::v2::{LanAddrs, NatKind, PairId, PunchKey, Target, is_lan};
use peer_core::limits::NODE_MESSAGE_MAX_BYTES;
use peer_core::{NodeId, Peer, PeerId};

use super::message::{Answer, Ask, BadMessage, Message, Moved, RELAY_MAX_US, Side, Verdict};

/// The first byte of every message.
const VERSION: u8 = 1;

impl Message {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        match self {
            Self::Ask(ask) => {
                out.push(0);
                out.extend(ask.from.to_bits().to_be_bytes());
                out.extend(ask.pair.to_bits().to_be_bytes());
                out.extend(ask.key.to_bytes());
                put_side(&mut out, &ask.asker);
                out.push(u8::from(ask.registered));
                out.extend(ask.relay_us.to_be_bytes());
                match ask.target {
                    Target::Id(id) => {
                        out.push(0);
                        out.extend(id.to_bytes());
                    }
                    Target::Ip(ip) => {
                        out.push(1);
                        put_addr(&mut out, SocketAddr::new(ip, 0));
                    }
                    Target::Addr(addr) => {
                        out.push(2);
                        put_addr(&mut out, addr);
                    }
                }
            }
            Self::Answer(answer) => {
                out.push(1);
                out.extend(answer.pair.to_bits().to_be_bytes());
                match &answer.verdict {
                    Verdict::Told { target, start_in_us } => {
                        out.push(0);
                        put_side(&mut out, target);
                        out.extend(start_in_us.to_be_bytes());
                    }
                    Verdict::NotFound => out.push(1),
                    Verdict::Ambiguous => out.push(2),
                    Verdict::Rate => out.push(3),
                }
            }
            Self::Moved(moved) => {
                out.push(2);
                match moved {
                    Moved::Id { id, is_v4 } => {
                        out.extend([0, u8::from(*is_v4)]);
                        out.extend(id.to_bytes());
                    }
                    Moved::Addr(addr) => {
                        out.push(1);
                        put_addr(&mut out, *addr);
                    }
                    Moved::Legacy(ip) => {
                        out.push(2);
                        put_addr(&mut out, SocketAddr::new(*ip, 0));
                    }
                }
            }
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadMessage> {
        if bytes.len() > NODE_MESSAGE_MAX_BYTES {
            return Err(BadMessage::TooLong);
        }
        match bytes.split_first() {
            Some((&VERSION, rest)) => {
                let mut reader = Reader(rest);
                let message = reader.message().filter(|_| reader.0.is_empty());
                message.ok_or(BadMessage::Malformed)
            }
            Some(_) => Err(BadMessage::OtherVersion),
            None => Err(BadMessage::Malformed),
        }
    }
}

fn put_addr(out: &mut Vec<u8>, addr: SocketAddr) {
    let ip = match addr.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    out.extend(ip.octets());
    out.extend(addr.port().to_be_bytes());
}

fn put_side(out: &mut Vec<u8>, side: &Side) {
    put_addr(out, side.addr);
    let flags = [side.is_v2, side.cold, side.id.is_some(), side.rtt_ms.is_some()];
    out.push(flags.iter().enumerate().fold(0, |bits, (bit, flag)| bits | u8::from(*flag) << bit));
    if let Some(id) = side.id {
        out.extend(id.to_bytes());
    }
    if let Some(rtt_ms) = side.rtt_ms {
        out.extend(rtt_ms.to_be_bytes());
    }
    let nat = NatKind::ALL.iter().position(|kind| *kind == side.nat).unwrap_or(0);
    out.push(u8::try_from(nat).unwrap_or(0));
    out.push(u8::try_from(side.lan.as_slice().len()).unwrap_or(0));
    for addr in side.lan.as_slice() {
        put_addr(out, *addr);
    }
}

/// What is left of a message. Each of these is `None` where it is not of its form.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn message(&mut self) -> Option<Message> {
        Some(match self.byte()? {
            0 => Message::Ask(Ask {
                from: NodeId::from_bits(self.number()?),
                pair: PairId::from_bits(self.number()?),
                key: PunchKey::from_bytes(self.bytes()?),
                asker: self.side()?,
                registered: self.truth()?,
                relay_us: self.micros()?,
                target: self.target()?,
            }),
            1 => {
                let pair = PairId::from_bits(self.number()?);
                let verdict = match self.byte()? {
                    0 => Verdict::Told { target: self.side()?, start_in_us: self.micros()? },
                    1 => Verdict::NotFound,
                    2 => Verdict::Ambiguous,
                    3 => Verdict::Rate,
                    _ => return None,
                };
                Message::Answer(Answer { pair, verdict })
            }
            2 => Message::Moved(match self.byte()? {
                0 => {
                    let is_v4 = self.truth()?;
                    Moved::Id { id: PeerId::from_bytes(self.bytes()?), is_v4 }
                }
                1 => Moved::Addr(self.addr()?),
                2 => Moved::Legacy(self.ip()?),
                _ => return None,
            }),
            _ => return None,
        })
    }

    fn target(&mut self) -> Option<Target> {
        Some(match self.byte()? {
            0 => Target::Id(PeerId::from_bytes(self.bytes()?)),
            1 => Target::Ip(self.ip()?),
            2 => Target::Addr(self.addr()?),
            _ => return None,
        })
    }

    fn side(&mut self) -> Option<Side> {
        let addr = self.addr()?;
        let flags = self.byte().filter(|flags| *flags < 16)?;
        let has = |bit: u8| flags & 1 << bit != 0;
        let id = if has(2) { Some(PeerId::from_bytes(self.bytes()?)) } else { None };
        let rtt_ms = if has(3) { Some(u16::from_be_bytes(self.bytes()?)) } else { None };
        let nat = *NatKind::ALL.get(usize::from(self.byte()?))?;
        let mut lan = LanAddrs::EMPTY;
        for _ in 0..self.byte()? {
            let addr = self.addr().filter(|addr| is_lan(*addr))?;
            if !lan.push(addr) {
                return None;
            }
        }
        Some(Side { addr, is_v2: has(0), id, lan, nat, rtt_ms, cold: has(1) })
    }

    /// Of a host, with a port: we are to send there, or to have others do so.
    fn addr(&mut self) -> Option<SocketAddr> {
        let ip = Peer::new(IpAddr::V6(Ipv6Addr::from(self.bytes::<16>()?))).ok()?.ip();
        let port = u16::from_be_bytes(self.bytes()?);
        (port != 0).then_some(SocketAddr::new(ip, port))
    }

    fn ip(&mut self) -> Option<IpAddr> {
        let ip = Peer::new(IpAddr::V6(Ipv6Addr::from(self.bytes::<16>()?))).ok()?.ip();
        (self.bytes()? == [0, 0]).then_some(ip)
    }

    fn micros(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.bytes()?)).filter(|us| *us <= 2 * RELAY_MAX_US)
    }

    fn number(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_be_bytes)
    }

    fn truth(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test that cannot make its own sample has failed"
    )]

    use proptest::prelude::*;

    use super::*;

    fn side(id: Option<[u8; 32]>, lan: usize, nat: usize, rtt_ms: Option<u16>, flags: [bool; 2]) -> Side {
        let lan = (0..lan).map(|host| SocketAddr::from(([10, 0, 0, u8::try_from(host).unwrap()], 7)));
        let (is_v2, cold) = (flags[0], flags[1]);
        Side {
            addr: "203.0.113.10:41001".parse().unwrap(),
            is_v2,
            id: id.map(PeerId::from_bytes),
            lan: lan.collect(),
            nat: NatKind::ALL[nat],
            rtt_ms,
            cold,
        }
    }

    fn longest() -> Message {
        let v6 = |text: &str| SocketAddr::new(text.parse().unwrap(), 65_535);
        let lan = (0..6).map(|host| v6(&format!("fd00::{host}"))).collect();
        let asker = Side { lan, addr: v6("2001:db8::1"), ..side(Some([7; 32]), 0, 0, Some(9), [true, true]) };
        Message::Ask(Ask {
            from: NodeId::from_bits(u64::MAX),
            pair: PairId::from_bits(u64::MAX),
            key: PunchKey::from_bytes([9; 16]),
            asker,
            registered: true,
            relay_us: RELAY_MAX_US,
            target: Target::Id(PeerId::from_bytes([8; 32])),
        })
    }

    #[test]
    fn the_longest_message_is_well_below_what_is_taken() {
        let bytes = longest().encode();
        assert!(2 * bytes.len() < NODE_MESSAGE_MAX_BYTES, "{}", bytes.len());
        assert_eq!(Message::decode(&bytes), Ok(longest()));
    }

    #[test]
    fn a_message_is_read_whole_or_not_at_all() {
        let bytes = longest().encode();
        for length in 0..bytes.len() {
            assert_eq!(Message::decode(&bytes[..length]), Err(BadMessage::Malformed), "{length}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Message::decode(&longer), Err(BadMessage::Malformed));
        assert_eq!(Message::decode(&[1; NODE_MESSAGE_MAX_BYTES + 1]), Err(BadMessage::TooLong));
        let other = [&[2], &bytes[1..]].concat();
        assert_eq!(Message::decode(&other), Err(BadMessage::OtherVersion));
    }

    #[test]
    fn addresses_that_nobody_has_are_refused() {
        let message = |ip: &str| Message::Moved(Moved::Legacy(ip.parse().unwrap()));
        assert_eq!(Message::decode(&message("203.0.113.5").encode()), Ok(message("203.0.113.5")));
        for ip in ["0.0.0.0", "255.255.255.255", "224.0.0.1", "ff02::1", "::"] {
            assert_eq!(Message::decode(&message(ip).encode()), Err(BadMessage::Malformed), "{ip}");
        }
    }

    proptest! {
        #[test]
        fn a_message_survives_bytes(
            (from, pair, key) in any::<(u64, u64, [u8; 16])>(),
            (id, lan, nat, rtt_ms, flags) in
                (any::<Option<[u8; 32]>>(), 0_usize..=6, 0_usize..3, any::<Option<u16>>(), any::<[bool; 2]>()),
            (registered, micros, which) in (any::<bool>(), 0..=RELAY_MAX_US, 0..9),
        ) {
            let side = side(id, lan, nat, rtt_ms, flags);
            let pair = PairId::from_bits(pair);
            let answer = |verdict| Message::Answer(Answer { pair, verdict });
            let target = match which {
                0 => Target::Id(PeerId::from_bytes([3; 32])),
                1 => Target::Ip("2001:db8::9".parse().unwrap()),
                _ => Target::Addr("192.0.2.1:9".parse().unwrap()),
            };
            let message = match which {
                0..=2 => Message::Ask(Ask {
                    from: NodeId::from_bits(from),
                    pair,
                    key: PunchKey::from_bytes(key),
                    asker: side,
                    registered,
                    relay_us: micros,
                    target,
                }),
                3 => answer(Verdict::Told { target: side, start_in_us: micros }),
                4 => answer(Verdict::NotFound),
                5 => answer(Verdict::Ambiguous),
                6 => answer(Verdict::Rate),
                7 => Message::Moved(Moved::Addr(side.addr)),
                _ => Message::Moved(Moved::Id { id: PeerId::from_bytes([3; 32]), is_v4: registered }),
            };
            prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
        }

        /// Whatever is read, writing it gives the same bytes: there is one form.
        #[test]
        fn bytes_that_are_read_are_written_the_same(mut bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0_u8..3) {
            if let [version, second, ..] = &mut bytes[..] {
                (*version, *second) = (VERSION, kind);
            }
            if let Ok(message) = Message::decode(&bytes) {
                // IPv4 has one form here as well, mapped into IPv6.
                prop_assert_eq!(message.encode(), bytes);
            }
        }
    }
}
