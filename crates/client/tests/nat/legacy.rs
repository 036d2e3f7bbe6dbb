//! Servers and peers that know the legacy contract only.

use std::time::Duration;

use nat_simulator::{Link, RouterKind};
use peer_client::{ConnectError, Target};

use crate::peer::{Detour, Peer};
use crate::world::World;

const HOME: &[RouterKind] = &[RouterKind::HomeRouter];

#[test]
fn with_a_legacy_server_peers_meet_by_their_ip_addresses() {
    let mut world = World::with_server(1, "203.0.113.1", false);
    for _ in 0..2 {
        world.add_household(HOME, Link::delayed(Duration::from_millis(15)), Detour::default());
    }
    world.register();
    assert!([0, 1].iter().all(|index| world.peer(*index).is_legacy()));
    let (ip, id) = (world.peer(1).address().ip(), world.peer(1).id);
    assert_eq!(world.connect_to(0, 1, Target::Id(id)).unwrap_err(), ConnectError::LegacyServer);
    world.connect_to(0, 1, Target::Ip(ip)).unwrap();
    let nobody = "203.0.113.99".parse().unwrap();
    assert_eq!(world.connect_to(0, 1, Target::Ip(nobody)).unwrap_err(), ConnectError::NotFound);
    world.pass(Duration::from_hours(1));
    assert!(world.peer(0).is_registered());
    world.act(0, Peer::close);
    assert!(world.peer(0).closed);
}
