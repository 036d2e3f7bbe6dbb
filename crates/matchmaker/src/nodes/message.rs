//! What matchmakers tell each other; `codec` has it as bytes.

use std::net::{IpAddr, SocketAddr};

use peer_core::datagram::v2::{LanAddrs, NatKind, PairId, PunchKey, Target};
use peer_core::{NodeId, PeerId};

/// Longest way between two nodes that is believed, in us.
pub(crate) const RELAY_MAX_US: u32 = 1_000_000;

/// Why a message is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadMessage {
    /// More than [`peer_core::limits::NODE_MESSAGE_MAX_BYTES`].
    TooLong,
    /// Of a version that is not ours.
    OtherVersion,
    /// Of no form that there is.
    Malformed,
}

/// A message from one node to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    /// A peer here asks for one that is there.
    Ask(Ask),
    /// What came of an ask.
    Answer(Answer),
    /// A peer that was there is here now.
    Moved(Moved),
}

/// See [`Message::Ask`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ask {
    /// Who is to be answered.
    pub(crate) from: NodeId,
    /// The number of the pair to come, and so of this ask.
    pub(crate) pair: PairId,
    /// What both sides are to know each other by.
    pub(crate) key: PunchKey,
    /// Who asks.
    pub(crate) asker: Side,
    /// Whether it is registered: a stranger's legacy connect may be forged.
    pub(crate) registered: bool,
    /// How long this message is on its way, as far as that is known, in us.
    pub(crate) relay_us: u32,
    /// Whom it asks for.
    pub(crate) target: Target,
}

/// See [`Message::Answer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The number of the ask.
    pub(crate) pair: PairId,
    /// What came of it.
    pub(crate) verdict: Verdict,
}

/// What became of an ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most are of the large kind, and none is kept")]
pub(crate) enum Verdict {
    /// The target was told.
    Told {
        /// Who it is.
        target: Side,
        /// When both are to begin, in us from when this was sent.
        start_in_us: u32,
    },
    /// It is not there.
    NotFound,
    /// Several are.
    Ambiguous,
    /// It is asked for more often than it may be.
    Rate,
}

/// See [`Message::Moved`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    /// The holder of an id, in one family of addresses.
    Id {
        /// Which.
        id: PeerId,
        /// Which family.
        is_v4: bool,
    },
    /// The peer of version 2 at an address and port.
    Addr(SocketAddr),
    /// The legacy peer of an address.
    Legacy(IpAddr),
}

/// One side of a pair, as the node that hears it knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Side {
    /// Where it is.
    pub(crate) addr: SocketAddr,
    /// Whether it speaks version 2.
    pub(crate) is_v2: bool,
    pub(crate) id: Option<PeerId>,
    pub(crate) lan: LanAddrs,
    pub(crate) nat: NatKind,
    /// Its round trip, in ms.
    pub(crate) rtt_ms: Option<u16>,
    /// Whether it was silent for long.
    pub(crate) cold: bool,
}
