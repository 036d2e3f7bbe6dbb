//! Who gets through to whom, and how fast.

use std::time::Duration;

use nat_simulator::expected::v2_reaches;
use nat_simulator::{Link, RouterKind};
use peer_client::{ConnectError, NatKind};

use crate::peer::Detour;
use crate::world::World;

/// Seeds for each pair of kinds.
const SEEDS: u64 = 100;

pub(crate) fn pairs() -> impl Iterator<Item = [RouterKind; 2]> {
    RouterKind::TABLE.iter().flat_map(|first| RouterKind::TABLE.map(|second| [*first, second]))
}

fn is_hard(kind: RouterKind) -> bool {
    kind == RouterKind::Hard
}

/// Two peers with lines that take `delay` each way, the second with a server that is `skew` farther from it each way.
fn meet(
    seed: u64,
    [first, second]: [RouterKind; 2],
    delay: Duration,
    skew: Duration,
) -> (World, Result<crate::world::Reached, ConnectError>) {
    let detour = Detour { out: skew, back: skew };
    let mut world = World::of_two(seed, [&[first], &[second]], Link::delayed(delay), detour);
    world.register();
    let reached = world.connect(0, 1);
    (world, reached)
}

#[test]
fn every_pair_that_can_be_punched_connects_with_any_skew() {
    for kinds in pairs() {
        for seed in 0..SEEDS {
            let mut rng = fastrand::Rng::with_seed(seed);
            let delay = Duration::from_micros(rng.u64(1_000..40_000));
            let skew = Duration::from_micros(rng.u64(0..300_000));
            let (_, reached) = meet(seed, kinds, delay, skew);
            let what = format!("{} to {}, seed {seed}, {delay:?}, skew {skew:?}", kinds[0], kinds[1]);
            if v2_reaches(kinds) {
                assert!(reached.is_ok(), "{what}: {reached:?}");
            } else if kinds.map(is_hard) == [true; 2] {
                assert_eq!(reached.unwrap_err(), ConnectError::BothHard, "{what}");
            } else {
                assert_eq!(reached.unwrap_err(), ConnectError::NoPath { cold: false }, "{what}");
            }
        }
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "figures for people")]
fn half_connect_within_two_round_trips_and_nearly_all_within_half_a_second() {
    let mut trips = Vec::new();
    let mut times = Vec::new();
    for kinds in pairs().filter(|kinds| v2_reaches(*kinds)) {
        for seed in 0..SEEDS {
            let mut rng = fastrand::Rng::with_seed(seed);
            let delay = Duration::from_micros(rng.u64(5_000..40_000));
            let (_, reached) = meet(seed, kinds, delay, Duration::ZERO);
            let took = reached.unwrap().took;
            // From peer to peer and back: two lines, both ways.
            trips.push(took.as_secs_f64() / (4 * delay).as_secs_f64());
            times.push(took);
        }
    }
    trips.sort_by(f64::total_cmp);
    times.sort();
    let (half, nearly_all) = (trips[trips.len() / 2], times[times.len() * 95 / 100]);
    let all = times.len();
    println!("{all} pairs: half within {half:.2} round trips, 95 of 100 within {nearly_all:?}");
    assert!(half <= 2.0, "half take {half} round trips");
    assert!(nearly_all <= Duration::from_millis(500), "95 of 100 take {nearly_all:?}");
}

#[test]
fn two_behind_hard_nats_learn_within_one_round_trip_that_nothing_will_come_of_it() {
    let delay = Duration::from_millis(30);
    let line = Link::delayed(delay);
    let mut world = World::of_two(1, [&[RouterKind::Hard]; 2], line, Detour::default());
    world.register();
    assert_eq!([0, 1].map(|index| world.peer(index).nat()), [NatKind::Hard; 2]);
    let start = world.simulation.now();
    assert_eq!(world.connect(0, 1).unwrap_err(), ConnectError::BothHard);
    world.pass(delay);
    let (at, _) = world.peer(0).failed[0];
    assert_eq!([at, world.peer(1).unpunchable[0]], [start + 2 * delay; 2]);
}

#[test]
fn the_kind_of_every_nat_is_told() {
    for kind in RouterKind::TABLE {
        let line = Link::delayed(Duration::from_millis(10));
        let mut world = World::of_two(1, [&[kind]; 2], line, Detour::default());
        world.register();
        let expected = if is_hard(kind) { NatKind::Hard } else { NatKind::Easy };
        assert_eq!(world.peer(0).nat(), expected, "{kind}");
    }
}

/// The second peer is told late, which the server cannot know, and then not any more. By then its router takes the punches of
/// the first one for a conversation of its own, and has given its port another outer one, for this peer and for all others.
#[test]
fn a_bare_masquerade_whose_host_was_told_late_is_reached_from_fresh_ports_on_both_sides() {
    const BARE: &[RouterKind] = &[RouterKind::BareMasquerade];
    const HOME: &[RouterKind] = &[RouterKind::HomeRouter];
    let line = Link::delayed(Duration::from_millis(5));
    for kinds in [BARE, HOME, &[RouterKind::PortRestricted]] {
        let mut world = World::of_two(1, [kinds, BARE], line, Detour::default());
        world.add_household(HOME, line, Detour::default());
        world.register();
        world.act(1, |peer, _, _| peer.delay_next(Duration::from_millis(200)));
        let reached = world.connect(0, 1).unwrap();
        assert!(reached.took > Duration::from_secs(2), "{kinds:?}: {reached:?}");
        let reached = world.connect(2, 1).unwrap();
        assert!(reached.took > Duration::from_secs(2), "{kinds:?}, and a third one: {reached:?}");
    }
}
