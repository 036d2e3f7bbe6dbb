//! What a fleet asks of Redis by sums alone: what the plan reckons with. The tests hold it against the simulation.

use peer_core::limits::{HOME_RENEW_MS, NODE_MS};

use super::cost::Costs;
use crate::figures::float;

/// Rates a second, when all peers have come and nobody goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Expected {
    pub heard: f64,
    pub beats: f64,
    pub finds: f64,
    pub messages: f64,
}

impl Expected {
    /// Of so many nodes, where each peer is heard in `homes` ways.
    pub(crate) fn of(nodes: f64, peers: f64, homes: f64, connects_per_second: f64) -> Self {
        // The share of peers that are at another node than whoever asks for them.
        let elsewhere = if nodes > 1.0 { 1.0 - 1.0 / nodes } else { 0.0 };
        Self {
            heard: peers * homes * 1e3 / float(HOME_RENEW_MS),
            beats: nodes * 5e3 / float(NODE_MS),
            finds: connects_per_second * elsewhere,
            messages: 2.0 * connects_per_second * elsewhere,
        }
    }

    /// CPU time that a second of it takes of Redis beside so many nodes, in seconds.
    pub(crate) fn core_share(&self, costs: &Costs, nodes: f64) -> f64 {
        let us = self.heard * costs.heard_known.redis_us
            + self.beats * costs.beat_us(nodes)
            + self.finds * costs.find.redis_us
            + self.messages * costs.message.redis_us;
        us / 1e6
    }

    /// Of it, the beats.
    pub(crate) fn beats_alone(&self) -> Self {
        Self { beats: self.beats, heard: 0.0, finds: 0.0, messages: 0.0 }
    }
}
