use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::Outcome;

/// Every outcome with its label.
const OUTCOMES: [(Outcome, &str); 9] = [
    (Outcome::Registered, "registered"),
    (Outcome::Matched, "matched"),
    (Outcome::NotFound, "not_found"),
    (Outcome::MissingTarget, "missing_target"),
    (Outcome::UnknownType, "unknown_type"),
    (Outcome::TooLarge, "too_large"),
    (Outcome::Malformed, "malformed"),
    (Outcome::BogusSource, "bogus_source"),
    (Outcome::Echo, "echo"),
];

/// Those that get no answer.
fn is_drop(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::TooLarge | Outcome::Malformed | Outcome::BogusSource | Outcome::Echo)
}

/// What the matchmaker counts. Counters are looked up once, so that a datagram costs one addition.
#[derive(Debug)]
pub(crate) struct Metrics {
    datagrams: Vec<(Outcome, &'static str, Counter)>,
    /// Datagrams that the kernel took from us.
    pub(crate) sent: Counter,
    /// Datagrams that it did not take.
    pub(crate) send_failures: Counter,
    /// Registrations that are kept.
    pub(crate) registrations: Gauge,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: OutcomeName,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq)]
struct OutcomeName(&'static str);

impl EncodeLabelValue for OutcomeName {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder,
    ) -> Result<(), std::fmt::Error> {
        encoder.write_str(self.0)
    }
}

impl Metrics {
    /// Makes them and puts them into `registry`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let family = Family::<OutcomeLabel, Counter<u64, AtomicU64>>::default();
        registry.register(
            "matchmaker_datagrams",
            "Datagrams received, by what became of them",
            family.clone(),
        );
        let datagrams = OUTCOMES
            .iter()
            .map(|(outcome, name)| {
                (*outcome, *name, family.get_or_create(&OutcomeLabel { outcome: OutcomeName(name) }).clone())
            })
            .collect();
        let metrics = Self {
            datagrams,
            sent: Counter::default(),
            send_failures: Counter::default(),
            registrations: Gauge::default(),
        };
        registry.register("matchmaker_sent", "Datagrams sent", metrics.sent.clone());
        registry.register(
            "matchmaker_send_failures",
            "Datagrams that the kernel did not take: no route, a full send buffer, a firewall",
            metrics.send_failures.clone(),
        );
        registry.register(
            "matchmaker_registrations",
            "Registrations kept now",
            metrics.registrations.clone(),
        );
        metrics
    }

    pub(crate) fn datagram(&self, outcome: Outcome) {
        if let Some((_, _, counter)) = self.datagrams.iter().find(|(other, _, _)| *other == outcome) {
            counter.inc();
        }
    }

    /// Everything that was dropped so far, by reason, for the log: `None` while it is what `last` was.
    pub(crate) fn drops_since(&self, last: &mut u64) -> Option<String> {
        let drops =
            self.datagrams.iter().filter(|(outcome, _, counter)| is_drop(*outcome) && counter.get() > 0);
        let mut text = String::new();
        let mut total = self.send_failures.get();
        for (_, name, counter) in drops {
            total += counter.get();
            let _ = write!(text, "{name}={} ", counter.get());
        }
        let changed = total != *last;
        *last = total;
        changed.then(|| format!("{text}send_failures={}", self.send_failures.get()))
    }
}
