//! The counters as Prometheus has them.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::route::{Class, ROUTES};
use super::{Answered, STATUSES};

/// Puts them into `registry`.
pub(crate) fn register(registry: &mut Registry, answered: &Arc<Answered>) {
    registry.register(
        "tracker_requests",
        "Requests answered, by route and status",
        Requests(Arc::clone(answered)),
    );
    registry.register_with_unit(
        "tracker_request_duration",
        "Time from the head of a request to the head of its answer, by class: read, write, other (pages, streams, unknown paths)",
        Unit::Seconds,
        Took(Arc::clone(answered)),
    );
}

/// Bounded: routes are those that exist, and `other`; so are statuses.
#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: String,
}

/// Bounded: see [`Class::NAMES`].
#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ClassLabels {
    class: &'static str,
}

#[derive(Debug)]
struct Requests(Arc<Answered>);

impl Requests {
    /// Those that there were.
    fn counts(&self) -> impl Iterator<Item = (RequestLabels, u64)> {
        let routes = ROUTES.iter().map(|(route, _)| *route).chain(["other"]);
        let counts = routes.zip(self.0.requests()).flat_map(|(route, counts)| {
            let statuses = STATUSES.iter().map(u16::to_string).chain(["other".to_owned()]);
            statuses.zip(counts).map(move |(status, count)| (RequestLabels { route, status }, count))
        });
        counts.filter(|(_, count)| *count > 0)
    }
}

impl EncodeMetric for Requests {
    fn encode(&self, mut encoder: MetricEncoder) -> fmt::Result {
        for (labels, count) in self.counts() {
            encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }

    fn is_empty(&self) -> bool {
        self.counts().next().is_none()
    }
}

#[derive(Debug)]
struct Took(Arc<Answered>);

impl EncodeMetric for Took {
    fn encode(&self, mut encoder: MetricEncoder) -> fmt::Result {
        for (class, name) in Class::NAMES {
            let took = self.0.took(class);
            let labels = ClassLabels { class: name };
            encoder.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                took.sum_secs,
                took.count,
                &took.buckets,
                None,
            )?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Route;
    use super::*;

    #[test]
    fn what_the_threads_counted_is_one_sum() {
        let (mut registry, answered) = (Registry::default(), Arc::new(Answered::default()));
        register(&mut registry, &answered);
        let text = || {
            let mut text = String::new();
            let encoded = prometheus_client::encoding::text::encode(&mut text, &registry);
            assert_eq!(encoded, Ok(()));
            text
        };
        assert!(!text().contains("tracker_requests"), "{}", text());
        let (one, other) = (answered.of_thread(), answered.of_thread());
        for (thread, route, status) in
            [(&one, "/peers", 200), (&other, "/peers", 200), (&other, "/peers", 599), (&one, "/?", 404)]
        {
            thread.count(Route::of(route), status, Duration::from_millis(2));
        }
        let text = text();
        for line in [
            r#"tracker_requests_total{route="/peers",status="200"} 2"#,
            r#"tracker_requests_total{route="/peers",status="other"} 1"#,
            r#"tracker_requests_total{route="other",status="404"} 1"#,
            r#"tracker_request_duration_seconds_count{class="read"} 3"#,
            r#"tracker_request_duration_seconds_bucket{le="0.001",class="read"} 0"#,
            r#"tracker_request_duration_seconds_bucket{le="0.0025",class="read"} 3"#,
            // Without this one Prometheus gives no quantile at all.
            r#"tracker_request_duration_seconds_bucket{le="+Inf",class="read"} 3"#,
            r#"tracker_request_duration_seconds_sum{class="read"} 0.006"#,
            r#"tracker_request_duration_seconds_count{class="write"} 0"#,
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in {text}");
        }
    }
}
