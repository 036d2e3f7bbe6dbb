#![allow(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::net::SocketAddr;
use std::time::Duration;

use crate::{Actions, Attach, Counts, HostId, Link, Node, RouterKind, Simulation};

const SOON: Duration = Duration::from_secs(1);

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Keeps what it hears, and answers `ping`.
#[derive(Debug, Default)]
struct Echo {
    heard: Vec<(Duration, SocketAddr, Vec<u8>)>,
    woken: Vec<Duration>,
}

impl Node for Echo {
    fn on_datagram(
        &mut self,
        now: Duration,
        to: SocketAddr,
        from: SocketAddr,
        bytes: &[u8],
        actions: &mut Actions,
    ) {
        self.heard.push((now, from, bytes.to_vec()));
        if bytes == b"ping" {
            actions.send(to, from, *b"pong");
        }
    }

    fn on_timer(&mut self, now: Duration, _: &mut Actions) {
        self.woken.push(now);
    }
}

fn send(simulation: &mut Simulation<Echo>, host: HostId, from: &str, to: SocketAddr) {
    simulation.act(host, |_, _, actions| actions.send(at(from), to, *b"ping"));
    let until = simulation.now() + SOON;
    simulation.run_until(until);
}

fn sources(simulation: &Simulation<Echo>, host: HostId) -> Vec<SocketAddr> {
    simulation.node(host).heard.iter().map(|(_, from, _)| *from).collect()
}

#[test]
fn a_datagram_takes_the_delay_of_every_link_and_is_answered_through_two_routers() {
    let mut simulation = Simulation::new(1);
    let link = Link::delayed(Duration::from_millis(10));
    let server = simulation.host(Attach::Wan, at("203.0.113.1:0").ip(), Echo::default(), link);
    let carrier = simulation.router(Attach::Wan, at("203.0.113.10:0").ip(), RouterKind::HomeRouter, link);
    let home =
        simulation.router(Attach::Behind(carrier), at("100.64.0.2:0").ip(), RouterKind::HomeRouter, link);
    let host = simulation.host(Attach::Behind(home), at("10.0.0.2:0").ip(), Echo::default(), link);
    send(&mut simulation, host, "10.0.0.2:4000", at("203.0.113.1:12345"));
    assert_eq!(
        simulation.node(server).heard,
        [(Duration::from_millis(40), at("203.0.113.10:4000"), b"ping".to_vec())]
    );
    assert_eq!(
        simulation.node(host).heard,
        [(Duration::from_millis(80), at("203.0.113.1:12345"), b"pong".to_vec())]
    );
    assert_eq!(simulation.counts(), Counts { delivered: 2, ..Counts::default() });
}

#[test]
fn only_a_hairpin_router_carries_datagrams_between_its_hosts_by_its_outer_address() {
    for (kind, carried) in [(RouterKind::Hairpin, true), (RouterKind::FullCone, false)] {
        let mut simulation = Simulation::new(1);
        let link = Link::default();
        simulation.host(Attach::Wan, at("203.0.113.1:0").ip(), Echo::default(), link);
        let router = simulation.router(Attach::Wan, at("203.0.113.10:0").ip(), kind, link);
        let hosts = ["10.0.0.2:5", "10.0.0.3:6"]
            .map(|text| simulation.host(Attach::Behind(router), at(text).ip(), Echo::default(), link));
        send(&mut simulation, hosts[1], "10.0.0.3:6000", at("203.0.113.1:1"));
        send(&mut simulation, hosts[0], "10.0.0.2:5000", at("203.0.113.10:6000"));
        assert_eq!(
            sources(&simulation, hosts[1]).contains(&at("203.0.113.10:5000")),
            carried,
            "{kind}: the second hears the first by its outer address"
        );
        assert_eq!(
            sources(&simulation, hosts[0]).contains(&at("203.0.113.10:6000")),
            carried,
            "{kind}: answer"
        );
        send(&mut simulation, hosts[0], "10.0.0.2:5000", at("10.0.0.3:6000"));
        assert!(sources(&simulation, hosts[1]).contains(&at("10.0.0.2:5000")), "{kind}: directly");
    }
}

#[test]
fn hosts_behind_a_firewall_keep_their_addresses_and_are_found_by_them() {
    let mut simulation = Simulation::new(1);
    let link = Link::default();
    let server = simulation.host(Attach::Wan, at("[2001:db8::1]:0").ip(), Echo::default(), link);
    let router = simulation.router(Attach::Wan, at("[2001:db8::10]:0").ip(), RouterKind::Firewall, link);
    let host = simulation.host(Attach::Behind(router), at("[2001:db8:10::2]:0").ip(), Echo::default(), link);
    send(&mut simulation, server, "[2001:db8::1]:1", at("[2001:db8:10::2]:4000"));
    assert_eq!(simulation.counts().dropped, 1, "nothing comes in unasked");
    send(&mut simulation, host, "[2001:db8:10::2]:4000", at("[2001:db8::1]:1"));
    assert_eq!(sources(&simulation, server), [at("[2001:db8:10::2]:4000")]);
    assert_eq!(sources(&simulation, host), [at("[2001:db8::1]:1")]);
}

#[test]
fn a_link_loses_its_share_and_jitters_within_its_bounds() {
    let mut simulation = Simulation::new(7);
    let link = Link { delay: Duration::from_millis(5), jitter: Duration::from_millis(20), loss: 0.1 };
    let sender = simulation.host(Attach::Wan, at("203.0.113.1:0").ip(), Echo::default(), Link::default());
    let receiver = simulation.host(Attach::Wan, at("203.0.113.2:0").ip(), Echo::default(), link);
    simulation.act(sender, |_, _, actions| {
        for _ in 0..10_000 {
            actions.send(at("203.0.113.1:1"), at("203.0.113.2:1"), *b"data");
        }
    });
    simulation.run_until(SOON);
    let times = simulation.node(receiver).heard.iter().map(|(time, ..)| time.as_micros());
    assert!(times.clone().all(|time| (5_000..=25_000).contains(&time)));
    let mean = times.clone().sum::<u128>() / times.count() as u128;
    assert!((14_500..15_500).contains(&mean), "{mean} us");
    assert!((900..1_100).contains(&simulation.counts().lost), "{:?}", simulation.counts());
}

#[test]
fn the_same_seed_is_the_same_run_and_another_one_is_another() {
    let run = |seed| {
        let mut simulation = Simulation::new(seed);
        let link = Link { delay: SOON / 100, jitter: SOON / 100, loss: 0.2 };
        let server = simulation.host(Attach::Wan, at("203.0.113.1:0").ip(), Echo::default(), link);
        let router = simulation.router(Attach::Wan, at("203.0.113.10:0").ip(), RouterKind::Hard, link);
        let host = simulation.host(Attach::Behind(router), at("10.0.0.2:0").ip(), Echo::default(), link);
        for port in 1..50 {
            send(&mut simulation, host, "10.0.0.2:4000", SocketAddr::new(at("203.0.113.1:0").ip(), port));
        }
        format!("{:?} {:?}", simulation.node(server), simulation.node(host))
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn a_timer_comes_once_and_the_last_one_asked_for_counts() {
    let mut simulation = Simulation::new(1);
    let host = simulation.host(Attach::Wan, at("203.0.113.1:0").ip(), Echo::default(), Link::default());
    simulation.act(host, |_, _, actions| actions.wake_at(SOON));
    simulation.act(host, |_, _, actions| actions.wake_at(2 * SOON));
    simulation.run_until(10 * SOON);
    assert_eq!(simulation.node(host).woken, [2 * SOON]);
    assert_eq!(simulation.now(), 10 * SOON);
}
