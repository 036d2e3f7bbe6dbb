use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;

use peer_core::datagram::v2::NatKind;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::Outcome;

/// Every outcome with its label.
const OUTCOMES: [(Outcome, &str); 47] = [
    (Outcome::Registered, "registered"),
    (Outcome::Matched, "matched"),
    (Outcome::NotFound, "not_found"),
    (Outcome::MissingTarget, "missing_target"),
    (Outcome::UnknownType, "unknown_type"),
    (Outcome::TableFull, "table_full"),
    (Outcome::TooLarge, "too_large"),
    (Outcome::Malformed, "malformed"),
    (Outcome::BogusSource, "bogus_source"),
    (Outcome::Echo, "echo"),
    (Outcome::LegacyOff, "legacy_off"),
    (Outcome::SourceLimit, "source_limit"),
    (Outcome::PairLimit, "pair_limit"),
    (Outcome::TargetLimit, "target_limit"),
    (Outcome::UnregisteredLimit, "unregistered_limit"),
    (Outcome::StunAnswered, "stun_answered"),
    (Outcome::StunRefused, "stun_refused"),
    (Outcome::StunIgnored, "stun_ignored"),
    (Outcome::StunMalformed, "stun_malformed"),
    (Outcome::StunLimit, "stun_limit"),
    (Outcome::V2Verify, "v2_verify"),
    (Outcome::V2Registered, "v2_registered"),
    (Outcome::V2Matched, "v2_matched"),
    (Outcome::V2Unpunchable, "v2_unpunchable"),
    (Outcome::V2Repeated, "v2_repeated"),
    (Outcome::V2NotFound, "v2_not_found"),
    (Outcome::V2Ambiguous, "v2_ambiguous"),
    (Outcome::V2Unregistered, "v2_unregistered"),
    (Outcome::V2Acked, "v2_acked"),
    (Outcome::V2Left, "v2_left"),
    (Outcome::V2Probed, "v2_probed"),
    (Outcome::V2ReachedLan, "v2_reached_lan"),
    (Outcome::V2ReachedMapped, "v2_reached_mapped"),
    (Outcome::V2ReachedObserved, "v2_reached_observed"),
    (Outcome::V2NotReached, "v2_not_reached"),
    (Outcome::V2Stray, "v2_stray"),
    (Outcome::V2BadRequest, "v2_bad_request"),
    (Outcome::V2TooSmall, "v2_too_small"),
    (Outcome::V2BadToken, "v2_bad_token"),
    (Outcome::V2BadSignature, "v2_bad_signature"),
    (Outcome::V2SignatureLimit, "v2_signature_limit"),
    (Outcome::V2PairLimit, "v2_pair_limit"),
    (Outcome::V2TargetLimit, "v2_target_limit"),
    (Outcome::V2Full, "v2_full"),
    (Outcome::Sought, "sought"),
    (Outcome::V2Sought, "v2_sought"),
    (Outcome::SeekLimit, "seek_limit"),
];

/// What a thread counts between two batches, so that the threads do not fight over the counters.
#[derive(Debug)]
pub(crate) struct Tally([u64; OUTCOMES.len()]);

impl Default for Tally {
    fn default() -> Self {
        Self([0; OUTCOMES.len()])
    }
}

impl Tally {
    pub(crate) fn count(&mut self, outcome: Outcome) {
        // The enum's own order, which a test holds against that of OUTCOMES.
        if let Some(count) = self.0.get_mut(outcome as usize) {
            *count += 1;
        }
    }
}

/// What the matchmaker counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// As in [`OUTCOMES`].
    datagrams: Vec<((Outcome, &'static str), Counter)>,
    /// Datagrams that the kernel took from us.
    pub(crate) sent: Counter,
    /// Datagrams that it did not take.
    pub(crate) send_failures: Counter,
    /// Registrations of legacy peers that are kept.
    pub(crate) registrations: Gauge,
    /// Those of peers of version 2.
    pub(crate) v2_registrations: Gauge,
    nats: Family<NatLabel, Gauge>,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct NatLabel {
    kind: &'static str,
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
                let label = OutcomeLabel { outcome: OutcomeName(name) };
                ((*outcome, *name), family.get_or_create(&label).clone())
            })
            .collect();
        let metrics = Self {
            datagrams,
            sent: Counter::default(),
            send_failures: Counter::default(),
            registrations: Gauge::default(),
            v2_registrations: Gauge::default(),
            nats: Family::default(),
        };
        registry.register("matchmaker_sent", "Datagrams sent", metrics.sent.clone());
        registry.register(
            "matchmaker_send_failures",
            "Datagrams that the kernel did not take: no route, a full send buffer, a firewall",
            metrics.send_failures.clone(),
        );
        registry.register(
            "matchmaker_registrations",
            "Registrations of legacy peers kept now",
            metrics.registrations.clone(),
        );
        registry.register(
            "matchmaker_v2_registrations",
            "Registrations of peers of version 2 kept now",
            metrics.v2_registrations.clone(),
        );
        registry.register(
            "matchmaker_v2_nats",
            "Registrations of peers of version 2 kept now, by kind of the peer's NAT",
            metrics.nats.clone(),
        );
        metrics
    }

    pub(crate) fn set_nats(&self, counts: impl IntoIterator<Item = (NatKind, usize)>) {
        for (kind, count) in counts {
            let gauge = self.nats.get_or_create(&NatLabel { kind: kind.as_str() });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Adds what a thread counted, and begins its count anew.
    pub(crate) fn add(&self, tally: &mut Tally) {
        for ((_, counter), count) in self.datagrams.iter().zip(&mut tally.0) {
            if *count > 0 {
                counter.inc_by(std::mem::take(count));
            }
        }
    }

    /// Everything that was dropped so far, by reason, for the log: `None` while it is what `last` was.
    pub(crate) fn drops_since(&self, last: &mut u64) -> Option<String> {
        let drops =
            self.datagrams.iter().filter(|((outcome, _), counter)| outcome.is_drop() && counter.get() > 0);
        let mut text = String::new();
        let mut total = self.send_failures.get();
        for ((_, name), counter) in drops {
            total += counter.get();
            let _ = write!(text, "{name}={} ", counter.get());
        }
        let changed = total != *last;
        *last = total;
        changed.then(|| format!("{text}send_failures={}", self.send_failures.get()))
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
        let metrics = Metrics::register(&mut Registry::default());
        let mut tally = Tally::default();
        tally.count(Outcome::Echo);
        tally.count(Outcome::Registered);
        metrics.add(&mut tally);
        metrics.add(&mut tally);
        let mut last = 0;
        assert_eq!(metrics.drops_since(&mut last), Some("echo=1 send_failures=0".to_owned()));
        assert_eq!(metrics.drops_since(&mut last), None);
    }
}
