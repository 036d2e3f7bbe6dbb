use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::NodeOutcome;

/// Every outcome with its label.
const OUTCOMES: [(NodeOutcome, &str); 13] = [
    (NodeOutcome::Told, "told"),
    (NodeOutcome::Refused, "refused"),
    (NodeOutcome::Matched, "matched"),
    (NodeOutcome::NotFound, "not_found"),
    (NodeOutcome::Unreachable, "unreachable"),
    (NodeOutcome::Declined, "declined"),
    (NodeOutcome::Next, "next"),
    (NodeOutcome::Moved, "moved"),
    (NodeOutcome::Stray, "stray"),
    (NodeOutcome::TooLong, "too_long"),
    (NodeOutcome::OtherVersion, "other_version"),
    (NodeOutcome::Malformed, "malformed"),
    (NodeOutcome::Flood, "flood"),
];

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: OutcomeName,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq)]
struct OutcomeName(&'static str);

impl EncodeLabelValue for OutcomeName {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        std::fmt::Write::write_str(encoder, self.0)
    }
}

/// What a node counts of the others.
#[derive(Debug)]
pub(crate) struct NodeMetrics {
    outcomes: Vec<Counter>,
    pub(crate) linked: Gauge,
    pub(crate) others: Gauge,
    pub(crate) presences: Counter,
    pub(crate) refused: Counter,
    pub(crate) dropped: Counter,
    pub(crate) moved: Gauge,
}

impl NodeMetrics {
    /// Makes them and puts them into `registry`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let family = Family::<OutcomeLabel, Counter<u64, AtomicU64>>::default();
        registry.register(
            "matchmaker_node_outcomes",
            "Asks for peers of other nodes and messages of these, by what became of them",
            family.clone(),
        );
        let outcome = |(_, name): &(_, &'static str)| {
            family.get_or_create(&OutcomeLabel { outcome: OutcomeName(name) }).clone()
        };
        let metrics = Self {
            outcomes: OUTCOMES.iter().map(outcome).collect(),
            linked: Gauge::default(),
            others: Gauge::default(),
            presences: Counter::default(),
            refused: Counter::default(),
            dropped: Counter::default(),
            moved: Gauge::default(),
        };
        registry.register(
            "matchmaker_node_linked",
            "Whether Redis answers, so that other nodes can be asked: 1 or 0",
            metrics.linked.clone(),
        );
        registry.register("matchmaker_node_others", "Other nodes that are known now", metrics.others.clone());
        registry.register(
            "matchmaker_node_presences",
            "Peers that Redis was told of, each time",
            metrics.presences.clone(),
        );
        registry.register(
            "matchmaker_node_refused_writes",
            "Writes that Redis refused, as when it is full; each is of up to 256 peers",
            metrics.refused.clone(),
        );
        registry.register(
            "matchmaker_node_dropped_events",
            "Asks, answers and arrivals for which there was no room in the queue, or no Redis; arrivals are said again",
            metrics.dropped.clone(),
        );
        registry.register(
            "matchmaker_node_leaving",
            "Whether peers are told to move to other nodes, since this one ends: 1 or 0",
            metrics.moved.clone(),
        );
        metrics
    }

    pub(crate) fn count(&self, outcome: Option<NodeOutcome>) {
        // The enum's own order, which a test holds against that of OUTCOMES.
        if let Some(counter) = outcome.and_then(|outcome| self.outcomes.get(outcome as usize)) {
            counter.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_counted_under_its_name() {
        for (index, (outcome, _)) in OUTCOMES.iter().enumerate() {
            assert_eq!(*outcome as usize, index);
        }
    }
}
