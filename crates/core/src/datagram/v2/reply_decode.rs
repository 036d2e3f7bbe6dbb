use serde::Deserialize;
use std::str::FromStr;

use super::request_decode::Pair;
use super::{ErrorCode, Introduction, LanAddrs, MoveTargets, NatKind, Reply, Status, VERSION, YourAddr};
use crate::limits::V2_DATAGRAM_MAX_BYTES;

/// Why a datagram is no reply of version 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAReply {
    /// It is no JSON object with `"v":2`: another server, or something of a peer.
    #[error("no object of version 2")]
    OtherVersion,
    /// It has a type that this version does not know.
    #[error("a type that is not known")]
    UnknownType,
    /// A field is missing or not of its form.
    #[error("a field is missing or not of its form")]
    Malformed,
}

impl Reply {
    /// Reads one datagram, as a client does. Unknown keys are skipped, kinds of candidates that are not known too, and an
    /// unknown code of an error is [`ErrorCode::Other`].
    pub fn decode(datagram: &[u8]) -> Result<Self, NotAReply> {
        if datagram.len() > V2_DATAGRAM_MAX_BYTES {
            return Err(NotAReply::OtherVersion);
        }
        let head: Head<'_> = serde_json::from_slice(datagram).map_err(|_| NotAReply::OtherVersion)?;
        if head.v != VERSION {
            return Err(NotAReply::OtherVersion);
        }
        let reply = match head.kind {
            "your_addr" => read(datagram, YourAddrFields::read),
            "peer" => read(datagram, PeerFields::read),
            "nat" => read(datagram, |fields: NatFields<'_>| {
                Some(Self::Nat {
                    tid: fields.tid.parse().ok()?,
                    addr: fields.addr.addr()?,
                    nat: fields.nat.parse().ok()?,
                })
            }),
            "unregistered" => read(datagram, |fields: TidField<'_>| {
                Some(Self::Unregistered { tid: fields.tid?.parse().ok()? })
            }),
            "error" => read(datagram, |fields: ErrorFields<'_>| {
                let code = fields.code.parse().unwrap_or(ErrorCode::Other);
                Some(Self::Error { tid: optional(fields.tid).ok()?, code, retry_ms: fields.retry })
            }),
            "move" => read(datagram, |fields: MoveFields<'_>| {
                let to = fields.to.iter().map(Pair::addr).collect::<Option<MoveTargets>>()?;
                Some(Self::Move { to, within_secs: fields.within })
            }),
            _ => return Err(NotAReply::UnknownType),
        };
        reply.ok_or(NotAReply::Malformed)
    }
}

fn read<'a, F: Deserialize<'a>>(datagram: &'a [u8], make: impl FnOnce(F) -> Option<Reply>) -> Option<Reply> {
    make(serde_json::from_slice(datagram).ok()?)
}

/// An error where it is there and not of its form.
fn optional<T: FromStr>(text: Option<&str>) -> Result<Option<T>, T::Err> {
    text.map(str::parse).transpose()
}

#[derive(Deserialize)]
struct Head<'a> {
    v: u8,
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Deserialize)]
struct TidField<'a> {
    tid: Option<&'a str>,
}

#[derive(Deserialize)]
struct YourAddrFields<'a> {
    tid: &'a str,
    #[serde(borrow)]
    addr: Pair<'a>,
    status: &'a str,
    token: &'a str,
    ttl: Option<u32>,
    keepalive: Option<u32>,
    alt: Option<u16>,
}

impl YourAddrFields<'_> {
    fn read(self) -> Option<Reply> {
        let status = match self.status {
            "verify" => Status::Verify,
            "ok" => Status::Ok { ttl_secs: self.ttl?, keepalive_secs: self.keepalive?, alt_port: self.alt },
            _ => return None,
        };
        let (tid, token) = (self.tid.parse().ok()?, self.token.parse().ok()?);
        Some(Reply::YourAddr(YourAddr { tid, addr: self.addr.addr()?, status, token }))
    }
}

#[derive(Deserialize)]
struct PeerFields<'a> {
    tid: Option<&'a str>,
    pair: &'a str,
    #[serde(borrow)]
    peer: Pair<'a>,
    id: Option<&'a str>,
    #[serde(borrow)]
    candidates: Vec<(&'a str, u16, &'a str)>,
    nat: &'a str,
    punch: bool,
    start_ms: u16,
    interval_ms: u16,
    key: Option<&'a str>,
    #[serde(default)]
    cold: bool,
}

impl PeerFields<'_> {
    fn read(self) -> Option<Reply> {
        let lan = self.candidates.iter().filter(|(.., kind)| *kind == "lan");
        let lan = lan.map(|(ip, port, _)| Pair(ip, *port).addr()).collect::<Option<LanAddrs>>()?;
        Some(Reply::Peer(Introduction {
            tid: optional(self.tid).ok()?,
            pair: self.pair.parse().ok()?,
            peer: self.peer.addr()?,
            id: optional(self.id).ok()?,
            lan,
            nat: self.nat.parse().unwrap_or(NatKind::Unknown),
            punch: self.punch,
            start_ms: self.start_ms,
            interval_ms: self.interval_ms,
            key: optional(self.key).ok()?,
            cold: self.cold,
        }))
    }
}

#[derive(Deserialize)]
struct NatFields<'a> {
    tid: &'a str,
    #[serde(borrow)]
    addr: Pair<'a>,
    nat: &'a str,
}

#[derive(Deserialize)]
struct ErrorFields<'a> {
    tid: Option<&'a str>,
    code: &'a str,
    retry: Option<u32>,
}

#[derive(Deserialize)]
struct MoveFields<'a> {
    #[serde(borrow)]
    to: Vec<Pair<'a>>,
    within: u32,
}
