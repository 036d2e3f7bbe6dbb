//! How one subject of reports stands.

use peer_core::Network;
use peer_core::limits::{REPORT_SECS, REPORTERS_TO_WITHHOLD, WITHHELD_WAIT_MAX_SECS, WITHHELD_WAIT_SECS};

const REPORT_MS: u64 = REPORT_SECS * 1_000;
/// How long the times that a subject was withheld are remembered after the last, in ms.
const STRIKES_MS: u64 = WITHHELD_WAIT_MAX_SECS * 1_000;

/// A heartbeat of the subject's owner.
#[derive(Debug, Clone, Copy)]
pub(super) struct Returned {
    /// Tells the order of what happens in one millisecond.
    pub(super) event: u64,
    pub(super) at_ms: u64,
}

#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Networks that reported it within [`REPORT_MS`], fewer than withhold it, with the time in ms.
    reporters: Vec<(Network, u64)>,
    last_report_ms: u64,
    /// How often it was withheld.
    strikes: u32,
    last_withheld_ms: u64,
    withheld: Option<Withheld>,
}

#[derive(Debug, Clone, Copy)]
struct Withheld {
    event: u64,
    /// From when on it can come back.
    until_ms: u64,
}

impl Standing {
    /// Counts a report. Nothing changes for a subject that is withheld.
    pub(super) fn report(&mut self, reporter: Network, decisive: bool, event: u64, now_ms: u64) {
        self.last_report_ms = now_ms;
        if self.withheld.is_some() {
            return;
        }
        self.reporters.retain(|(network, at_ms)| *network != reporter && now_ms < at_ms + REPORT_MS);
        self.reporters.push((reporter, now_ms));
        if self.reporters.len() < REPORTERS_TO_WITHHOLD && !decisive {
            return;
        }
        self.reporters = Vec::new();
        if now_ms >= self.last_withheld_ms + STRIKES_MS {
            self.strikes = 0;
        }
        self.strikes += 1;
        self.last_withheld_ms = now_ms;
        self.withheld = Some(Withheld { event, until_ms: now_ms + wait_ms(self.strikes) });
    }

    /// Makes good for a heartbeat that came meanwhile.
    pub(super) fn settle(&mut self, returned: Option<Returned>) {
        if self.withheld.is_some() && !self.is_withheld(returned) {
            self.withheld = None;
        }
    }

    /// Whether nobody gets to see it.
    pub(super) fn is_withheld(&self, returned: Option<Returned>) -> bool {
        self.withheld.is_some_and(|withheld| {
            !returned.is_some_and(|back| back.event > withheld.event && back.at_ms >= withheld.until_ms)
        })
    }

    /// Whether it was withheld when it was last settled.
    pub(super) fn is_withheld_since_last_look(&self) -> bool {
        self.withheld.is_some()
    }

    /// It was published: brings it back, or gives how long it still has to wait, in ms.
    pub(super) fn come_back(&mut self, now_ms: u64) -> Option<u64> {
        let wait_ms = self.withheld?.until_ms.saturating_sub(now_ms);
        if wait_ms == 0 {
            self.withheld = None;
            return None;
        }
        Some(wait_ms)
    }

    /// When nothing of it matters any more, if nothing else happens and it is not withheld.
    pub(super) fn forget_at_ms(&self, now_ms: u64) -> u64 {
        let strikes_ms = if self.strikes == 0 { 0 } else { self.last_withheld_ms + STRIKES_MS };
        strikes_ms.max(self.last_report_ms + REPORT_MS).max(now_ms)
    }
}

/// How long a subject waits that is withheld for the `strikes`-th time, in ms.
fn wait_ms(strikes: u32) -> u64 {
    let Some(doublings) = strikes.checked_sub(2) else { return 0 };
    let secs = 2_u64.saturating_pow(doublings).saturating_mul(WITHHELD_WAIT_SECS);
    secs.min(WITHHELD_WAIT_MAX_SECS) * 1_000
}
