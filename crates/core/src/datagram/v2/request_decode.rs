use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Connect, LanAddrs, Register, Request, Target, Tid, VERSION, Verdict};
use crate::Peer;
use crate::limits::V2_DATAGRAM_MAX_BYTES;

/// What the server reads in a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation for each datagram")]
pub enum Decoded {
    /// It is not of version 2.
    Other,
    /// It is larger than [`V2_DATAGRAM_MAX_BYTES`].
    TooBig(Option<Tid>),
    /// A field is missing or not of its form, or the type is none.
    Bad(Option<Tid>),
    /// It is something that a server says, and no client.
    ServersWord,
    /// A request.
    Request(Request),
}

impl Request {
    /// Reads one datagram.
    ///
    /// Keys and texts are written without escapes, as none needs them. Of version 2 is what has the key `v` once and the
    /// number 2 with it. Unknown keys are skipped, whatever they hold.
    pub fn decode(datagram: &[u8]) -> Decoded {
        // Most of what is not of version 2 is told apart without being read.
        if memchr::memmem::find(datagram, br#""v""#).is_none() {
            return Decoded::Other;
        }
        if datagram.len() <= V2_DATAGRAM_MAX_BYTES
            && let Ok(fields) = Fields::of(datagram)
        {
            return if fields.v == Some(u64::from(VERSION)) { fields.read() } else { Decoded::Other };
        }
        let Ok(Version { v: Some(v) }) = serde_json::from_slice(datagram) else { return Decoded::Other };
        if v.get().parse() != Ok(VERSION) {
            return Decoded::Other;
        }
        let tid = serde_json::from_slice::<Name<'_>>(datagram).ok().and_then(|name| name.tid?.parse().ok());
        if datagram.len() > V2_DATAGRAM_MAX_BYTES { Decoded::TooBig(tid) } else { Decoded::Bad(tid) }
    }
}

/// Enough to tell whether an object is of version 2.
#[derive(Deserialize)]
struct Version<'a> {
    #[serde(borrow)]
    v: Option<&'a RawValue>,
}

/// Enough to tell what an object is called.
#[derive(Deserialize)]
struct Name<'a> {
    tid: Option<&'a str>,
}

/// Every key that a request may have.
#[derive(Deserialize)]
struct Fields<'a> {
    v: Option<u64>,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    tid: Option<&'a str>,
    token: Option<&'a str>,
    id: Option<&'a str>,
    sig: Option<&'a str>,
    lan: Option<Lan>,
    target_id: Option<&'a str>,
    target_ip: Option<&'a str>,
    target_port: Option<u16>,
    #[serde(borrow)]
    addr: Option<Pair<'a>>,
    pair: Option<&'a str>,
    ok: Option<bool>,
    via: Option<&'a str>,
    ms: Option<u32>,
}

impl<'a> Fields<'a> {
    fn of(datagram: &'a [u8]) -> serde_json::Result<Self> {
        // To see at once that all of it is UTF-8 costs less than to see it of each text in it. What is skipped may be
        // anything.
        match std::str::from_utf8(datagram) {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(datagram),
        }
    }

    fn read(&self) -> Decoded {
        let request = match self.kind {
            Some("register") => self.register().map(Request::Register),
            Some("connect") => self.connect().map(Request::Connect),
            Some("ack") => needed(self.pair).map(|pair| Request::Ack { pair }),
            Some("result") => self.verdict().map(Request::Result),
            Some("unregister") => self.unregister(),
            Some("probe") => self.probe(),
            Some("error" | "your_addr" | "peer" | "nat" | "unregistered" | "move") => {
                return Decoded::ServersWord;
            }
            _ => None,
        };
        let tid = || self.tid.and_then(|tid| tid.parse().ok());
        request.map_or_else(|| Decoded::Bad(tid()), Decoded::Request)
    }

    fn register(&self) -> Option<Register> {
        let (token, id) = (optional(self.token).ok()?, optional(self.id).ok()?);
        let sig = optional(self.sig).ok()?;
        // A signature of nobody, or over nothing.
        if sig.is_some() && (id.is_none() || token.is_none()) {
            return None;
        }
        let lan = self.lan.as_ref().map_or(LanAddrs::EMPTY, |lan| lan.0);
        Some(Register { tid: needed(self.tid)?, token, id, sig, lan })
    }

    fn connect(&self) -> Option<Connect> {
        let target = match (self.target_id, self.target_ip, self.target_port) {
            (Some(id), None, None) => Target::Id(id.parse().ok()?),
            (None, Some(ip), None) => Target::Ip(ip.parse::<Peer>().ok()?.ip()),
            (None, Some(ip), Some(port)) => {
                Target::Addr(SocketAddr::new(ip.parse::<Peer>().ok()?.ip(), port))
            }
            _ => return None,
        };
        Some(Connect { tid: needed(self.tid)?, token: needed(self.token)?, target })
    }

    fn verdict(&self) -> Option<Verdict> {
        let reached = if self.ok? { Some((needed(self.via)?, self.ms?)) } else { None };
        Some(Verdict { pair: needed(self.pair)?, reached })
    }

    fn unregister(&self) -> Option<Request> {
        Some(Request::Unregister { tid: needed(self.tid)?, token: needed(self.token)? })
    }

    fn probe(&self) -> Option<Request> {
        let addr = self.addr.as_ref()?.addr()?;
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        Some(Request::Probe { tid: needed(self.tid)?, token: needed(self.token)?, addr })
    }
}

fn needed<T: FromStr>(text: Option<&str>) -> Option<T> {
    text?.parse().ok()
}

/// An error where it is there and not of its form.
fn optional<T: FromStr>(text: Option<&str>) -> Result<Option<T>, T::Err> {
    text.map(str::parse).transpose()
}

/// `["203.0.113.21",41001]`.
#[derive(Deserialize)]
pub(super) struct Pair<'a>(pub(super) &'a str, pub(super) u16);

impl Pair<'_> {
    pub(super) fn addr(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.0.parse::<IpAddr>().ok()?, self.1))
    }
}

/// A list of at most as many addresses as there is room for.
struct Lan(LanAddrs);

impl<'de> Deserialize<'de> for Lan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LanVisitor;

        impl<'de> Visitor<'de> for LanVisitor {
            type Value = Lan;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of addresses")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Lan, A::Error> {
                let mut addrs = LanAddrs::EMPTY;
                while let Some(pair) = seq.next_element::<Pair<'_>>()? {
                    let addr = pair.addr().ok_or_else(|| A::Error::custom("no address"))?;
                    if !addrs.push(addr) {
                        while seq.next_element::<IgnoredAny>()?.is_some() {}
                        return Err(A::Error::custom("too many addresses"));
                    }
                }
                Ok(Lan(addrs))
            }
        }

        deserializer.deserialize_seq(LanVisitor)
    }
}
