//! Lines that lose and jitter.

use std::time::Duration;

use nat_simulator::expected::v2_reaches;
use nat_simulator::{Link, RouterKind};
use peer_client::{Target, Via};

use crate::matrix::pairs;
use crate::peer::{Detour, Peer};
use crate::world::World;

/// Worlds of each kind.
const SEEDS: u64 = 50;

fn that_can_be_punched() -> impl Iterator<Item = [RouterKind; 2]> {
    pairs().filter(|kinds| v2_reaches(*kinds))
}

fn losing_a_tenth() -> Link {
    Link { delay: Duration::from_millis(15), jitter: Duration::from_millis(5), loss: 0.1 }
}

#[test]
fn every_pair_that_can_be_punched_connects_over_lines_that_lose_a_tenth() {
    for kinds @ [first, second] in that_can_be_punched() {
        for seed in 0..SEEDS {
            let mut world = World::of_two(seed, [&[first], &[second]], losing_a_tenth(), Detour::default());
            world.register();
            let reached = world.connect(0, 1);
            assert!(reached.is_ok(), "{kinds:?}, seed {seed}: {reached:?}");
        }
    }
}

#[test]
fn every_pair_that_can_be_punched_connects_where_the_server_is_far_from_one_and_a_tenth_is_lost() {
    let mut unlucky = Vec::new();
    for kinds @ [first, second] in that_can_be_punched() {
        for seed in 0..SEEDS {
            let skew = Duration::from_micros(fastrand::Rng::with_seed(seed).u64(0..300_000));
            let detour = Detour { out: skew, back: skew };
            let mut world = World::of_two(seed, [&[first], &[second]], losing_a_tenth(), detour);
            world.register();
            if let Err(error) = world.connect(0, 1) {
                unlucky.push((kinds, seed, skew, error));
            }
        }
    }
    assert!(unlucky.is_empty(), "{unlucky:#?}");
}

#[test]
fn every_pair_that_can_be_punched_connects_where_both_ask_one_later_than_the_other() {
    for kinds @ [first, second] in that_can_be_punched() {
        for seed in 0..SEEDS {
            let mut rng = fastrand::Rng::with_seed(seed);
            let line = Link::delayed(Duration::from_micros(rng.u64(1_000..40_000)));
            let later = Duration::from_micros(rng.u64(0..300_000));
            let mut world = World::of_two(seed, [&[first], &[second]], line, Detour::default());
            world.register();
            let [first, second] = [0, 1].map(|index| Target::Id(world.peer(index).id));
            world.act(0, |peer, now, actions| peer.connect(now, second, actions));
            world.pass(later);
            world.act(1, |peer, now, actions| peer.connect(now, first, actions));
            let settled = |peer: &&Peer| {
                !peer.failed.is_empty() || peer.connected.iter().any(|(_, path)| path.request.is_some())
            };
            world.pass_until(Duration::from_secs(30), |peers| peers.iter().all(settled));
            for index in [0, 1] {
                let failed = &world.peer(index).failed;
                assert!(failed.is_empty(), "{kinds:?}, seed {seed}, {line:?}, {later:?} later: {failed:?}");
            }
            world.assert_they_talk([0, 1]);
        }
    }
}

/// Where the server's word comes late to one of two bare masquerades, so do its first punches, and the attempt is lost. The
/// next ones begin late enough for a word that had to be said again.
#[test]
fn bare_masquerades_connect_over_lines_that_lose_a_tenth_but_for_one_in_five_thousand() {
    const WORLDS: u64 = 10_000;
    let unlucky = (0..WORLDS).filter(|seed| {
        let kinds: [&[RouterKind]; 2] = [&[RouterKind::BareMasquerade]; 2];
        let mut world = World::of_two(*seed, kinds, losing_a_tenth(), Detour::default());
        world.register();
        world.connect(0, 1).is_err()
    });
    let unlucky: Vec<u64> = unlucky.collect();
    assert!(unlucky.len() <= 2, "seeds {unlucky:?}");
}

#[test]
fn a_server_that_is_far_in_one_direction_only_hinders_nobody_but_bare_masquerades() {
    for kinds @ [first, second] in that_can_be_punched() {
        if kinds.contains(&RouterKind::BareMasquerade) {
            continue;
        }
        let detour = Detour { out: Duration::ZERO, back: Duration::from_millis(300) };
        let line = Link::delayed(Duration::from_millis(5));
        let mut world = World::of_two(1, [&[first], &[second]], line, detour);
        world.register();
        let reached = world.connect(0, 1).unwrap();
        assert!(reached.took < Duration::from_secs(2), "{first} to {second}: {reached:?}");
        assert_ne!(reached.via, Via::Lan);
    }
}
