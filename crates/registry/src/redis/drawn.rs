//! What is kept of a hot file: peers of it, drawn once for many who ask.

use peer_core::{Owner, Peer};

/// Peers that are drawn of a hot file, in peers: one that has more is answered from a sample of so many, another one each time
/// that it is renewed.
pub(super) const HOT_DRAW: usize = 256;

/// Peers of a file that live, in an order of chance.
#[derive(Debug, Default)]
pub(super) struct HotPeers {
    pub(super) peers: Vec<HotPeer>,
    /// Up to how many one who reads for itself would find no more than these.
    pub(super) complete_to: usize,
    /// Whether some have keys, so that several may be at one address.
    pub(super) keyed: bool,
}

impl HotPeers {
    /// In whatever order they were read.
    pub(super) fn new(mut peers: Vec<HotPeer>, complete_to: usize) -> Self {
        // Redis gives few of them in order.
        fastrand::shuffle(&mut peers);
        let keyed = peers.iter().any(|peer| peer.owner.id().is_some());
        Self { peers, complete_to, keyed }
    }

    /// All of them, from any of them on.
    pub(super) fn rotated(&self) -> impl Iterator<Item = &HotPeer> {
        let start = fastrand::usize(..self.peers.len().max(1));
        let (before, from) = self.peers.split_at_checked(start).unwrap_or((&[], &self.peers));
        from.iter().chain(before)
    }
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HotPeer {
    pub(super) owner: Owner,
    pub(super) address: Peer,
    /// It lives until then for sure, in ms since 1970 by the clock of Redis.
    pub(super) until_ms: u64,
}
