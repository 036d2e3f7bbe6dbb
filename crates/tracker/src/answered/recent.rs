//! What was answered between two moments.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Answered, STATUSES, times};

/// What was counted up to a moment.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    by_status: Vec<u64>,
    by_time: Vec<u64>,
}

/// What was answered between two moments.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Answers {
    /// Answers by status; the statuses that none had are left out.
    #[serde(rename = "answers")]
    by_status: BTreeMap<String, u64>,
    /// How long the faster half took at most, in us; null where nothing was answered.
    p50_us: Option<u64>,
    /// How long all but one in a hundred took at most, in us.
    p99_us: Option<u64>,
}

impl Answered {
    /// What was counted up to now.
    pub(crate) fn totals(&self) -> Totals {
        let requests = self.requests();
        let with = |place| requests.iter().filter_map(|statuses| statuses.get(place)).sum();
        Totals { by_status: (0..=STATUSES.len()).map(with).collect(), by_time: self.by_time() }
    }
}

impl Totals {
    /// What was answered since `before`.
    pub(crate) fn since(&self, before: &Self) -> Answers {
        let names = STATUSES.iter().map(u16::to_string).chain(["other".to_owned()]);
        let by_status = names.zip(grown(&self.by_status, &before.by_status)).filter(|(_, count)| *count > 0);
        let by_time: Vec<u64> = grown(&self.by_time, &before.by_time).collect();
        Answers {
            by_status: by_status.collect(),
            p50_us: times::percentile_us(&by_time, 50),
            p99_us: times::percentile_us(&by_time, 99),
        }
    }
}

fn grown<'a>(now: &'a [u64], before: &'a [u64]) -> impl Iterator<Item = u64> + 'a {
    let before = before.iter().copied().chain(std::iter::repeat(0));
    now.iter().zip(before).map(|(now, before)| now.saturating_sub(before))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::answered::Route;

    #[test]
    fn only_what_was_answered_since_the_sample_before_counts_whichever_thread_did() {
        let (answered, peers) = (Answered::default(), Route::of("/peers"));
        let (one, other) = (answered.of_thread(), answered.of_thread());
        one.count(peers, 200, Duration::from_secs(1));
        let before = answered.totals();
        for us in 1..=98 {
            one.count(peers, 200, Duration::from_micros(us % 8));
        }
        other.count(Route::of("/nowhere"), 404, Duration::from_millis(7));
        other.count(peers, 418, Duration::from_millis(7));
        let answers = answered.totals().since(&before);
        let expected = [("200", 98), ("404", 1), ("other", 1)];
        assert_eq!(answers.by_status, expected.map(|(name, count)| (name.to_owned(), count)).into());
        assert!(answers.p50_us.is_some_and(|us| us < 8), "{answers:?}");
        assert!(answers.p99_us.is_some_and(|us| (7_000..7_900).contains(&us)), "{answers:?}");
        let nothing = answered.totals().since(&answered.totals());
        assert_eq!((nothing.by_status.len(), nothing.p50_us), (0, None));
    }
}
