//! Places that peers may be at, other than each behind a router of its own.

use std::net::SocketAddr;
use std::time::Duration;

use nat_simulator::{Attach, Link, RouterKind};
use peer_client::{ConnectError, Target, Via};

use crate::peer::{Detour, Peer};
use crate::world::World;

const HOME: &[RouterKind] = &[RouterKind::HomeRouter];

fn line() -> Link {
    Link::delayed(Duration::from_millis(15))
}

#[test]
fn twenty_peers_behind_one_nat_are_reached_at_their_local_addresses() {
    let mut world = World::new(1);
    let router = world.router(Attach::Wan, RouterKind::HomeRouter, line());
    for number in 0..20 {
        let local: SocketAddr = format!("10.1.0.{}:40000", 2 + number).parse().unwrap();
        world.host(Attach::Behind(router), local, Detour::default());
    }
    world.register();
    for target in 1..20 {
        let reached = world.connect(0, target).unwrap();
        assert_eq!(reached.via, Via::Lan);
        let (_, path) = world.peer(0).connected.last().copied().unwrap();
        assert_eq!(path.peer, format!("10.1.0.{}:40000", 2 + target).parse().unwrap());
        assert_eq!(path.id, Some(world.peer(target).id));
    }
    let ip = world.peer(1).address().ip();
    assert_eq!(world.connect_to(0, 1, Target::Ip(ip)).unwrap_err(), ConnectError::Ambiguous);
    let address = world.peer(1).address();
    assert_eq!(world.connect_to(0, 1, Target::Addr(address)).unwrap().via, Via::Lan);
}

#[test]
fn two_behind_one_nat_of_every_kind_meet() {
    for kind in RouterKind::TABLE.into_iter().chain([RouterKind::Hairpin]) {
        let mut world = World::new(1);
        let router = world.router(Attach::Wan, kind, line());
        for number in 0..2 {
            let local = SocketAddr::from(([10, 1, 0, 2 + number], 40_000));
            world.host(Attach::Behind(router), local, Detour::default());
        }
        world.register();
        assert_eq!(world.connect(0, 1).unwrap().via, Via::Lan, "{kind}");
    }
}

#[test]
fn neighbours_of_a_carrier_that_hairpins_meet_and_nobody_takes_itself_for_the_other() {
    let mut world = World::new(1);
    let carrier = world.router(Attach::Wan, RouterKind::Hairpin, line());
    for _ in 0..2 {
        let home = world.router(Attach::Behind(carrier), RouterKind::HomeRouter, Link::default());
        // Both homes have the same addresses.
        world.host(Attach::Behind(home), "10.0.0.2:40000".parse().unwrap(), Detour::default());
    }
    world.register();
    assert_ne!(world.connect(0, 1).unwrap().via, Via::Lan);
}

#[test]
fn a_customer_of_a_carrier_meets_whom_the_harder_of_its_routers_lets_it() {
    for (carrier, home, through) in nat_simulator::expected::BY_CARRIER {
        let mut world = World::of_two(1, [&[carrier, home], HOME], line(), Detour::default());
        world.register();
        assert_eq!(world.connect(0, 1).is_ok(), through, "{home} behind {carrier}");
        assert_eq!(world.connect(1, 0).is_ok(), through, "{home} behind {carrier}, the other way round");
    }
}

#[test]
fn two_behind_firewalls_of_ipv6_meet_at_their_own_addresses() {
    let mut world = World::with_server(1, "2001:db8::1", true);
    for number in [1, 2] {
        let firewall = world.firewall(line());
        let local = format!("[2001:db8:{number}::2]:40000").parse().unwrap();
        world.host(Attach::Behind(firewall), local, Detour::default());
    }
    world.register();
    assert_eq!(world.connect(0, 1).unwrap().via, Via::Mapped);
    assert_eq!(world.peer(0).address(), "[2001:db8:1::2]:40000".parse().unwrap());
}

#[test]
fn two_that_ask_for_each_other_at_once_have_one_path() {
    let mut world = World::of_two(1, [HOME, HOME], line(), Detour::default());
    world.register();
    let ids = [0, 1].map(|index| world.peer(index).id);
    for (index, target) in [(0, ids[1]), (1, ids[0])] {
        world.act(index, |peer, now, actions| peer.connect(now, Target::Id(target), actions));
    }
    assert!(
        world.pass_until(Duration::from_secs(2), |peers| peers.iter().all(|peer| peer.connected.len() == 2))
    );
    for index in [0, 1] {
        let connected = &world.peer(index).connected;
        assert_eq!(connected[0].1.path, connected[1].1.path);
    }
    world.assert_they_talk([0, 1]);
}

#[test]
fn two_that_ask_for_each_other_again_and_again_keep_their_path() {
    let mut world = World::of_two(1, [HOME, HOME], line(), Detour::default());
    world.register();
    for number in 0..20 {
        world.connect(number % 2, (number + 1) % 2).unwrap();
    }
    world.pass(Duration::from_mins(5));
    for index in [0, 1] {
        let peer = world.peer(index);
        assert_eq!(peer.closed_paths, 0);
        assert!(peer.connected.iter().all(|(_, connected)| connected.path == peer.connected[0].1.path));
    }
    world.assert_they_talk([0, 1]);
}

#[test]
fn whoever_is_not_there_is_not_found_and_whoever_left_neither() {
    let mut world = World::of_two(1, [HOME, HOME], line(), Detour::default());
    world.register();
    let own = world.peer(0).id;
    assert_eq!(world.connect_to(0, 0, Target::Id(own)).unwrap_err(), ConnectError::NotFound);
    world.connect(0, 1).unwrap();
    world.act(1, Peer::close);
    assert!(world.pass_until(Duration::from_secs(2), |peers| peers[1].closed && peers[0].closed_paths == 1));
    assert_eq!(world.connect(0, 1).unwrap_err(), ConnectError::NotFound);
}
