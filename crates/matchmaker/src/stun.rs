//! The engine's answers to STUN: where it sees whoever asks (RFC 8489), and from which of our addresses it is to answer
//! (RFC 5780). Nothing is kept of it, and it is no sign of life of a registration.

use std::net::{IpAddr, SocketAddr};

use peer_core::stun::{Change, Discovery, Ignored, Request, Success};

use crate::endpoints::Endpoints;
use crate::outbox::{Outbox, Via};
use crate::{Arrival, Engine, Outcome};

/// What SOFTWARE says where it is switched on.
const SOFTWARE: &str = concat!("peer-browser matchmaker ", env!("CARGO_PKG_VERSION"));

/// Most pairs of [`StunSettings::pairs`]: they are looked through for every request.
pub const STUN_PAIRS_MAX: usize = 8;

/// How STUN is answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StunSettings {
    /// Whether answers name this program and its version.
    pub software: bool,
    /// Pairs of addresses of this host, both of one family, each being the other address of the other for RFC 5780.
    pub pairs: Vec<(IpAddr, IpAddr)>,
}

/// A pair that cannot be used. Says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPair(String);

impl std::fmt::Display for BadPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// [`StunSettings`] on the sockets that there are.
#[derive(Debug)]
pub(crate) struct Stun {
    software: Option<&'static str>,
    /// The four places of each pair.
    asked: Vec<Asked>,
}

/// One of our addresses and ports, with the socket that serves it.
#[derive(Debug, Clone, Copy)]
struct Place {
    addr: SocketAddr,
    socket: u8,
}

/// A place that can be asked, and the others of its pair.
#[derive(Debug)]
struct Asked {
    here: Place,
    other_port: Place,
    other_ip: Place,
    other_both: Place,
}

impl Stun {
    /// An error where a pair lacks one of its four places, or where its two addresses have different ports: the answers
    /// would then lead to conclusions about a NAT that are wrong (RFC 5780 section 6).
    pub(crate) fn new(settings: &StunSettings, endpoints: &Endpoints) -> Result<Self, BadPair> {
        let mut asked = Vec::new();
        for (first, second) in &settings.pairs {
            let place = |ip: IpAddr, is_alt: bool| {
                let (socket, port) = endpoints.serving(ip, is_alt).ok_or_else(|| {
                    let port = if is_alt { "the alternate port" } else { "a main port" };
                    BadPair(format!("no socket serves {ip} on {port}"))
                })?;
                Ok(Place { addr: SocketAddr::new(ip, port), socket })
            };
            let (main, alt) = (place(*first, false)?, place(*first, true)?);
            let (other_main, other_alt) = (place(*second, false)?, place(*second, true)?);
            if (main.addr.port(), alt.addr.port()) != (other_main.addr.port(), other_alt.addr.port()) {
                return Err(BadPair(format!("{first} and {second} do not have the same two ports")));
            }
            let corner =
                |here, other_port, other_ip, other_both| Asked { here, other_port, other_ip, other_both };
            asked.extend([
                corner(main, alt, other_main, other_alt),
                corner(alt, main, other_alt, other_main),
                corner(other_main, other_alt, main, alt),
                corner(other_alt, other_main, alt, main),
            ]);
        }
        Ok(Self { software: settings.software.then_some(SOFTWARE), asked })
    }

    fn asked(&self, addr: SocketAddr) -> Option<&Asked> {
        self.asked.iter().find(|asked| asked.here.addr == addr)
    }
}

impl Asked {
    /// From where to answer (RFC 5780 section 6.1).
    fn origin(&self, change: Change) -> Place {
        match (change.ip, change.port) {
            (false, false) => self.here,
            (false, true) => self.other_port,
            (true, false) => self.other_ip,
            (true, true) => self.other_both,
        }
    }
}

impl Engine {
    /// Takes one STUN message, sent by `from`.
    ///
    /// A source is answered within its rate, and registered or not it gets no more bytes than it sent, but for the
    /// burst: a forged one is not made to receive more than that. A request of the shortest form costs 12 bytes of it on
    /// IPv4 and 24 on IPv6, 48 and 96 where there is a second address. Once it is used up, what was sent in vain
    /// still counts, so that a client which repeats its request, as each does up to six times, is answered.
    pub(crate) fn answer_stun(
        &self,
        stun: &Stun,
        now_us: u64,
        arrival: &Arrival,
        from: SocketAddr,
        datagram: &[u8],
        out: &mut Outbox,
    ) -> Outcome {
        let request = match Request::decode(datagram) {
            Ok(request) => request,
            Err(Ignored::NotARequest) => return Outcome::StunIgnored,
            Err(Ignored::Malformed) => return Outcome::StunMalformed,
        };
        let asked = self.endpoints().asked(arrival).filter(|_| !stun.asked.is_empty());
        let asked = asked.and_then(|addr| stun.asked(addr));
        // Clients of RFC 3489 always send it, mostly to ask for nothing.
        let asks_in_vain = |change: Change| asked.is_none() && (change.is_any() || !request.is_classic());
        let is_refused = request.has_unknown() || request.change().is_some_and(asks_in_vain);
        let mut via = Via { socket: arrival.socket, local: arrival.local };
        let (queued, start) = (out.len(), out.bytes_len());
        if is_refused {
            out.push_with(arrival.from, via, |bytes| request.refuse(asked.is_some(), bytes));
        } else {
            let change = request.change().filter(|change| change.is_any());
            let discovery = asked.map(|asked| {
                let origin = change.map_or(asked.here, |change| asked.origin(change));
                if change.is_some() {
                    via = Via { socket: origin.socket, local: Some(origin.addr.ip()) };
                }
                Discovery { origin: origin.addr, other: asked.other_both.addr }
            });
            let success = Success { mapped: from, discovery, software: stun.software };
            out.push_with(arrival.from, via, |bytes| request.succeed(&success, bytes));
        }
        if !self.may_send(now_us, from.ip(), datagram.len(), out.bytes_len() - start) {
            out.truncate(queued, start);
            return Outcome::StunLimit;
        }
        if is_refused { Outcome::StunRefused } else { Outcome::StunAnswered }
    }
}

#[cfg(test)]
#[path = "stun_tests.rs"]
mod tests;
