//! Many tries of two peers to reach each other, in one set of households.

use std::time::Duration;

use fastrand::Rng;
use nat_simulator::Link;

use crate::lab::matrix::{Cell, Matrix};
use crate::lab::{Household, Lab};
use crate::router::RouterKind;

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

impl Trials<'_> {
    /// Runs `dial` for each try of each pair. It starts whatever peers it likes ([`Household::spawn`] for programs,
    /// [`Household::peer`] for sockets), waits for them, and says how long they took to reach each other. Peers on free
    /// ports and routers that have just forgotten everything make each try a fresh one.
    pub fn run(&self, lab: &Lab, mut dial: impl FnMut(&Try<'_>) -> Option<Duration>) -> Vec<Outcome> {
        let mut rng = Rng::with_seed(self.seed);
        let mut sides = [(); 2].map(|()| {
            let household = |kind: &RouterKind| lab.household_on(*kind, self.line, rng.u64(..));
            self.kinds.iter().map(household).collect::<Vec<_>>()
        });
        let [firsts, seconds] = &mut sides;
        let mut outcomes = Vec::new();
        for first in firsts.iter() {
            for second in seconds.iter() {
                let took = (0..self.tries).map(|number| {
                    let households = [first, second];
                    for household in households {
                        household.forget();
                    }
                    let skew = self.skew_max.mul_f64(rng.f64());
                    dial(&Try { households, skew, number })
                });
                outcomes.push(Outcome { took: took.collect(), kinds: [first.kind, second.kind] });
            }
        }
        outcomes
    }

    /// A table of outcomes: in how many tries they got through, and the median of what these took.
    pub fn matrix(&self, title: &str, outcomes: &[Outcome]) -> Matrix {
        let mut matrix = Matrix::new(title, self.kinds);
        for outcome in outcomes {
            let (through, tries) = (outcome.through(), outcome.took.len());
            let median = outcome.median().map_or(String::new(), |time| format!(" {} ms", time.as_millis()));
            let share = f64::from(u32::try_from(through).expect("few")) / f64::from(self.tries);
            matrix.set(outcome.kinds, Cell { text: format!("{through}/{tries}{median}"), share });
        }
        matrix
    }
}

impl Outcome {
    /// Tries in which the peers got through.
    pub fn through(&self) -> usize {
        self.took.iter().flatten().count()
    }

    /// What the middle one of those took.
    pub fn median(&self) -> Option<Duration> {
        let mut times: Vec<_> = self.took.iter().flatten().copied().collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }
}
