use std::net::{IpAddr, SocketAddr};

use super::writer::Writer;
use super::{LanAddrs, PairId, Path, Tid, Token};
use crate::limits::V2_PADDED_BYTES;
use crate::{PeerId, PeerSignature};

/// What a client of version 2 asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation for each datagram")]
pub enum Request {
    /// Remember the sender, or tell it its token.
    Register(Register),
    /// Tell the sender and the target of each other.
    Connect(Connect),
    /// The sender was told of a pair.
    Ack {
        /// Which.
        pair: PairId,
    },
    /// What became of a pair.
    Result(Verdict),
    /// Forget the sender.
    Unregister {
        /// What the client calls the request.
        tid: Tid,
        /// The newest token.
        token: Token,
    },
    /// Compare where this comes from with where the token was given to. It is sent to the alternate port.
    Probe {
        /// What the client calls the request.
        tid: Tid,
        /// The newest token.
        token: Token,
        /// The address that it was given to.
        addr: SocketAddr,
    },
}

/// A registration, the first of an address or a further one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register {
    /// What the client calls the request.
    pub tid: Tid,
    /// The newest token of this address, where the client has one.
    pub token: Option<Token>,
    /// The id of the peer, where it has one.
    pub id: Option<PeerId>,
    /// The signature of the id over [`super::SignedText`]. Comes only with an id and a token.
    pub sig: Option<PeerSignature>,
    /// Addresses of the peer in its local network.
    pub lan: LanAddrs,
}

/// Whom a peer wants to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connect {
    /// What the client calls the request.
    pub tid: Tid,
    /// The newest token.
    pub token: Token,
    /// Whom.
    pub target: Target,
}

/// A peer, by one of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// The holder of a key.
    Id(PeerId),
    /// The only peer of an address.
    Ip(IpAddr),
    /// The peer at an address and port.
    Addr(SocketAddr),
}

/// What became of a pair, as one of its sides says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Which.
    pub pair: PairId,
    /// How they reached each other and after how many milliseconds, or `None` where they did not.
    pub reached: Option<(Path, u32)>,
}

impl Request {
    /// Appends the datagram to `out`. One that asks for a token is padded to [`V2_PADDED_BYTES`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Register(register) => register.encode(out),
            Self::Connect(connect) => connect.encode(out),
            Self::Ack { pair } => {
                let mut writer = Writer::new(out, "ack");
                writer.text("pair", pair.text());
                writer.end();
            }
            Self::Result(verdict) => verdict.encode(out),
            Self::Unregister { tid, token } => {
                let mut writer = Writer::new(out, "unregister");
                writer.text("tid", tid.as_str());
                writer.text("token", token.text());
                writer.end();
            }
            Self::Probe { tid, token, addr } => {
                let mut writer = Writer::new(out, "probe");
                writer.text("tid", tid.as_str());
                writer.text("token", token.text());
                writer.addr("addr", *addr);
                writer.end_padded(V2_PADDED_BYTES);
            }
        }
    }
}

impl Register {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out, "register");
        writer.text("tid", self.tid.as_str());
        if let Some(token) = self.token {
            writer.text("token", token.text());
        }
        if let Some(id) = self.id {
            writer.text("id", id.to_string());
        }
        if !self.lan.is_empty() {
            writer.list("lan", self.lan.as_slice().iter().map(|addr| (*addr, None)));
        }
        if let Some(sig) = self.sig {
            writer.text("sig", sig.to_string());
        }
        if self.token.is_none() {
            writer.end_padded(V2_PADDED_BYTES);
        } else {
            writer.end();
        }
    }
}

impl Connect {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out, "connect");
        writer.text("tid", self.tid.as_str());
        writer.text("token", self.token.text());
        match self.target {
            Target::Id(id) => writer.text("target_id", id.to_string()),
            Target::Ip(ip) => writer.text("target_ip", ip.to_string()),
            Target::Addr(addr) => {
                writer.text("target_ip", addr.ip().to_string());
                writer.number("target_port", u32::from(addr.port()));
            }
        }
        writer.end();
    }
}

impl Verdict {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out, "result");
        writer.text("pair", self.pair.text());
        writer.truth("ok", self.reached.is_some());
        if let Some((via, ms)) = self.reached {
            writer.text("via", via.as_str());
            writer.number("ms", ms);
        }
        writer.end();
    }
}
