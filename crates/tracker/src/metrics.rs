use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// What the tracker counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    /// Addresses in proxy headers that were none.
    pub(crate) broken_proxy_headers: Counter,
    /// Signatures that were not believed.
    pub(crate) bad_signatures: Counter,
    /// Reports of peers about others.
    pub(crate) reports: Counter,
    swept: Counter,
}

/// Bounded: routes are those that exist, and a status is one of ours.
#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    status: u16,
}

impl Metrics {
    /// Makes them and puts them into `registry`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "tracker_requests",
            "Requests answered, by route and status",
            metrics.requests.clone(),
        );
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

    pub(crate) fn request(&self, route: Option<String>, status: u16) {
        let route = route.unwrap_or_else(|| "other".to_owned());
        self.requests.get_or_create(&RequestLabels { route, status }).inc();
    }

    pub(crate) fn swept(&self, mappings: usize) {
        self.swept.inc_by(mappings as u64);
    }
}
