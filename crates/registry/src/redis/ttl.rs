use peer_core::keys::Expiry;

use crate::PeerTtl;

/// What an index outlives a peer by, beyond twice its time to live, in ms.
const INDEX_SLACK_MS: u64 = 60_000;

/// The expiries of keys in ms, as Redis and the scripts want them; 0 is never.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ttls {
    peer_ms: u64,
}

impl Ttls {
    pub(super) fn new(ttl: PeerTtl) -> Self {
        Self { peer_ms: ttl.as_ms() }
    }

    pub(super) fn of(self, expiry: Expiry) -> u64 {
        match expiry {
            Expiry::Index if self.peer_ms > 0 => {
                self.peer_ms.saturating_mul(2).saturating_add(INDEX_SLACK_MS)
            }
            Expiry::Peer => self.peer_ms,
            Expiry::Index | Expiry::Never => 0,
        }
    }

    /// Whether peers die at all.
    pub(super) fn peers_die(self) -> bool {
        self.peer_ms > 0
    }
}
