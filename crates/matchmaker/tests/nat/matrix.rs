//! Who gets through to whom, held against the table that the laboratory of network namespaces shows, too.

use std::time::Duration;

use nat_simulator::expected::{BY_CARRIER, legacy_rounds};
use nat_simulator::{Link, RouterKind};

use crate::legacy_peer::ROUND;
use crate::world::World;

/// The rounds after which a pair counts as one that does not get through.
const ROUNDS_MAX: u32 = 20;

/// Cases with lines of all sorts.
const CASES: u64 = 10_000;

fn pairs() -> impl Iterator<Item = [RouterKind; 2]> {
    RouterKind::TABLE.iter().flat_map(|first| RouterKind::TABLE.map(|second| [*first, second]))
}

#[test]
fn the_table_of_the_laboratory_is_reproduced_to_the_round() {
    for [first, second] in pairs() {
        let line = Link::delayed(Duration::from_millis(5));
        let mut world = World::new(1, [&[first], &[second]], line, Duration::from_millis(25));
        let rounds = world.rounds_until_both_heard(ROUNDS_MAX).unwrap_or(0);
        assert_eq!(Some(rounds), legacy_rounds(first, second), "{first} to {second}");
    }
}

#[test]
fn ten_thousand_lines_of_all_sorts_give_the_same_table() {
    let pairs: Vec<_> = pairs().collect();
    for seed in 0..CASES {
        let mut rng = fastrand::Rng::with_seed(seed);
        let [first, second] = *rng.choice(&pairs).expect("36 pairs");
        // The first peer's punch arrives before the second peer sends: what two lines take at most, and the jitter by
        // which the server's word comes earlier to one than to the other.
        let delay = Duration::from_micros(rng.u64(0..=10_000));
        let jitter = Duration::from_micros(rng.u64(0..=4_000));
        let slowest = 2 * delay + 3 * jitter;
        let lag = slowest + ROUND.saturating_sub(slowest).mul_f64(rng.f64() * 0.3) + Duration::from_micros(1);
        let line = Link { delay, jitter, loss: 0.0 };
        let mut world = World::new(seed, [&[first], &[second]], line, lag);
        let through = world.rounds_until_both_heard(ROUNDS_MAX).is_some();
        let expected = legacy_rounds(first, second).is_some_and(|rounds| rounds > 0);
        assert_eq!(through, expected, "seed {seed}: {first} to {second}, {line:?}, lag {lag:?}");
    }
}

#[test]
fn whom_no_stray_hinders_gets_through_on_lines_that_lose_a_tenth() {
    let unhindered: Vec<_> = pairs()
        .filter(|kinds| !kinds.contains(&RouterKind::BareMasquerade))
        .filter(|[first, second]| legacy_rounds(*first, *second).is_some_and(|rounds| rounds > 0))
        .collect();
    for seed in 0..CASES / 10 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let [first, second] = *rng.choice(&unhindered).expect("some");
        let line = Link { delay: ROUND / 5, jitter: ROUND / 5, loss: 0.1 };
        let mut world = World::new(seed, [&[first], &[second]], line, ROUND.mul_f64(rng.f64() * 0.9));
        let rounds = world.rounds_until_both_heard(5 * ROUNDS_MAX);
        assert!(rounds.is_some(), "seed {seed}: {first} to {second}");
    }
}

#[test]
fn two_bare_masquerades_meet_where_their_first_punches_cross() {
    for (lag, through) in [(0, true), (9, true), (11, false), (40, false)] {
        let line = Link::delayed(Duration::from_millis(5));
        let kinds: [&[_]; 2] = [&[RouterKind::BareMasquerade]; 2];
        let mut world = World::new(1, kinds, line, Duration::from_millis(lag));
        assert_eq!(world.rounds_until_both_heard(ROUNDS_MAX).is_some(), through, "lag {lag} ms");
    }
}

#[test]
fn a_customer_of_a_carrier_gets_through_where_the_harder_of_its_two_routers_does() {
    for (carrier, home, through) in BY_CARRIER {
        let line = Link::delayed(Duration::from_millis(5));
        let kinds: [&[_]; 2] = [&[carrier, home], &[RouterKind::HomeRouter]];
        let mut world = World::new(1, kinds, line, Duration::from_millis(25));
        let rounds = world.rounds_until_both_heard(ROUNDS_MAX);
        assert_eq!(rounds.is_some(), through, "{home} behind {carrier}");
    }
}
