//! The routers of the lab do what their kind says. No server of ours takes part.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use black_box::binary::Binary;
use black_box::lab::{Household, Lab, SERVER, SERVER_V6};
use black_box::namespace::Namespace;
use black_box::process::Launch;
use black_box::router::RouterKind;
use black_box::udp::receive;
use nat_simulator::Link;

const SOON: Duration = Duration::from_secs(2);

/// Sends one datagram and gives the source that the receiver sees.
fn source_seen_by(receiver: &UdpSocket, sender: &UdpSocket) -> SocketAddr {
    sender.send_to(b"hello", receiver.local_addr().unwrap()).unwrap();
    receive(receiver, SOON).expect("hosts reach the wide area network").1
}

struct Bench {
    lab: Lab,
    server: Namespace,
    household: Household,
    inside: UdpSocket,
    /// Of one address.
    outside: [UdpSocket; 2],
}

fn bench(kind: RouterKind) -> Option<Bench> {
    let lab = Lab::open()?;
    let server = lab.server();
    let household = lab.household(kind);
    let inside = household.socket();
    let outside = server.run(|| [(); 2].map(|()| UdpSocket::bind((SERVER, 0)).unwrap()));
    Some(Bench { lab, server, household, inside, outside })
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
fn restricted_cones_let_in_by_address_or_by_port_what_the_host_has_written_to() {
    for (kind, by_address) in [(RouterKind::AddressRestricted, true), (RouterKind::PortRestricted, false)] {
        let Some(bench) = bench(kind) else { return };
        let elsewhere = bench.lab.household(RouterKind::FullCone).socket();
        let seen = source_seen_by(&bench.outside[0], &bench.inside);
        elsewhere.send_to(b"another address", seen).unwrap();
        assert_eq!(lets_in_a_stranger(&bench, seen), by_address, "{kind}: another port of the address");
        assert_eq!(source_seen_by(&bench.outside[1], &bench.inside), seen, "{kind}: one port for all");
        let rest = std::iter::from_fn(|| receive(&bench.inside, Duration::from_millis(1)));
        assert!(rest.into_iter().all(|(bytes, _)| bytes != b"another address"), "{kind}");
    }
}

#[test]
fn a_bare_masquerade_loses_its_port_to_a_stranger_who_comes_first() {
    let Some(bench) = bench(RouterKind::BareMasquerade) else { return };
    let seen = source_seen_by(&bench.outside[0], &bench.inside);
    assert!(!lets_in_a_stranger(&bench, seen));
    assert_ne!(source_seen_by(&bench.outside[1], &bench.inside), seen);
}

#[test]
fn a_port_that_a_masquerade_chose_for_want_of_the_own_one_stays_for_all_that_follow() {
    let Some(bench) = bench(RouterKind::BareMasquerade) else { return };
    let third = bench.server.run(|| UdpSocket::bind((SERVER, 0)).unwrap());
    let seen = source_seen_by(&bench.outside[0], &bench.inside);
    assert!(!lets_in_a_stranger(&bench, seen));
    let other = source_seen_by(&bench.outside[1], &bench.inside);
    assert_ne!(other, seen);
    assert_eq!(source_seen_by(&third, &bench.inside), other);
    assert_eq!(source_seen_by(&bench.outside[0], &bench.inside), seen, "a flow keeps its own");
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

#[test]
fn a_router_that_forgets_shows_its_usual_port_again_and_lets_in_nobody() {
    let Some(bench) = bench(RouterKind::BareMasquerade) else { return };
    let seen = source_seen_by(&bench.outside[0], &bench.inside);
    assert!(!lets_in_a_stranger(&bench, seen));
    bench.household.forget();
    assert_eq!(source_seen_by(&bench.outside[1], &bench.inside), seen, "the stranger's flow is forgotten");

    let cone = bench.lab.household(RouterKind::FullCone);
    let (inside, [first, second]) = (cone.socket(), &bench.outside);
    let seen = source_seen_by(first, &inside);
    cone.forget();
    first.send_to(b"to a forgotten mapping", seen).unwrap();
    source_seen_by(second, &inside);
    second.send_to(b"to the new one", seen).unwrap();
    assert_eq!(receive(&inside, SOON).unwrap().0, b"to the new one");
}

#[test]
fn hosts_of_one_household_meet_directly_and_by_the_outer_address_only_where_it_is_a_hairpin() {
    for (kind, carried) in [(RouterKind::Hairpin, true), (RouterKind::FullCone, false)] {
        let Some(bench) = bench(kind) else { return };
        let household = bench.lab.household(kind).with_another_host();
        let hosts = [household.socket_of(0), household.socket_of(1)];
        let seen = hosts.each_ref().map(|host| source_seen_by(&bench.outside[0], host));
        hosts[0].send_to(b"around", seen[1]).unwrap();
        hosts[0].send_to(b"directly", hosts[1].local_addr().unwrap()).unwrap();
        let first = receive(&hosts[1], SOON).unwrap();
        if carried {
            assert_eq!(first, (b"around".to_vec(), seen[0]), "by the outer address (RFC 4787, REQ-9)");
            hosts[1].send_to(b"answer", seen[0]).unwrap();
            assert_eq!(receive(&hosts[0], SOON).unwrap(), (b"answer".to_vec(), seen[1]));
        } else {
            assert_eq!(first, (b"directly".to_vec(), hosts[0].local_addr().unwrap()));
        }
    }
}

#[test]
fn a_customer_of_a_carrier_is_seen_by_the_address_of_the_carrier() {
    let Some(bench) = bench(RouterKind::HomeRouter) else { return };
    let carrier = bench.lab.carrier(RouterKind::HomeRouter);
    let customers = [(); 2].map(|()| bench.lab.customer(&carrier, RouterKind::HomeRouter));
    let seen = customers.each_ref().map(|customer| source_seen_by(&bench.outside[0], &customer.socket()));
    assert_eq!(seen[0].ip(), customers[0].public);
    assert_eq!(seen[0].ip(), seen[1].ip());
    assert_ne!(seen[0], seen[1]);
    assert_ne!(seen[0].ip(), bench.household.public);
}

#[test]
fn a_firewall_leaves_ipv6_hosts_their_addresses_and_lets_in_answers_only() {
    let Some(bench) = bench(RouterKind::FullCone) else { return };
    bench.lab.speak_ipv6(&bench.server);
    let outside = bench.server.run(|| [(); 2].map(|()| UdpSocket::bind((SERVER_V6, 0)).unwrap()));
    let household = bench.lab.household(RouterKind::Firewall);
    let bench = Bench { inside: household.socket(), household, outside, ..bench };
    let seen = source_seen_by(&bench.outside[0], &bench.inside);
    assert_eq!(seen, bench.inside.local_addr().unwrap());
    assert!(!lets_in_a_stranger(&bench, seen));
}

#[test]
fn a_line_takes_its_time_jitters_and_loses_its_share() {
    const BATCHES: u16 = 10;
    const BATCH: u16 = 100;
    let link = Link { delay: Duration::from_millis(30), jitter: Duration::from_millis(20), loss: 0.1 };
    let Some(bench) = bench(RouterKind::HomeRouter) else { return };
    let household = bench.lab.household_on(RouterKind::HomeRouter, link, 7);
    let (inside, server) = (household.socket(), &bench.outside[0]);
    let to = server.local_addr().unwrap();
    let (mut arrived, mut overtaken) = (0_u16, false);
    for _ in 0..BATCHES {
        let sent = Instant::now();
        for number in 0..BATCH {
            inside.send_to(&number.to_be_bytes(), to).unwrap();
        }
        let mut newest = 0;
        // After so long a silence nothing of this batch comes any more.
        while let Some((bytes, _)) = receive(server, 2 * (link.delay + link.jitter)) {
            assert!(sent.elapsed() >= link.delay, "not before its time");
            let number = u16::from_be_bytes(bytes.try_into().unwrap());
            arrived += 1;
            overtaken |= number < newest;
            newest = newest.max(number);
        }
    }
    let expected = BATCHES * BATCH / 10 * 9;
    assert!(arrived.abs_diff(expected) < 60, "{arrived} of {}", BATCHES * BATCH);
    assert!(overtaken, "jitter lets one overtake another");
}

#[test]
fn a_program_that_is_started_in_a_household_is_inside() {
    let Some(bench) = bench(RouterKind::HomeRouter) else { return };
    let home = SocketAddr::new(bench.household.address_of(0), 0);
    let launch = Launch::new(Binary::Matchmaker).set("MATCHMAKER_LISTEN", &home.to_string());
    let mut process = bench.household.spawn(&launch);
    process.wait_for_listeners("matchmaker", 1);
    assert_eq!(process.address("matchmaker").ip(), home.ip(), "nobody else has this address");
    assert_ne!(home.ip(), IpAddr::from(SERVER));
}

#[test]
fn the_namespaces_of_a_lab_go_with_it_after_a_panic_too() {
    let exists = |name: &String| Path::new("/run/netns").join(name).exists();
    let made = Mutex::new(Vec::new());
    let Some(lab) = Lab::open() else { return };
    let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let customer = lab.customer(&lab.carrier(RouterKind::Hard), RouterKind::HomeRouter);
        let line = Link::delayed(Duration::from_millis(1));
        let on_a_line = lab.household_on(RouterKind::HomeRouter, line, 1);
        let names = [&customer, &on_a_line].into_iter().flat_map(Household::namespaces);
        made.lock().unwrap().extend(names.map(|namespace| namespace.reference().to_owned()));
        assert!(made.lock().unwrap().iter().all(exists));
        panic!("as a failing test does");
    }));
    assert!(panicked.is_err());
    let made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(made.len(), 4);
    assert!(!made.iter().any(exists));
}
