use peer_core::keys::{CHANGE_MS, Expiry};
use peer_core::limits::{HOME_MS, NODE_MS, REPORT_SECS, WITHHELD_WAIT_MAX_SECS};

use crate::PeerTtl;

/// What an index outlives a peer by, beyond twice its time to live, in ms.
const INDEX_SLACK_MS: u64 = 60_000;
/// Longest time for which a sign of life need not be taken note of again, in ms.
const TOUCH_MAX_MS: u64 = 10_000;
/// Which part of its time to live that is at most, as a divisor.
const TOUCH_PART: u64 = 16;

/// The expiries of keys in ms, as Redis and the scripts want them; 0 is never.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ttls {
    ttl: PeerTtl,
}

impl Ttls {
    pub(super) fn new(ttl: PeerTtl) -> Self {
        Self { ttl }
    }

    pub(super) fn of(self, expiry: Expiry) -> u64 {
        let peer_ms = self.ttl.as_ms();
        match expiry {
            Expiry::Index if peer_ms > 0 => peer_ms.saturating_mul(2).saturating_add(INDEX_SLACK_MS),
            Expiry::Peer => peer_ms,
            Expiry::Index | Expiry::Never => 0,
            Expiry::Report => REPORT_SECS * 1_000,
            Expiry::Change => CHANGE_MS,
            Expiry::Home => HOME_MS,
            Expiry::Nodes => 10 * NODE_MS,
            Expiry::Strikes => WITHHELD_WAIT_MAX_SECS * 1_000,
        }
    }

    /// Whether all peers die at some time.
    pub(super) fn peers_die(self) -> bool {
        self.ttl.as_ms() > 0
    }

    /// How long a peer lives after a sign of life, in ms, that asked for `asked_ms`; 0 is for ever.
    pub(super) fn life_ms(self, asked_ms: Option<u64>) -> u64 {
        self.ttl.of_peer_ms(asked_ms.and_then(|asked_ms| u32::try_from(asked_ms / 1_000).ok()))
    }

    /// How long a peer that lives for `life_ms` need not be heard again, in ms.
    pub(super) fn touch_ms(life_ms: u64) -> u64 {
        if life_ms == 0 { TOUCH_MAX_MS } else { TOUCH_MAX_MS.min(life_ms / TOUCH_PART) }
    }
}
