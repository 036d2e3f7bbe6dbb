use std::io;

use peer_core::datagram::v2::ErrorCode;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The socket could not be made, or the random source of the operating system failed.
    #[error("no socket: {0}")]
    Io(#[from] io::Error),
    /// No answer of the server within eight seconds, or of any of several, each within two.
    #[error("the server does not answer")]
    Silent,
    /// The server does not want the registration.
    #[error("the server refuses the registration: {0}")]
    Refused(Refusal),
}

/// Why a peer was not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// No peer of this name is registered, or it is this one itself; or the server could not find out within ten seconds, since it
    /// cannot reach others.
    #[error("the target is not registered")]
    NotFound,
    /// Several peers are behind this IP address: name the port or the id.
    #[error("several peers have this address: name the port or the id")]
    Ambiguous,
    /// Both NATs give another port to every destination, so that neither can be punched. Only a relay would help.
    #[error("both NATs are hard: no punch can succeed")]
    BothHard,
    /// Three attempts, and nothing was heard of the peer.
    #[error("nothing was heard of the peer{}", if *.cold { ", which was silent for long" } else { "" })]
    NoPath {
        /// The server had not heard the peer for over 30 seconds: its NAT may have forgotten it, or it is gone.
        cold: bool,
    },
    /// The server does not answer.
    #[error("the server does not answer")]
    Silent,
    /// The server refuses.
    #[error("the server refuses: {0}")]
    Refused(Refusal),
    /// The server speaks the legacy contract only, which knows peers by their IP addresses.
    #[error("the server finds peers by their IP addresses only")]
    LegacyServer,
    /// 64 connects are under way already, or 1,024 paths are open.
    #[error("64 connects are under way already, or 1,024 paths are open")]
    Busy,
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

/// What a server says in place of doing what it was asked for, in the words of docs/PROTOCOL.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.as_str())]
pub struct Refusal(pub ErrorCode);
