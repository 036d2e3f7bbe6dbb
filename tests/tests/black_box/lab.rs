//! The routers of the lab do what their kind says. No server of ours takes part.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use black_box::lab::{Household, Lab, SERVER};
use black_box::router::RouterKind;
use black_box::udp::receive;

const SOON: Duration = Duration::from_secs(2);

/// Sends one datagram and gives the source that the receiver sees.
fn source_seen_by(receiver: &UdpSocket, sender: &UdpSocket) -> SocketAddr {
    sender.send_to(b"hello", receiver.local_addr().unwrap()).unwrap();
    receive(receiver, SOON).expect("hosts reach the wide area network").1
}

struct Bench {
    lab: Lab,
    household: Household,
    inside: UdpSocket,
    outside: [UdpSocket; 2],
}

fn bench(kind: RouterKind) -> Option<Bench> {
    let lab = Lab::open()?;
    let server = lab.server();
    let household = lab.household(kind);
    let inside = household.socket();
    let outside = server.run(|| [(); 2].map(|()| UdpSocket::bind((SERVER, 0)).unwrap()));
    Some(Bench { lab, household, inside, outside })
}

/// Whether a stranger's datagram reaches the host. What it is let in by is proven afterwards: an answer of somebody
/// whom the host has written to comes in behind it.
fn lets_in_a_stranger(bench: &Bench, mapping: SocketAddr) -> bool {
    let [friend, stranger] = &bench.outside;
    stranger.send_to(b"stranger", mapping).unwrap();
    friend.send_to(b"friend", mapping).unwrap();
    receive(&bench.inside, SOON).expect("an answer comes in").0 == b"stranger"
}

#[test]
fn a_home_router_shows_one_port_and_lets_in_only_whom_the_host_has_written_to() {
    let Some(bench) = bench(RouterKind::HomeRouter) else { return };
    let seen = source_seen_by(&bench.outside[0], &bench.inside);
    assert_eq!(seen.ip(), bench.household.public);
    assert!(!lets_in_a_stranger(&bench, seen));
    assert_eq!(source_seen_by(&bench.outside[1], &bench.inside), seen);
}

#[test]
fn a_bare_masquerade_loses_its_port_to_a_stranger_who_comes_first() {
    let Some(bench) = bench(RouterKind::BareMasquerade) else { return };
    let seen = source_seen_by(&bench.outside[0], &bench.inside);
    assert!(!lets_in_a_stranger(&bench, seen));
    assert_ne!(source_seen_by(&bench.outside[1], &bench.inside), seen);
}

#[test]
fn a_full_cone_shows_one_port_and_lets_in_everybody() {
    let Some(bench) = bench(RouterKind::FullCone) else { return };
    let seen = source_seen_by(&bench.outside[0], &bench.inside);
    assert!(lets_in_a_stranger(&bench, seen));
    assert_eq!(source_seen_by(&bench.outside[1], &bench.inside), seen);
}

#[test]
fn a_hard_router_shows_another_port_to_every_destination() {
    let Some(bench) = bench(RouterKind::Hard) else { return };
    let seen = source_seen_by(&bench.outside[0], &bench.inside);
    assert!(!lets_in_a_stranger(&bench, seen));
    assert_ne!(source_seen_by(&bench.outside[1], &bench.inside), seen);
}

#[test]
fn households_of_one_lab_reach_each_other_only_through_their_routers() {
    let Some(bench) = bench(RouterKind::FullCone) else { return };
    let other = bench.lab.household(RouterKind::HomeRouter);
    let seen = source_seen_by(&bench.outside[0], &bench.inside);
    let caller = other.socket();
    caller.send_to(b"through two routers", seen).unwrap();
    let (_, from) = receive(&bench.inside, SOON).expect("a full cone lets it in");
    assert_eq!(from.ip(), other.public);
}
