//! Lines that lose and jitter.

use std::time::Duration;

use nat_simulator::{Link, RouterKind};
use peer_client::Via;

use crate::matrix::can_be_punched;
use crate::peer::Detour;
use crate::world::World;

/// Worlds of each kind.
const SEEDS: u64 = 50;

/// Where the server's word is lost, and comes late to one of them, so do the first punches of two bare masquerades: then
/// the attempt is lost, and all three may be.
#[test]
fn every_pair_that_can_be_punched_connects_over_lines_that_lose_a_tenth() {
    let mut unlucky = 0;
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
                if reached.is_err() && [first, second] == [RouterKind::BareMasquerade; 2] {
                    unlucky += 1;
                } else {
                    assert!(reached.is_ok(), "{first} to {second}, seed {seed}: {reached:?}");
                }
            }
        }
    }
    assert!(unlucky * 25 <= SEEDS, "{unlucky} of {SEEDS} bare masquerades");
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
