#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails has failed the test")]

use std::net::SocketAddr;
use std::time::Duration;

use fastrand::Rng;

use crate::RouterKind::{
    self, AddressRestricted, BareMasquerade, Firewall, FullCone, Hard, HomeRouter, PortRestricted,
};
use crate::flow::{ASSURED, FLOWS_MAX, UNASSURED};
use crate::router::Router;

const MOMENT: Duration = Duration::from_millis(1);

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A router at 203.0.113.10 with a host that wrote to a friend just now.
struct Bench {
    router: Router,
    rng: Rng,
    inside: SocketAddr,
    friend: SocketAddr,
    mapping: SocketAddr,
}

impl Bench {
    fn new(kind: RouterKind) -> Self {
        let mut router = Router::new(kind.behaviour(), at("203.0.113.10:1").ip());
        let mut rng = Rng::with_seed(1);
        let (inside, friend) = (at("10.10.0.2:40000"), at("203.0.113.1:12345"));
        let mapping = router.outbound(Duration::ZERO, inside, friend, &mut rng).unwrap();
        Self { router, rng, inside, friend, mapping }
    }

    fn out(&mut self, now: Duration, to: SocketAddr) -> SocketAddr {
        self.router.outbound(now, self.inside, to, &mut self.rng).unwrap()
    }

    fn lets_in(&mut self, now: Duration, from: SocketAddr) -> bool {
        self.router.inbound(now, from, self.mapping).inspect(|to| assert_eq!(*to, self.inside)).is_some()
    }
}

#[test]
fn every_kind_lets_in_whom_it_should_and_shows_one_port_where_it_should() {
    let (neighbour, stranger) = (at("203.0.113.1:9"), at("203.0.113.77:12345"));
    for (kind, neighbour_in, stranger_in, one_port) in [
        (FullCone, true, true, true),
        (AddressRestricted, true, false, true),
        (PortRestricted, false, false, true),
        (HomeRouter, false, false, true),
        (BareMasquerade, false, false, false),
        (Hard, false, false, false),
    ] {
        let mut bench = Bench::new(kind);
        let friend = bench.friend;
        assert!(bench.lets_in(MOMENT, friend), "{kind}");
        assert_eq!(bench.lets_in(MOMENT, neighbour), neighbour_in, "{kind}");
        assert_eq!(bench.lets_in(MOMENT, stranger), stranger_in, "{kind}");
        assert_eq!(bench.out(MOMENT, stranger) == bench.mapping, one_port, "{kind}");
    }
}

#[test]
fn a_bare_masquerade_keeps_its_port_where_the_host_comes_first() {
    let mut bench = Bench::new(BareMasquerade);
    let other = at("203.0.113.77:1000");
    assert_eq!(bench.out(MOMENT, other), bench.mapping);
    assert!(bench.lets_in(MOMENT, other));
}

#[test]
fn a_port_that_was_chosen_for_want_of_the_own_one_stays_for_all_that_follow() {
    let mut bench = Bench::new(BareMasquerade);
    let (stranger, third) = (at("203.0.113.77:1000"), at("203.0.113.78:1000"));
    assert!(!bench.lets_in(MOMENT, stranger));
    let other = bench.out(MOMENT, stranger);
    assert_ne!(other, bench.mapping);
    assert_eq!(bench.out(MOMENT, third), other);
    let friend = bench.friend;
    assert_eq!(bench.out(MOMENT, friend), bench.mapping, "a flow keeps its own");
    let mut bench = Bench::new(BareMasquerade);
    bench.lets_in(MOMENT, stranger);
    bench.out(MOMENT, stranger);
    assert_eq!(bench.out(2 * UNASSURED, third), bench.mapping, "once the other flow is forgotten");
}

#[test]
fn a_stray_gives_the_port_back_after_thirty_seconds() {
    let mut bench = Bench::new(BareMasquerade);
    let other = at("203.0.113.77:1000");
    assert!(!bench.lets_in(MOMENT, other));
    assert_ne!(bench.out(MOMENT, other), bench.mapping);
    let mut bench = Bench::new(BareMasquerade);
    assert!(!bench.lets_in(MOMENT, other));
    assert_eq!(bench.out(MOMENT + UNASSURED, other), bench.mapping);
}

#[test]
fn a_flow_of_one_exchange_lives_thirty_seconds_and_one_that_goes_on_two_minutes() {
    for kind in [FullCone, PortRestricted, HomeRouter, Hard] {
        let mut bench = Bench::new(kind);
        let friend = bench.friend;
        assert!(bench.lets_in(MOMENT, friend), "{kind}");
        assert!(bench.lets_in(UNASSURED, friend), "{kind}: what passes renews it");
        let mut bench = Bench::new(kind);
        assert!(bench.lets_in(MOMENT, friend), "{kind}");
        assert!(!bench.lets_in(MOMENT + UNASSURED, friend), "{kind}");

        let mut bench = Bench::new(kind);
        assert!(bench.lets_in(MOMENT, friend), "{kind}");
        let later = Duration::from_secs(3);
        bench.out(later, friend);
        assert!(bench.lets_in(ASSURED, friend), "{kind}");
        assert!(!bench.lets_in(2 * ASSURED, friend), "{kind}");
    }
}

#[test]
fn hosts_with_the_same_port_get_different_ones_outside_and_their_own_answers() {
    for kind in [FullCone, PortRestricted, HomeRouter] {
        let mut bench = Bench::new(kind);
        let second = at("10.10.0.3:40000");
        let mapping = bench.router.outbound(MOMENT, second, bench.friend, &mut bench.rng).unwrap();
        assert_ne!(mapping, bench.mapping, "{kind}");
        assert_eq!(bench.router.inbound(MOMENT, bench.friend, mapping), Some(second), "{kind}");
        assert_eq!(bench.router.inbound(MOMENT, bench.friend, bench.mapping), Some(bench.inside), "{kind}");
    }
}

#[test]
fn a_firewall_translates_nothing_and_lets_in_answers_only() {
    let mut bench = Bench::new(Firewall);
    let (friend, stranger) = (bench.friend, at("203.0.113.77:1"));
    assert_eq!(bench.mapping, bench.inside);
    assert!(!bench.lets_in(MOMENT, stranger));
    assert!(bench.lets_in(MOMENT, friend));
}

#[test]
fn a_full_table_forwards_no_new_flow_until_old_ones_expire() {
    let mut bench = Bench::new(Hard);
    for number in 1..FLOWS_MAX {
        let port = u16::try_from(number).unwrap();
        bench.out(MOMENT, SocketAddr::new(bench.friend.ip(), port));
    }
    let newcomer = at("203.0.113.77:1");
    let (now, inside) = (MOMENT, bench.inside);
    // The friend's own flow is one of those above.
    bench.out(now, newcomer);
    assert_eq!(bench.router.outbound(now, inside, at("203.0.113.77:2"), &mut bench.rng), None);
    bench.out(now + UNASSURED, at("203.0.113.77:2"));
}
