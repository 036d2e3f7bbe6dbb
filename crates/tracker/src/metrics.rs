mod seconds;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::{Registry as MetricsRegistry, Unit};
use registry::Registry;

use seconds::Seconds;

/// What the tracker counts besides what it answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    /// Addresses in proxy headers that were none.
    pub(crate) broken_proxy_headers: Counter,
    /// Signatures that were not believed.
    pub(crate) bad_signatures: Counter,
    /// Reports of peers about others.
    pub(crate) reports: Counter,
    swept: Counter,
}

impl Metrics {
    /// Makes them and puts them into `registry`.
    pub(crate) fn register(registry: &mut MetricsRegistry, store: &dyn Registry, store_kind: &str) -> Self {
        let metrics = Self::default();
        let (name, help) = match store_kind {
            "redis" => (
                "tracker_redis_round_trip",
                "Time until Redis answered, for each pipeline of commands that it answered",
            ),
            _ => ("tracker_commit", "Time until a group of changes was on disk; at most one group in 100 ms"),
        };
        registry.register_with_unit(name, help, Unit::Seconds, Seconds(store.durations()));
        registry.register(
            "tracker_broken_proxy_headers",
            "Addresses in cf-connecting-ip and x-forwarded-for headers that were none and were ignored",
            metrics.broken_proxy_headers.clone(),
        );
        registry.register(
            "tracker_bad_signatures",
            "Requests refused since their signature was missing, malformed, late, forged or used before",
            metrics.bad_signatures.clone(),
        );
        registry.register(
            "tracker_reports",
            "Reports of callers about other peers, by /v1/report and by the legacy paths",
            metrics.reports.clone(),
        );
        registry.register(
            "tracker_swept_mappings",
            "Mappings of dead peers that this process took away",
            metrics.swept.clone(),
        );
        metrics
    }

    pub(crate) fn swept(&self, mappings: usize) {
        self.swept.inc_by(mappings as u64);
    }
}
