//! How long a silent peer can be reached.

use std::time::Duration;

use nat_simulator::{Link, RouterKind};

use crate::legacy_peer::LegacyPeer;
use crate::world::World;

/// The second peer registers, is silent for so long, and then the first one asks for it. Whether it learns of that.
fn is_told_after(kind: RouterKind, silence: Duration) -> bool {
    let line = Link::delayed(Duration::from_millis(15));
    let mut world = World::new(1, [&[RouterKind::HomeRouter], &[kind]], line, Duration::ZERO);
    world.register(1);
    world.pass(silence);
    world.register(0);
    world.connect();
    world.pass(Duration::from_secs(1));
    assert!(world.peer(0).was_told(), "the server keeps it for two minutes");
    world.peer(1).was_told()
}

#[test]
fn a_peer_that_registered_once_is_reached_after_25_seconds_and_not_after_33() {
    for kind in RouterKind::TABLE {
        assert!(is_told_after(kind, Duration::from_secs(25)), "{kind}");
        assert!(!is_told_after(kind, Duration::from_secs(33)), "{kind}");
    }
}

#[test]
fn a_peer_that_registers_every_20_seconds_is_reached_for_hours() {
    let line = Link::delayed(Duration::from_millis(15));
    let mut world = World::new(1, [&[RouterKind::HomeRouter]; 2], line, Duration::ZERO);
    for _ in 0..3 * 60 * 3 {
        world.act(1, LegacyPeer::register);
        world.pass(Duration::from_secs(20));
    }
    world.register(0);
    world.connect();
    world.pass(Duration::from_secs(1));
    assert!(world.peer(1).was_told());
}
