//! What a flood did, as table, figures and picture.

use serde::Serialize;

use crate::figures::{float, mebibytes, milliseconds, thousands};
use crate::latency::Quantiles;
use crate::report::{Curves, Line, Table};
use crate::servers::Legacy;

/// The matchmaker at one moment.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Moment {
    pub seconds: f64,
    pub registrations: u64,
    pub resident: u64,
}

/// What was found with one setting of `MATCHMAKER_LEGACY`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Findings {
    pub legacy: Legacy,
    pub max_clients: u32,
    pub flood_sent: u64,
    pub flood_seconds: f64,
    /// Registrations that the matchmaker took while it was flooded, with those of the honest.
    pub registered: u64,
    pub connects: u64,
    pub connects_answered: u64,
    pub connects_not_found: u64,
    pub keep_alives: u64,
    pub keep_alives_answered: u64,
    pub wrong: u64,
    /// Honest peers that were missing at least once when they were asked for.
    pub lost_for_a_time: usize,
    /// Honest peers that were missing after the flood.
    pub lost_in_the_end: usize,
    pub latency: Quantiles,
    pub server_cpu_seconds: f64,
    /// Once a second; the first before the flood, the last after it.
    pub moments: Vec<Moment>,
}

/// Nearly full: what is counted shard by shard is seldom all of it.
const FULL: f64 = 0.98;

impl Findings {
    /// Everything that must not have happened, in words.
    pub(super) fn faults(&self) -> Vec<String> {
        let unanswered = self.connects - self.connects_answered;
        let without = self.keep_alives - self.keep_alives_answered;
        let lost = self.lost_for_a_time.max(self.lost_in_the_end);
        let counts = [
            (float(u64::try_from(lost).unwrap_or(u64::MAX)), "honest peers were lost"),
            (float(unanswered), "honest connects had no right answer"),
            (float(without), "honest registrations had no answer"),
            (float(self.wrong), "answers were wrong"),
        ];
        let bad = counts.iter().filter(|(count, _)| *count > 0.0);
        bad.map(|(count, what)| format!("{} {what}", thousands(*count))).collect()
    }

    fn first(&self) -> Option<&Moment> {
        self.moments.first()
    }

    /// The first moment with a table that is as good as full.
    fn full(&self) -> Option<&Moment> {
        let enough = f64::from(self.max_clients) * FULL;
        self.moments.iter().find(|moment| float(moment.registrations) >= enough)
    }

    fn last(&self) -> Option<&Moment> {
        self.moments.last()
    }
}

/// A column for each of the findings.
pub(super) fn table(all: &[Findings]) -> Table {
    let mut table = Table::new(1, ["figure", "wanted", "MATCHMAKER_LEGACY", ""]);
    let mut row = |what: &str, wanted: &str, value: &dyn Fn(&Findings) -> String| {
        let names = [what.to_owned(), wanted.to_owned()];
        table.row(names.into_iter().chain(all.iter().map(value)));
    };
    let number = |count: u64| thousands(float(count));
    let at = |moment: Option<&Moment>| moment.map_or(String::new(), |moment| mebibytes(moment.resident));
    row("", "", &|found| format!("{:?}", found.legacy).to_lowercase());
    row("registrations that flooded", "", &|found| number(found.flood_sent));
    row("of them a second", "", &|found| thousands(float(found.flood_sent) / found.flood_seconds));
    row("registrations that the matchmaker took", "", &|found| number(found.registered));
    row("honest peers missing for a time", "0", &|found| found.lost_for_a_time.to_string());
    row("honest peers missing in the end", "0", &|found| found.lost_in_the_end.to_string());
    row("honest connects", "", &|found| number(found.connects));
    row("of them answered to both sides", "all", &|found| number(found.connects_answered));
    row("of them answered with not found", "0", &|found| number(found.connects_not_found));
    row("honest registrations", "", &|found| number(found.keep_alives));
    row("of them answered", "all", &|found| number(found.keep_alives_answered));
    row("wrong answers", "0", &|found| number(found.wrong));
    row("p50 of honest answers, ms", "", &|found| milliseconds(found.latency.p50_us));
    row("p99 of honest answers, ms", "< 20", &|found| milliseconds(found.latency.p99_us));
    row("p99.9 of honest answers, ms", "", &|found| milliseconds(found.latency.p999_us));
    row("slowest honest answer, ms", "", &|found| milliseconds(found.latency.max_us));
    row("registrations kept in the end", "", &|found| {
        found.last().map_or(String::new(), |moment| number(moment.registrations))
    });
    row("memory before the flood (VmRSS)", "", &|found| at(found.first()));
    row("memory when the table was full", "", &|found| at(found.full()));
    row("memory in the end", "flat", &|found| at(found.last()));
    row("CPU time of the matchmaker, share of a core", "", &|found| {
        format!("{:.0} %", found.server_cpu_seconds / found.flood_seconds * 100.0)
    });
    table
}

/// Memory and registrations over the time of the flood.
pub(super) fn curves(all: &[Findings]) -> Vec<Curves> {
    let chart = |title: &str, value: fn(&Moment) -> f64| {
        let line = |(found, hue): (&Findings, usize)| Line {
            label: format!("{:?}", found.legacy).to_lowercase(),
            points: found.moments.iter().map(|moment| (moment.seconds, value(moment))).collect(),
            hue,
        };
        Curves {
            title: title.to_owned(),
            across: "seconds".to_owned(),
            magnitudes: false,
            lines: all.iter().zip(1..).map(line).collect(),
        }
    };
    vec![
        chart("Memory of the matchmaker in MiB", |moment| float(moment.resident) / f64::from(1 << 20)),
        chart("Registrations kept", |moment| float(moment.registrations)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Findings {
        let moment = |seconds, registrations, mebibytes: u64| Moment {
            seconds,
            registrations,
            resident: mebibytes << 20,
        };
        Findings {
            legacy: Legacy::On,
            max_clients: 1000,
            flood_sent: 20_000,
            flood_seconds: 2.0,
            registered: 20_100,
            connects: 50,
            connects_answered: 50,
            connects_not_found: 0,
            keep_alives: 9,
            keep_alives_answered: 9,
            wrong: 0,
            lost_for_a_time: 0,
            lost_in_the_end: 0,
            latency: Quantiles::default(),
            server_cpu_seconds: 1.0,
            moments: vec![moment(0.0, 10, 5), moment(1.0, 985, 7), moment(2.0, 1000, 8)],
        }
    }

    #[test]
    fn a_flood_that_did_no_harm_has_no_faults() {
        assert_eq!(findings().faults(), Vec::<String>::new());
    }

    #[test]
    fn every_harm_is_a_fault() {
        let found = Findings {
            connects_answered: 48,
            keep_alives_answered: 8,
            wrong: 3,
            lost_for_a_time: 4,
            ..findings()
        };
        let expected = [
            "4 honest peers were lost",
            "2 honest connects had no right answer",
            "1 honest registrations had no answer",
            "3 answers were wrong",
        ];
        assert_eq!(found.faults(), expected);
    }

    #[test]
    fn memory_is_told_of_before_full_and_in_the_end() {
        let text = table(&[findings()]).render();
        for memory in ["memory before the flood (VmRSS)", "5.0 MiB", "7.0 MiB", "8.0 MiB"] {
            assert!(text.contains(memory), "{memory} is missing in {text}");
        }
        assert_eq!(curves(&[findings()]).iter().map(|curves| curves.lines.len()).sum::<usize>(), 2);
    }
}
