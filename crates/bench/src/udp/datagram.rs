//! What peers say to a matchmaker, and what they must hear.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use serde::Deserialize;

use super::stun;

/// The answer of the bare limit, as long as a usual answer of a matchmaker.
pub(crate) const FIXED_ANSWER: &[u8] = br#"{"type": "your_addr", "addr": ["203.0.113.200", 41567]}   "#;
const _: () = assert!(FIXED_ANSWER.len() == 58);

/// The longest datagram that is read.
pub(crate) const DATAGRAM_BYTES: usize = 512;

/// Says where it is.
pub(crate) const REGISTER: &[u8] = br#"{"type":"register"}"#;

/// Asks for the peer that is registered at an address.
pub(crate) fn connect(target: Ipv4Addr) -> Vec<u8> {
    format!(r#"{{"type":"connect","target_ip":"{target}"}}"#).into_bytes()
}

/// The datagram that a socket must receive.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expected {
    /// `your_addr` with the address of the socket itself.
    OwnAddress(SocketAddrV4),
    /// `peer` with the address of the other one.
    Peer(SocketAddrV4),
    /// What the bare limit always says.
    Fixed,
    /// The answer to the STUN request of this number, with the address of the socket itself.
    Mapped(SocketAddrV4, u64),
}

/// What a matchmaker says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Reply {
    /// Where it sees whom it speaks to.
    YourAddr { addr: (Ipv4Addr, u16) },
    /// Where the other peer is.
    Peer { peer: (Ipv4Addr, u16) },
    /// Why there is no other peer, as a rule.
    Error { msg: String },
}

impl Reply {
    /// `None` where it is none.
    pub(crate) fn read(datagram: &[u8]) -> Option<Self> {
        serde_json::from_slice(datagram).ok()
    }
}

impl Expected {
    /// Whether `datagram` is the one.
    pub(crate) fn check(self, datagram: &[u8]) -> Result<(), String> {
        let right = match self {
            Self::Fixed => datagram == FIXED_ANSWER,
            Self::Mapped(own, number) => stun::answers(datagram, number, own),
            Self::OwnAddress(own) => matches!(
                Reply::read(datagram),
                Some(Reply::YourAddr { addr: (ip, port) }) if SocketAddrV4::new(ip, port) == own
            ),
            Self::Peer(other) => matches!(
                Reply::read(datagram),
                Some(Reply::Peer { peer: (ip, port) }) if SocketAddrV4::new(ip, port) == other
            ),
        };
        if right {
            Ok(())
        } else {
            Err(format!("{self:?} was due, not {:?}", String::from_utf8_lossy(datagram)))
        }
    }
}

/// The IPv4 address of a socket.
pub(crate) fn v4(address: SocketAddr) -> anyhow::Result<SocketAddrV4> {
    match address {
        SocketAddr::V4(address) => Ok(address),
        SocketAddr::V6(address) => anyhow::bail!("{address} is no IPv4 address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 1, 0, 2), 4000);

    #[test]
    fn an_answer_is_right_with_the_due_type_and_address_in_any_spacing() {
        let due = Expected::OwnAddress(OWN);
        assert_eq!(due.check(br#"{"type": "your_addr", "addr": ["127.1.0.2", 4000]}"#), Ok(()));
        assert_eq!(due.check(br#"{"addr":["127.1.0.2",4000],"type":"your_addr"}"#), Ok(()));
        assert_eq!(Expected::Peer(OWN).check(br#"{"type":"peer","peer":["127.1.0.2",4000]}"#), Ok(()));
    }

    #[test]
    fn another_address_another_type_or_more_keys_are_wrong() {
        let due = Expected::OwnAddress(OWN);
        for wrong in [
            r#"{"type":"your_addr","addr":["127.1.0.2",4001]}"#,
            r#"{"type":"your_addr","addr":["127.1.0.3",4000]}"#,
            r#"{"type":"peer","peer":["127.1.0.2",4000]}"#,
            r#"{"type":"your_addr","addr":["127.1.0.2",4000],"more":1}"#,
            r#"{"type":"error","msg":"target 127.1.0.2 not found or offline"}"#,
            "",
        ] {
            assert!(due.check(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_answer_of_the_limit_is_checked_byte_by_byte() {
        assert_eq!(Expected::Fixed.check(FIXED_ANSWER), Ok(()));
        assert!(Expected::Fixed.check(b"{}").is_err());
    }
}
