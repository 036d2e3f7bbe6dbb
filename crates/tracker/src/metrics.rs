mod seconds;

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry as MetricsRegistry, Unit};
use registry::Registry;

use seconds::Seconds;

/// The routes, as they are counted, each with what is common to the time that it takes.
const ROUTES: [(&str, Class); 20] = [
    ("/peers", Class::Read),
    ("/add", Class::Write),
    ("/remove", Class::Write),
    ("/peer_offline", Class::Write),
    ("/all_trackers", Class::Read),
    ("/", Class::Other),
    ("/v1/publish", Class::Write),
    ("/v1/unpublish", Class::Write),
    ("/v1/heartbeat", Class::Write),
    ("/v1/peers", Class::Read),
    ("/v1/lookup", Class::Read),
    ("/v1/files", Class::Read),
    ("/v1/report", Class::Write),
    ("/v1/stats", Class::Other),
    ("/v1/stats/stream", Class::Other),
    ("/v1/stats/live", Class::Other),
    ("/v1/operator/peers", Class::Read),
    ("/openapi.json", Class::Other),
    ("/docs", Class::Other),
    ("/dashboard", Class::Other),
];

/// What a request is counted under: its route, or `other` where there is none, so that strangers cannot make up labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) name: &'static str,
    class: Class,
}

impl Route {
    /// That of `path`.
    pub(crate) fn of(path: &str) -> Self {
        let known = ROUTES.into_iter().find(|(route, _)| *route == path);
        let (name, class) = known.unwrap_or(("other", Class::Other));
        Self { name, class }
    }
}

/// Requests that do alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Look something up.
    Read,
    /// Change something.
    Write,
    /// Pages, streams, and what there is not.
    Other,
}

impl Class {
    const NAMES: [(Self, &str); 3] = [(Self::Read, "read"), (Self::Write, "write"), (Self::Other, "other")];
}

/// What the tracker counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    /// By [`Class`], in its order.
    took: [Seconds; Class::NAMES.len()],
    /// Addresses in proxy headers that were none.
    pub(crate) broken_proxy_headers: Counter,
    /// Signatures that were not believed.
    pub(crate) bad_signatures: Counter,
    /// Reports of peers about others.
    pub(crate) reports: Counter,
    swept: Counter,
}

/// Bounded: see [`Class::NAMES`].
#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ClassLabels {
    class: &'static str,
}

/// Bounded: routes are those that exist, and a status is one of ours.
#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: u16,
}

impl Metrics {
    /// Makes them and puts them into `registry`.
    pub(crate) fn register(registry: &mut MetricsRegistry, store: &dyn Registry, store_kind: &str) -> Self {
        let classes = Family::<ClassLabels, Seconds>::default();
        let took = Class::NAMES.map(|(_, class)| classes.get_or_create(&ClassLabels { class }).clone());
        let metrics = Self { took, ..Self::default() };
        registry.register(
            "tracker_requests",
            "Requests answered, by route and status",
            metrics.requests.clone(),
        );
        registry.register_with_unit(
            "tracker_request_duration",
            "Time from the head of a request to the head of its answer, by class: read, write, other (pages, streams, unknown paths)",
            Unit::Seconds,
            classes,
        );
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

    pub(crate) fn request(&self, route: Route, status: u16, took: Duration) {
        self.requests.get_or_create(&RequestLabels { route: route.name, status }).inc();
        if let Some(durations) = self.took.get(route.class as usize) {
            durations.0.add(took);
        }
    }

    pub(crate) fn swept(&self, mappings: usize) {
        self.swept.inc_by(mappings as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_their_places() {
        for (place, (class, _)) in Class::NAMES.into_iter().enumerate() {
            assert_eq!(class as usize, place);
        }
    }

    #[test]
    fn every_route_of_the_description_is_counted_and_nothing_else() {
        let described: serde_json::Value =
            serde_json::from_str(include_str!("../openapi.json")).unwrap_or_default();
        let paths =
            described.get("paths").and_then(serde_json::Value::as_object).cloned().unwrap_or_default();
        assert_eq!(paths.len(), ROUTES.len() - 3, "all but the description itself and the pages");
        for path in paths.keys() {
            assert_eq!(Route::of(path).name, path);
        }
        for path in ["", "/peers/", "/Peers", "//", "/v1", "/peers?x"] {
            assert_eq!(Route::of(path).name, "other");
        }
    }
}
