//! From the samples of all rounds to one row for each server and operation.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::figures::median;
use crate::latency::Quantiles;
use crate::tally::Outcome;

use super::meter::Cost;

/// One server, under one kind of load, in one round.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sample {
    pub round: u16,
    pub server: &'static str,
    pub operation: &'static str,
    /// Right answers.
    pub answers: u64,
    /// Right answers a second.
    pub per_second: f64,
    /// Microseconds of CPU time an answer, for each process.
    pub cpu_us: BTreeMap<&'static str, f64>,
    /// CPU time of the load generator as a share of one core.
    pub generator_share: f64,
    pub latency: Quantiles,
    pub errors: u64,
    pub first_error: Option<String>,
}

impl Sample {
    /// What a load saw, and what it cost the server.
    pub(crate) fn new(
        round: u16,
        server: &'static str,
        operation: &'static str,
        outcome: Outcome,
        cost: Cost,
    ) -> Self {
        Self {
            round,
            server,
            operation,
            answers: outcome.right,
            per_second: outcome.per_second,
            cpu_us: cost.cpu_us,
            generator_share: cost.generator_share,
            latency: outcome.latency,
            errors: outcome.errors(),
            first_error: outcome.first_error,
        }
    }

    fn cpu_sum(&self) -> f64 {
        self.cpu_us.values().sum()
    }
}

/// The medians over the rounds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub server: &'static str,
    pub operation: &'static str,
    pub per_second: f64,
    /// Against the bare limit in the same round.
    pub per_second_of_limit: Option<f64>,
    /// Microseconds of CPU time an answer, for each process.
    pub cpu_us: BTreeMap<&'static str, f64>,
    /// All processes of the server together.
    pub cpu_us_sum: f64,
    /// Against the bare limit in the same round.
    pub cpu_of_limit: Option<f64>,
    pub generator_share: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    /// Of all rounds together.
    pub errors: u64,
}

/// One row for each operation and server that was measured, in the order of these lists. `is_limit` says whether
/// the second sample is the bare limit for the first.
///
/// Ratios are taken within a round and their median is reported: what disturbs the machine for some minutes
/// disturbs both sides of a ratio.
pub(crate) fn summarize(
    samples: &[Sample],
    operations: &[&'static str],
    servers: &[&'static str],
    is_limit: impl Fn(&Sample, &Sample) -> bool,
) -> Vec<Row> {
    let pairs =
        operations.iter().flat_map(|operation| servers.iter().map(move |server| (*operation, *server)));
    pairs
        .filter_map(|(operation, server)| {
            let of = |sample: &&Sample| sample.operation == operation && sample.server == server;
            let own: Vec<&Sample> = samples.iter().filter(of).collect();
            row(&own, |sample| samples.iter().find(|other| is_limit(sample, other)))
        })
        .collect()
}

/// An error if anything went wrong in any sample: figures of a server that fails are no figures.
pub(crate) fn fail_on_errors(samples: &[Sample]) -> anyhow::Result<()> {
    let errors: u64 = samples.iter().map(|sample| sample.errors).sum();
    let first =
        samples.iter().find_map(|sample| sample.first_error.as_deref()).unwrap_or("an answer is missing");
    anyhow::ensure!(errors == 0, "{errors} requests went wrong; first: {first}");
    Ok(())
}

/// The row of samples that differ only in their round. `limit` finds the bare limit beside a sample.
fn row<'a>(own: &[&'a Sample], limit: impl Fn(&'a Sample) -> Option<&'a Sample>) -> Option<Row> {
    let first = own.first()?;
    let middle = |figure: fn(&Sample) -> f64| median(own.iter().map(|sample| figure(sample)));
    let ratio = |figure: fn(&Sample) -> f64| {
        median(own.iter().filter_map(|sample| Some(figure(sample) / figure(limit(sample)?))))
    };
    let processes = first.cpu_us.keys().filter_map(|process| {
        Some((*process, median(own.iter().filter_map(|sample| sample.cpu_us.get(process).copied()))?))
    });
    Some(Row {
        server: first.server,
        operation: first.operation,
        per_second: middle(|sample| sample.per_second)?,
        per_second_of_limit: ratio(|sample| sample.per_second),
        cpu_us: processes.collect(),
        cpu_us_sum: middle(Sample::cpu_sum)?,
        cpu_of_limit: ratio(Sample::cpu_sum),
        generator_share: middle(|sample| sample.generator_share)?,
        p50_us: middle(|sample| sample.latency.p50_us)?,
        p99_us: middle(|sample| sample.latency.p99_us)?,
        p999_us: middle(|sample| sample.latency.p999_us)?,
        errors: own.iter().map(|sample| sample.errors).sum(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed step fails the test")]

    use super::*;

    fn sample(round: u16, server: &'static str, per_second: f64, cpu: &[(&'static str, f64)]) -> Sample {
        Sample {
            round,
            server,
            operation: "get",
            answers: 1,
            per_second,
            cpu_us: cpu.iter().copied().collect(),
            generator_share: 0.5,
            latency: Quantiles::default(),
            errors: u64::from(round),
            first_error: None,
        }
    }

    fn bare(sample: &Sample, other: &Sample) -> bool {
        other.round == sample.round && other.server == "bare"
    }

    #[test]
    fn ratios_are_taken_within_a_round_before_their_median() {
        // The machine was twice as slow in round 2, for both.
        let samples = [
            sample(1, "bare", 100.0, &[("server", 10.0)]),
            sample(1, "ours", 50.0, &[("server", 20.0)]),
            sample(2, "bare", 50.0, &[("server", 20.0)]),
            sample(2, "ours", 25.0, &[("server", 40.0)]),
        ];
        let rows = summarize(&samples, &["get"], &["bare", "ours"], bare);
        assert_eq!(rows.len(), 2);
        let ours = &rows[1];
        assert_eq!((ours.server, ours.per_second, ours.cpu_us_sum), ("ours", 37.5, 30.0));
        assert_eq!((ours.per_second_of_limit, ours.cpu_of_limit), (Some(0.5), Some(2.0)));
        assert_eq!(ours.errors, 3);
    }

    #[test]
    fn the_processes_of_a_server_are_shown_apart_and_summed() {
        let samples = [sample(1, "ours", 1.0, &[("tracker", 20.0), ("redis", 5.0)])];
        let rows = summarize(&samples, &["get"], &["ours"], bare);
        assert_eq!(
            (rows[0].cpu_us["tracker"], rows[0].cpu_us["redis"], rows[0].cpu_us_sum),
            (20.0, 5.0, 25.0)
        );
        assert_eq!(rows[0].cpu_of_limit, None);
    }

    #[test]
    fn what_was_not_measured_has_no_row() {
        assert!(summarize(&[], &["get"], &["ours"], bare).is_empty());
    }
}
