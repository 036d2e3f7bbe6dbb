//! What is left of the legacy contract for a server or a partner that knows no other.

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use serde_json::json;

/// What legacy peers are sent. What they send themselves may be anything.
pub(super) const PUNCH: &[u8] = b"punch";

/// What a legacy server says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Where it sees us.
    YourAddr(SocketAddr),
    /// Whom to punch towards.
    Peer(SocketAddr),
    /// A request was not met.
    Error,
}

/// Asks a legacy server for the peer at an IP address.
pub(super) fn connect(target: IpAddr) -> Vec<u8> {
    json!({"type": "connect", "target_ip": target.to_string()}).to_string().into_bytes()
}

/// `None` where it is not of the legacy contract.
pub(super) fn decode(datagram: &[u8]) -> Option<Word> {
    let fields: Fields<'_> = serde_json::from_slice(datagram).ok()?;
    if fields.v.is_some() {
        return None;
    }
    let addr =
        |pair: Option<(&str, u16)>| pair.and_then(|(ip, port)| Some(SocketAddr::new(ip.parse().ok()?, port)));
    match fields.kind {
        "your_addr" => addr(fields.addr).map(Word::YourAddr),
        "peer" => addr(fields.peer).map(Word::Peer),
        "error" => Some(Word::Error),
        _ => None,
    }
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    v: Option<serde::de::IgnoredAny>,
    #[serde(borrow)]
    addr: Option<(&'a str, u16)>,
    #[serde(borrow)]
    peer: Option<(&'a str, u16)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_legacy_contract_are_read() {
        let addr = SocketAddr::from(([203, 0, 113, 10], 41_567));
        for (datagram, word) in [
            (r#"{"type": "your_addr", "addr": ["203.0.113.10", 41567]}"#, Some(Word::YourAddr(addr))),
            (r#"{"type": "peer", "peer": ["203.0.113.10", 41567]}"#, Some(Word::Peer(addr))),
            (r#"{"type": "error", "msg": "target 203.0.113.10 not found or offline"}"#, Some(Word::Error)),
            (r#"{"type": "your_addr", "v": 2, "addr": ["203.0.113.10", 41567]}"#, None),
            (r#"{"type": "your_addr", "addr": ["203.0.113.10", 70000]}"#, None),
            (r#"{"type": "your_addr"}"#, None),
            (r#"{"type": "song"}"#, None),
            ("punch", None),
        ] {
            assert_eq!(decode(datagram.as_bytes()), word, "{datagram}");
        }
    }
}
