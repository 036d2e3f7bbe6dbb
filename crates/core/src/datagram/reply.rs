use std::io::Write as _;
use std::net::SocketAddr;

use crate::address_text::AddressText;

/// What the server sends, in the original's exact shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply<'a> {
    /// The address that the server sees the receiver at.
    YourAddr(SocketAddr),
    /// The address of the peer to punch towards.
    Peer(SocketAddr),
    /// There is no registration of this target.
    NotFound {
        /// The target as the sender wrote it.
        target: &'a str,
    },
    /// A connect without a target.
    MissingTarget,
    /// An object of another type, or of none.
    UnknownType,
}

impl Reply<'_> {
    /// Appends the datagram to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::YourAddr(addr) => address(out, "your_addr", "addr", *addr),
            Self::Peer(addr) => address(out, "peer", "peer", *addr),
            Self::NotFound { target } => not_found(out, target),
            Self::MissingTarget => error(out, "missing target_ip"),
            Self::UnknownType => error(out, "unknown message type"),
        }
    }
}

fn address(out: &mut Vec<u8>, kind: &str, key: &str, addr: SocketAddr) {
    for part in [r#"{"type": ""#, kind, r#"", ""#, key, r#"": [""#] {
        out.extend_from_slice(part.as_bytes());
    }
    AddressText::write(addr.ip().to_canonical(), out);
    // Writing to a Vec cannot fail.
    let _ = write!(out, r#"", {}]}}"#, addr.port());
}

fn error(out: &mut Vec<u8>, msg: &str) {
    let _ = write!(out, r#"{{"type": "error", "msg": "{msg}"}}"#);
}

fn not_found(out: &mut Vec<u8>, target: &str) {
    out.extend_from_slice(br#"{"type": "error", "msg": "target "#);
    let start = out.len();
    // Escapes the target; its quotes go, since it stands inside a longer text.
    let _ = serde_json::to_writer(&mut *out, target);
    out.remove(start);
    out.pop();
    out.extend_from_slice(br#" not found or offline"}"#);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot read its own sample has failed")]

    use proptest::prelude::*;

    use super::*;

    fn text(reply: Reply<'_>) -> String {
        let mut out = Vec::new();
        reply.encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_row_of_the_contract() {
        let v4: SocketAddr = "203.0.113.10:41567".parse().unwrap();
        let v6: SocketAddr = "[2001:db8::5]:7".parse().unwrap();
        let mapped: SocketAddr = "[::ffff:203.0.113.10]:41567".parse().unwrap();
        let rows = [
            (Reply::YourAddr(v4), r#"{"type": "your_addr", "addr": ["203.0.113.10", 41567]}"#),
            (Reply::YourAddr(mapped), r#"{"type": "your_addr", "addr": ["203.0.113.10", 41567]}"#),
            (Reply::Peer(v4), r#"{"type": "peer", "peer": ["203.0.113.10", 41567]}"#),
            (Reply::Peer(v6), r#"{"type": "peer", "peer": ["2001:db8::5", 7]}"#),
            (
                Reply::NotFound { target: "203.0.113.10" },
                r#"{"type": "error", "msg": "target 203.0.113.10 not found or offline"}"#,
            ),
            (Reply::MissingTarget, r#"{"type": "error", "msg": "missing target_ip"}"#),
            (Reply::UnknownType, r#"{"type": "error", "msg": "unknown message type"}"#),
        ];
        for (reply, expected) in rows {
            assert_eq!(text(reply), expected);
        }
    }

    proptest! {
        #[test]
        fn any_target_comes_back_in_valid_json(target in ".{0,60}") {
            let json: serde_json::Value = serde_json::from_str(&text(Reply::NotFound { target: &target })).unwrap();
            let msg = format!("target {target} not found or offline");
            prop_assert_eq!(json.get("msg").and_then(|msg| msg.as_str()), Some(msg.as_str()));
        }
    }
}
