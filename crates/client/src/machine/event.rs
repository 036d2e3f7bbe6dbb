use std::net::SocketAddr;
use std::time::Duration;

use peer_core::PeerId;
use peer_core::datagram::v2::{NatKind, Path};

use crate::error::{BindError, ConnectError};

/// A socket of this peer. The main one is there from the start; others are made when something is first sent by them, and
/// have a port that no other one had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub(super) u32);

impl SocketId {
    /// The one that the peer is registered from.
    pub const MAIN: Self = Self(0);

    /// Its number: 0 for the main one, and counted upwards from there.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// A call of [`super::Machine::connect`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

/// A way to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(pub(super) u64);

/// A datagram to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// By which socket.
    pub socket: SocketId,
    /// Where to.
    pub to: SocketAddr,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Whose a datagram is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The machine's own.
    Ours,
    /// What the peer of this path has to say.
    Path(PathId),
    /// Of somebody that there is no path to.
    Stranger,
}

/// How a peer stands with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The address that the server sees; unspecified before it has said so.
    pub address: SocketAddr,
    /// The kind of NAT in front of the peer.
    pub nat: NatKind,
    /// Whether the server keeps the peer. False before it first says so, and once it was not heard for several seconds.
    pub registered: bool,
    /// Whether the server speaks the legacy contract only: it has no ids and tells of no kind of NAT.
    pub legacy: bool,
}

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// It stands otherwise with the server than before.
    Standing(Standing),
    /// It is registered, and the kind of its NAT is known as far as it will be. Comes once.
    Ready,
    /// It could not be registered. What can still come of it does.
    Unavailable(BindError),
    /// A way to a peer is open.
    Connected(Connected),
    /// A request was not met.
    Failed {
        /// Which.
        request: RequestId,
        /// Why.
        error: ConnectError,
    },
    /// A peer asked for this one, and neither NAT can be punched.
    Unpunchable {
        /// The peer as the server sees it.
        peer: SocketAddr,
    },
    /// A path has ended: the peer left or was not heard for a minute.
    PathClosed(PathId),
    /// A socket is not needed any more.
    SocketClosed(SocketId),
    /// All was done that [`super::Machine::close`] asks for.
    Closed,
}

/// See [`Event::Connected`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connected {
    /// The path. It may be one that is open already, where both peers asked for each other.
    pub path: PathId,
    /// The request that this meets; `None` where the other peer asked.
    pub request: Option<RequestId>,
    /// Where datagrams to the peer go.
    pub peer: SocketAddr,
    /// By which socket.
    pub socket: SocketId,
    /// The id of the peer, which the server has verified.
    pub id: Option<PeerId>,
    /// By which of its addresses the peer is reached.
    pub via: Path,
    /// From the request, or from the server's word that somebody connects, until now.
    pub took: Duration,
}
