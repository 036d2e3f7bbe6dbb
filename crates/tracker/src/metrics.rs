use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The routes, as they are counted.
const ROUTES: [&str; 20] = [
    "/peers",
    "/add",
    "/remove",
    "/peer_offline",
    "/all_trackers",
    "/",
    "/v1/publish",
    "/v1/unpublish",
    "/v1/heartbeat",
    "/v1/peers",
    "/v1/lookup",
    "/v1/files",
    "/v1/report",
    "/v1/stats",
    "/v1/stats/stream",
    "/v1/stats/live",
    "/v1/operator/peers",
    "/openapi.json",
    "/docs",
    "/dashboard",
];

/// What a request for `path` is counted under: its route, or `other` where there is none, so that strangers cannot make up
/// labels.
pub(crate) fn route(path: &str) -> &'static str {
    ROUTES.into_iter().find(|route| *route == path).unwrap_or("other")
}

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
    route: &'static str,
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

    pub(crate) fn request(&self, route: &'static str, status: u16) {
        self.requests.get_or_create(&RequestLabels { route, status }).inc();
    }

    pub(crate) fn swept(&self, mappings: usize) {
        self.swept.inc_by(mappings as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_description_is_counted_and_nothing_else() {
        let described: serde_json::Value =
            serde_json::from_str(include_str!("../openapi.json")).unwrap_or_default();
        let paths =
            described.get("paths").and_then(serde_json::Value::as_object).cloned().unwrap_or_default();
        assert_eq!(paths.len(), ROUTES.len() - 3, "all but the description itself and the pages");
        for path in paths.keys() {
            assert_eq!(route(path), path);
        }
        for path in ["", "/peers/", "/Peers", "//", "/v1", "/peers?x"] {
            assert_eq!(route(path), "other");
        }
    }
}
