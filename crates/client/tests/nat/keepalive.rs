//! Hours that pass.

use std::time::Duration;

use nat_simulator::{Link, RouterKind};

use crate::peer::Detour;
use crate::world::World;

const HOUR: Duration = Duration::from_hours(1);
const HOME: &[RouterKind] = &[RouterKind::HomeRouter];

#[test]
fn a_peer_behind_a_home_router_is_found_after_an_hour() {
    let line = Link { delay: Duration::from_millis(15), jitter: Duration::from_millis(5), loss: 0.02 };
    let mut world = World::of_two(1, [HOME, HOME], line, Detour::default());
    world.register();
    let addresses = [0, 1].map(|index| world.peer(index).address());
    world.pass(HOUR);
    assert_eq!([0, 1].map(|index| world.peer(index).address()), addresses, "no NAT forgot them");
    world.connect(0, 1).unwrap();
}

#[test]
fn a_path_on_which_nothing_is_said_is_open_after_an_hour() {
    for kinds in
        [[HOME, HOME], [HOME, &[RouterKind::BareMasquerade]], [&[RouterKind::Hard], &[RouterKind::FullCone]]]
    {
        let line = Link { delay: Duration::from_millis(15), jitter: Duration::ZERO, loss: 0.02 };
        let mut world = World::of_two(1, kinds, line, Detour::default());
        world.register();
        world.connect(0, 1).unwrap();
        world.pass(HOUR);
        assert_eq!([0, 1].map(|index| world.peer(index).closed_paths), [0, 0], "{kinds:?}");
        world.assert_they_talk([0, 1]);
    }
}
