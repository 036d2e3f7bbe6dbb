use std::net::{IpAddr, SocketAddr};

use peer_core::Peer;
use peer_core::datagram::{Malformed, Reply, Request};
use peer_core::limits::REGISTRATION_TTL_MS;

use crate::outbox::{Outbox, Via};
use crate::registrations::Registrations;

/// Expired registrations that one step takes away at most, so that it never makes a datagram wait.
const EXPIRE_AT_ONCE: usize = 1_000;

/// Where a datagram came from and how it reached us.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Its sender.
    pub from: SocketAddr,
    /// Which of our sockets received it.
    pub socket: u8,
    /// Which of our addresses it was sent to, where the kernel says.
    pub local: Option<IpAddr>,
    /// Which of our ports.
    pub local_port: u16,
}

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The sender is registered.
    Registered,
    /// The sender and its target were told of each other.
    Matched,
    /// The target is not registered.
    NotFound,
    /// A connect named no target.
    MissingTarget,
    /// An object of another type, or of none.
    UnknownType,
    /// Not answered: larger than a datagram may be.
    TooLarge,
    /// Not answered: not a JSON object as wanted.
    Malformed,
    /// Not answered: no peer can have this source.
    BogusSource,
    /// Not answered: an error message, such as another matchmaker sends. Two of them that complain to each other
    /// about complaints would never end, and a forged source is enough to start it.
    Echo,
}

/// The rendezvous: who is registered, and who is to be told of whom.
///
/// It does no I/O and has no clock. Time is handed in, in milliseconds from any start, and never runs backwards.
#[derive(Debug)]
pub struct Engine {
    registrations: Registrations,
}

impl Engine {
    /// With room for `max_clients` registrations.
    pub fn new(max_clients: u32) -> Self {
        Self { registrations: Registrations::new(max_clients, REGISTRATION_TTL_MS) }
    }

    /// Registrations that are kept, with some that expired just now.
    pub fn len(&self) -> usize {
        self.registrations.len()
    }

    /// Whether nobody is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes one datagram and puts the answers into `out`.
    pub fn handle(&mut self, now_ms: u64, arrival: Arrival, datagram: &[u8], out: &mut Outbox) -> Outcome {
        let from = canonical(arrival.from);
        if is_bogus(from, &arrival) {
            return Outcome::BogusSource;
        }
        let request = match Request::decode(datagram) {
            Ok(Request::Error) => return Outcome::Echo,
            Ok(request) => request,
            Err(Malformed::TooLarge) => return Outcome::TooLarge,
            Err(Malformed::NotARequest) => return Outcome::Malformed,
        };
        let via = Via { socket: arrival.socket, local: arrival.local };
        // Whatever it asks, a peer that asks is there, and there is where it asks from.
        self.registrations.touch(from, via, now_ms);
        match request {
            Request::Register => {
                self.registrations.register(from, via, now_ms);
                out.push(arrival.from, via, Reply::YourAddr(from));
                Outcome::Registered
            }
            Request::Connect { target } => self.connect(now_ms, arrival.from, via, &target, out),
            Request::ConnectWithoutTarget => {
                out.push(arrival.from, via, Reply::MissingTarget);
                Outcome::MissingTarget
            }
            Request::Unknown | Request::Error => {
                out.push(arrival.from, via, Reply::UnknownType);
                Outcome::UnknownType
            }
        }
    }

    /// Takes away what expired; bounded, to be called about once a second. Nothing that `handle` answers
    /// depends on it, memory does.
    pub fn tick(&mut self, now_ms: u64) {
        self.registrations.expire(EXPIRE_AT_ONCE, now_ms);
    }

    fn connect(
        &mut self,
        now_ms: u64,
        from: SocketAddr,
        via: Via,
        target: &str,
        out: &mut Outbox,
    ) -> Outcome {
        let found = target.parse::<Peer>().ok().and_then(|peer| self.registrations.find(peer.ip(), now_ms));
        let Some((target_addr, target_via)) = found else {
            out.push(from, via, Reply::NotFound { target });
            return Outcome::NotFound;
        };
        out.push(from, via, Reply::Peer(target_addr));
        out.push(target_addr, target_via, Reply::Peer(canonical(from)));
        Outcome::Matched
    }
}

fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// Port 0 cannot be answered, no host has a multicast or broadcast address, and what seems to come from ourselves
/// was forged to make us talk to ourselves.
fn is_bogus(from: SocketAddr, arrival: &Arrival) -> bool {
    let ourselves = arrival.local.map(|ip| SocketAddr::new(ip.to_canonical(), arrival.local_port));
    from.port() == 0 || Peer::new(from.ip()).is_err() || Some(from) == ourselves
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
