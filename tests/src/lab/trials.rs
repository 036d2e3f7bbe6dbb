//! Many tries of two peers to reach each other, in one set of households.

use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use nat_simulator::Link;

use crate::lab::matrix::{Cell, Matrix};
use crate::lab::{Household, Lab};
use crate::router::RouterKind;

/// Tries of each pair, unless `NAT_TRIES` says otherwise.
const TRIES: u32 = 2;

/// What is tried.
#[derive(Clone, Debug)]
pub struct Trials<'a> {
    /// Every pair of these, in both orders.
    pub kinds: &'a [RouterKind],
    /// The line of every household.
    pub line: Link,
    /// Tries of each pair.
    pub tries: u32,
    /// The second peer is up to this much later than the first.
    pub skew_max: Duration,
    /// Of all chance.
    pub seed: u64,
    /// What is known of a pair beforehand.
    pub expected: fn([RouterKind; 2]) -> Expected,
}

/// What is known of a pair beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It gets through in every try.
    Through,
    /// It never does. One try of what takes seconds to fail tells as much as many.
    Never,
    /// Chance decides, so that it is not tried.
    Either,
}

/// One try: routers that have forgotten all former ones.
#[derive(Debug)]
pub struct Try<'a> {
    /// Where the two peers live.
    pub households: [&'a Household; 2],
    /// How much later than the first one the second peer is to act.
    pub skew: Duration,
    /// From 0, of this pair.
    pub number: u32,
}

/// What the tries of a pair took, by number; none where the peers did not get through.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The kinds of the two routers.
    pub kinds: [RouterKind; 2],
    /// One for each try.
    pub took: Vec<Option<Duration>>,
}

/// Tries of each pair: what `NAT_TRIES` says, or two, which is enough to see whether they get through.
pub fn tries() -> u32 {
    std::env::var("NAT_TRIES").map_or(TRIES, |tries| tries.parse().expect("NAT_TRIES is a number"))
}

impl Trials<'_> {
    /// Runs `dial` for each try of each pair that is tried. It starts whatever peers it likes ([`Household::spawn`] for
    /// programs, [`Household::peer`] for sockets), waits for them, and says how long they took to reach each other.
    /// Peers on free ports and routers that have just forgotten everything make each try a fresh one. As many pairs as
    /// there are kinds are tried at a time, none of which share a household.
    pub fn run(&self, lab: &Lab, dial: impl Fn(&Try<'_>) -> Option<Duration> + Sync) -> Vec<Outcome> {
        let mut rng = Rng::with_seed(self.seed);
        let [firsts, seconds] = [(); 2].map(|()| {
            let household = |kind: &RouterKind| lab.household_on(*kind, self.line, rng.u64(..));
            self.kinds.iter().map(household).collect::<Vec<_>>()
        });
        let mut outcomes = Vec::new();
        for shift in 0..seconds.len() {
            let seconds = seconds.iter().cycle().skip(shift);
            let pairs = firsts.iter().zip(seconds).map(|(first, second)| [first, second]);
            thread::scope(|scope| {
                let dial = &dial;
                let start = |pair: [_; 2]| {
                    let rng = Rng::with_seed(rng.u64(..));
                    scope.spawn(move || self.run_pair(pair, rng, dial))
                };
                let threads: Vec<_> = pairs.map(start).collect();
                for thread in threads {
                    outcomes.push(thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
                }
            });
        }
        outcomes.sort_by_key(|outcome| outcome.kinds);
        outcomes
    }

    fn run_pair(
        &self,
        households: [&Household; 2],
        mut rng: Rng,
        dial: &impl Fn(&Try<'_>) -> Option<Duration>,
    ) -> Outcome {
        let kinds = households.map(|household| household.kind);
        let tries = match (self.expected)(kinds) {
            Expected::Through => self.tries,
            Expected::Never => 1,
            Expected::Either => 0,
        };
        let attempt = |number| {
            for household in households {
                household.forget();
            }
            // From each of as many equal parts one, so that few tries are spread as well as many.
            let skew = self.skew_max.mul_f64((f64::from(number) + rng.f64()) / f64::from(tries));
            dial(&Try { households, skew, number })
        };
        Outcome { kinds, took: (0..tries).map(attempt).collect() }
    }

    /// A table of outcomes: in how many tries they got through, and what these took.
    pub fn matrix(&self, title: &str, outcomes: &[Outcome]) -> Matrix {
        let title = format!("{title}: tries that got through, p50 / p95 of the time to connect");
        let mut matrix = Matrix::new(title, self.kinds);
        for outcome in outcomes.iter().filter(|outcome| !outcome.took.is_empty()) {
            matrix.set(outcome.kinds, outcome.cell());
        }
        let all: Vec<Option<Duration>> = outcomes.iter().flat_map(|outcome| outcome.took.clone()).collect();
        matrix.note(&times_of(&all, self.round_trip()));
        matrix
    }

    /// From one peer to the other and back, on average.
    fn round_trip(&self) -> Duration {
        4 * (self.line.delay + self.line.jitter / 2)
    }

    /// # Panics
    ///
    /// Where a pair did otherwise than expected. It says which ones.
    pub fn assert_as_expected(&self, outcomes: &[Outcome], matrix: &Matrix) {
        let is_wrong = |outcome: &&Outcome| match (self.expected)(outcome.kinds) {
            Expected::Through => outcome.through() < outcome.took.len(),
            Expected::Never => outcome.through() > 0,
            Expected::Either => false,
        };
        let wrong: Vec<&Outcome> = outcomes.iter().filter(is_wrong).collect();
        assert!(wrong.is_empty(), "{wrong:#?}\n{matrix}");
    }
}

impl Outcome {
    /// Tries in which the peers got through.
    pub fn through(&self) -> usize {
        self.took.iter().flatten().count()
    }

    /// What half of those took at most.
    pub fn median(&self) -> Option<Duration> {
        (self.through() > 0).then(|| percentile(&self.took, 50))
    }

    fn cell(&self) -> Cell {
        Cell::of_tries(&self.took)
    }
}

impl Cell {
    /// In how many tries peers got through, and what the middle one and nearly all of these took.
    pub fn of_tries(took: &[Option<Duration>]) -> Self {
        let (through, tries) = (took.iter().flatten().count(), took.len());
        if through == 0 {
            return Self::of_text("never", 0.0);
        }
        let [half, nearly_all] = [50, 95].map(|percent| percentile(took, percent).as_millis());
        let few = |number: usize| f64::from(u32::try_from(number).expect("few"));
        Self {
            text: format!("{through}/{tries}"),
            detail: format!("{half} / {nearly_all} ms"),
            share: few(through) / few(tries),
        }
    }
}

/// In words, what all tries took that got through.
pub fn times_of(took: &[Option<Duration>], round_trip: Duration) -> String {
    let through = took.iter().flatten().count();
    if through == 0 {
        return "no try got through".to_owned();
    }
    let [half, nearly_all] = [50, 95].map(|percent| percentile(took, percent));
    let trips = half.as_secs_f64() / round_trip.as_secs_f64();
    format!(
        "{through} tries got through: p50 {} ms, which are {trips:.2} round trips of {} ms, p95 {} ms",
        half.as_millis(),
        round_trip.as_millis(),
        nearly_all.as_millis()
    )
}

/// The least of the times that so many of 100 do not exceed (nearest rank).
fn percentile(took: &[Option<Duration>], percent: usize) -> Duration {
    let mut times: Vec<Duration> = took.iter().flatten().copied().collect();
    times.sort_unstable();
    let rank = (times.len() * percent).div_ceil(100);
    times.get(rank.saturating_sub(1)).copied().expect("one got through")
}
