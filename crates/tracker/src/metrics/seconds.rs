//! Durations as a histogram of Prometheus.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use registry::Durations;

/// [`Durations`], in seconds.
#[derive(Debug)]
pub(super) struct Seconds(pub(super) Arc<Durations>);

impl EncodeMetric for Seconds {
    fn encode(&self, mut encoder: MetricEncoder) -> fmt::Result {
        let counts = self.0.read();
        encoder.encode_histogram::<NoLabelSet>(counts.sum_secs, counts.count, &counts.buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}
