use std::net::SocketAddr;

use super::fields::base64url;
use super::writer::Writer;
use super::{ErrorCode, LanAddrs, MoveTargets, NatKind, PairId, PunchKey, Tid, Token};
use crate::PeerId;

/// What the server says to a client of version 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// Where the server sees the sender of a register, and the token for what it asks next.
    YourAddr(YourAddr),
    /// Whom to punch towards, and how.
    Peer(Introduction),
    /// What a probe has shown.
    Nat {
        /// What the client called the request.
        tid: Tid,
        /// Where the server saw the probe come from.
        addr: SocketAddr,
        /// The kind of NAT that this and the address of the token tell of.
        nat: NatKind,
    },
    /// The sender is not registered, whether it was before or not.
    Unregistered {
        /// What the client called the request.
        tid: Tid,
    },
    /// A request was not met.
    Error {
        /// What the client called the request, where that could be read.
        tid: Option<Tid>,
        /// Why.
        code: ErrorCode,
        /// When to ask again, in milliseconds from now, where that is known to help: other servers cannot be reached at the
        /// moment, so that it could not be found out.
        retry_ms: Option<u32>,
    },
    /// The server will be gone: register with another one.
    Move {
        /// Servers that will be there, the best first.
        to: MoveTargets,
        /// Until when, in seconds.
        within_secs: u32,
    },
}

/// See [`Reply::YourAddr`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct YourAddr {
    /// What the client called the request.
    pub tid: Tid,
    /// The address that the server sees.
    pub addr: SocketAddr,
    /// Whether the sender is registered.
    pub status: Status,
    /// The newest token of this address.
    pub token: Token,
}

/// How a registration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Nothing is registered yet: register again at once with the token, and where there is an id with its signature.
    Verify,
    /// It is registered.
    Ok {
        /// How long the registration lives without a further one, in seconds.
        ttl_secs: u32,
        /// How often to register again, in seconds.
        keepalive_secs: u32,
        /// The port of the server for probes, where it has one.
        alt_port: Option<u16>,
    },
}

/// One side of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Introduction {
    /// What the client called its connect; `None` at the side that did not ask.
    pub tid: Option<Tid>,
    /// The pair; the other side has the same.
    pub pair: PairId,
    /// The other side as the server sees it.
    pub peer: SocketAddr,
    /// Its id, which the server has verified.
    pub id: Option<PeerId>,
    /// Its addresses in the local network that both sides seem to be in.
    pub lan: LanAddrs,
    /// Its kind of NAT.
    pub nat: NatKind,
    /// Whether to punch; not where neither NAT can be punched. Local addresses may be tried all the same.
    pub punch: bool,
    /// How long to wait from now, in milliseconds, so that both sides begin together.
    pub start_ms: u16,
    /// From one punch to the next, in milliseconds.
    pub interval_ms: u16,
    /// What both sides know each other by; `None` where the other side is a legacy peer, which knows of no key.
    pub key: Option<PunchKey>,
    /// Whether the other side was silent for so long that its NAT may have forgotten it.
    pub cold: bool,
}

impl Reply {
    /// A request was not met, and it is not known when it would be.
    pub fn error(tid: Option<Tid>, code: ErrorCode) -> Self {
        Self::Error { tid, code, retry_ms: None }
    }

    /// What the client called the request that this answers, where it is an answer and that is known.
    pub fn tid(&self) -> Option<Tid> {
        match self {
            Self::YourAddr(your_addr) => Some(your_addr.tid),
            Self::Peer(introduction) => introduction.tid,
            Self::Nat { tid, .. } | Self::Unregistered { tid } => Some(*tid),
            Self::Error { tid, .. } => *tid,
            Self::Move { .. } => None,
        }
    }

    /// Appends the datagram to `out`. Does not allocate where there is room.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::YourAddr(your_addr) => your_addr.encode(out),
            Self::Peer(introduction) => introduction.encode(out),
            Self::Nat { tid, addr, nat } => {
                let mut writer = Writer::new(out, "nat");
                writer.text("tid", tid.as_str());
                writer.addr("addr", *addr);
                writer.text("nat", nat.as_str());
                writer.end();
            }
            Self::Unregistered { tid } => {
                let mut writer = Writer::new(out, "unregistered");
                writer.text("tid", tid.as_str());
                writer.end();
            }
            Self::Error { tid, code, retry_ms } => {
                let mut writer = Writer::new(out, "error");
                if let Some(tid) = tid {
                    writer.text("tid", tid.as_str());
                }
                writer.text("code", code.as_str());
                if let Some(retry_ms) = retry_ms {
                    writer.number("retry", *retry_ms);
                }
                writer.end();
            }
            Self::Move { to, within_secs } => {
                let mut writer = Writer::new(out, "move");
                writer.list("to", to.as_slice().iter().map(|addr| (*addr, None)));
                writer.number("within", *within_secs);
                writer.end();
            }
        }
    }
}

impl YourAddr {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out, "your_addr");
        writer.text("tid", self.tid.as_str());
        writer.addr("addr", self.addr);
        writer.text("status", if self.status == Status::Verify { "verify" } else { "ok" });
        writer.text("token", self.token.text());
        if let Status::Ok { ttl_secs, keepalive_secs, alt_port } = self.status {
            writer.number("ttl", ttl_secs);
            writer.number("keepalive", keepalive_secs);
            if let Some(port) = alt_port {
                writer.number("alt", u32::from(port));
            }
        }
        writer.end();
    }
}

impl Introduction {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out, "peer");
        if let Some(tid) = &self.tid {
            writer.text("tid", tid.as_str());
        }
        writer.text("pair", self.pair.text());
        writer.addr("peer", self.peer);
        if let Some(id) = self.id {
            writer.text("id", base64url::<{ PeerId::CHARS }>(&id.to_bytes()));
        }
        let lan = self.lan.as_slice().iter().map(|addr| (*addr, Some("lan")));
        writer.list("candidates", lan.chain([(self.peer, Some("mapped"))]));
        writer.text("nat", self.nat.as_str());
        writer.truth("punch", self.punch);
        writer.number("start_ms", u32::from(self.start_ms));
        writer.number("interval_ms", u32::from(self.interval_ms));
        if let Some(key) = self.key {
            writer.text("key", key.text());
        }
        if self.cold {
            writer.truth("cold", true);
        }
        writer.end();
    }
}
