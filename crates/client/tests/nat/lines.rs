//! Lines that lose and jitter.

use std::time::Duration;

use nat_simulator::{Link, RouterKind};
use peer_client::Via;

use crate::matrix::can_be_punched;
use crate::peer::Detour;
use crate::world::World;

/// Worlds of each kind.
const SEEDS: u64 = 50;

#[test]
fn every_pair_that_can_be_punched_connects_over_lines_that_lose_a_tenth() {
    for first in RouterKind::TABLE {
        for second in RouterKind::TABLE {
            if !can_be_punched([first, second]) {
                continue;
            }
            for seed in 0..SEEDS {
                let line =
                    Link { delay: Duration::from_millis(15), jitter: Duration::from_millis(5), loss: 0.1 };
                let mut world = World::of_two(seed, [&[first], &[second]], line, Detour::default());
                world.register();
                let reached = world.connect(0, 1);
                assert!(reached.is_ok(), "{first} to {second}, seed {seed}: {reached:?}");
            }
        }
    }
}

/// Where the server's word comes late to one of two bare masquerades, so do its first punches, and the attempt is lost. The
/// next ones begin late enough for a word that had to be said again.
#[test]
fn bare_masquerades_connect_over_lines_that_lose_a_tenth_but_for_one_in_five_thousand() {
    const WORLDS: u64 = 10_000;
    let line = Link { delay: Duration::from_millis(15), jitter: Duration::from_millis(5), loss: 0.1 };
    let unlucky = (0..WORLDS).filter(|seed| {
        let kinds: [&[RouterKind]; 2] = [&[RouterKind::BareMasquerade]; 2];
        let mut world = World::of_two(*seed, kinds, line, Detour::default());
        world.register();
        world.connect(0, 1).is_err()
    });
    let unlucky: Vec<u64> = unlucky.collect();
    assert!(unlucky.len() <= 2, "seeds {unlucky:?}");
}

#[test]
fn a_server_that_is_far_in_one_direction_only_hinders_nobody_but_bare_masquerades() {
    for first in RouterKind::TABLE {
        for second in RouterKind::TABLE {
            let kinds = [first, second];
            if !can_be_punched(kinds) || kinds.contains(&RouterKind::BareMasquerade) {
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
}
