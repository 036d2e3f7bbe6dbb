//! The metrics as text, in the form that whoever asks can read.

use std::collections::HashSet;
use std::fmt::{self, Write as _};

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// The format that Prometheus asks for first (`OpenMetrics` 1.0).
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The one that everything reads (Prometheus text format 0.0.4).
pub(crate) const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The format for a request that accepts these, and the metrics in it.
pub(crate) fn expose(metrics: &Registry, accept: &str) -> Result<(&'static str, String), fmt::Error> {
    let mut text = String::new();
    encode(&mut text, metrics)?;
    if accept.contains("application/openmetrics-text") {
        Ok((OPEN_METRICS, text))
    } else {
        Ok((PLAIN, plain(&text)?))
    }
}

/// In `OpenMetrics` a counter is described by the name of its samples without `_total`; in the older format by their whole name,
/// and there is no unit and no mark at the end.
fn plain(open_metrics: &str) -> Result<String, fmt::Error> {
    let counters: HashSet<&str> = open_metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        let described =
            ["# HELP ", "# TYPE "].into_iter().find_map(|what| Some((what, line.strip_prefix(what)?)));
        match described.map(|(what, rest)| (what, rest.split_once(' ').unwrap_or((rest, "")))) {
            Some((what, (name, rest))) if counters.contains(name) => {
                writeln!(text, "{what}{name}_total {rest}")?;
            }
            None if line.starts_with("# UNIT ") || line == "# EOF" => {}
            _ => writeln!(text, "{line}")?,
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::registry::Unit;

    use super::*;

    fn metrics() -> Registry {
        let mut metrics = Registry::default();
        metrics.register("answers", "Answers", Counter::<u64>::default());
        metrics.register_with_unit("memory", "Memory", Unit::Bytes, Gauge::<i64>::default());
        metrics
    }

    #[test]
    fn who_asks_for_open_metrics_gets_them() {
        let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2";
        let (format, text) = expose(&metrics(), accept).unwrap();
        assert_eq!(format, OPEN_METRICS);
        assert!(
            text.contains("# TYPE answers counter\nanswers_total 0\n") && text.ends_with("# EOF\n"),
            "{text}"
        );
    }

    #[test]
    fn everybody_else_gets_the_older_format() {
        let (format, text) = expose(&metrics(), "*/*").unwrap();
        assert_eq!(format, PLAIN);
        let expected = "# HELP answers_total Answers.\n# TYPE answers_total counter\nanswers_total 0\n\
                        # HELP memory_bytes Memory.\n# TYPE memory_bytes gauge\nmemory_bytes 0\n";
        assert_eq!(text, expected);
    }
}
