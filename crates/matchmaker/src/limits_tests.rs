//! The engine under its limits, on virtual time.
#![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::{Arrival, Engine, Legacy, LegacyLimits, Outbox, Outcome};

const SECOND_US: u64 = 1_000_000;
const REGISTER: &str = r#"{"type":"register"}"#;

/// An engine with the default limits, and what it sent to whom.
struct Limited {
    engine: Engine,
    now_us: u64,
    sent: BTreeMap<IpAddr, usize>,
    bytes: usize,
}

impl Limited {
    fn new(limits: LegacyLimits) -> Self {
        let engine = Engine::new(1_000_000, Legacy::Limited(limits));
        Self { engine, now_us: 0, sent: BTreeMap::new(), bytes: 0 }
    }

    fn send(&mut self, from: SocketAddr, datagram: &str) -> Outcome {
        let arrival = Arrival { from, socket: 0, local: None, local_port: 12_345 };
        let mut out = Outbox::default();
        let outcome = self.engine.handle(self.now_us, arrival, datagram.as_bytes(), &mut out);
        for datagram in out.iter() {
            *self.sent.entry(datagram.to.ip()).or_default() += 1;
            self.bytes += datagram.bytes.len();
        }
        outcome
    }

    fn sent_to(&self, addr: SocketAddr) -> usize {
        self.sent.get(&addr.ip()).copied().unwrap_or(0)
    }
}

fn addr(number: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::V4((0xcb00_0000 + number).into()), 5_000)
}

fn connect(target: SocketAddr) -> String {
    format!(r#"{{"type":"connect","target_ip":"{}"}}"#, target.ip())
}

#[test]
fn a_source_gets_its_burst_and_then_its_rate() {
    let mut limited = Limited::new(LegacyLimits::default());
    for step in 0..100_000_u64 {
        limited.now_us = step * 100;
        limited.send(addr(1), REGISTER);
    }
    // Ten seconds of ten thousand a second.
    assert!((2_990..=3_001).contains(&limited.sent_to(addr(1))), "{}", limited.sent_to(addr(1)));
    // What it cannot have does not cost it its registration.
    assert_eq!(limited.send(addr(2), REGISTER), Outcome::Registered);
    assert_eq!(limited.send(addr(2), &connect(addr(1))), Outcome::Matched);
}

#[test]
fn an_ipv6_customer_is_one_source_whatever_address_he_takes() {
    let mut limited = Limited::new(LegacyLimits::default());
    let answered = (0..5_000_u128)
        .filter(|host| {
            let ip = IpAddr::V6(((0x2001_0db8_0000_0001_u128 << 64) + host + 1).into());
            limited.send(SocketAddr::new(ip, 5), REGISTER) == Outcome::Registered
        })
        .count();
    assert_eq!(answered, 1_000);
    let neighbour = IpAddr::V6(((0x2001_0db8_0000_0002_u128 << 64) + 1).into());
    assert_eq!(limited.send(SocketAddr::new(neighbour, 5), REGISTER), Outcome::Registered);
}

#[test]
fn a_pair_has_a_rate_of_its_own() {
    let mut limited = Limited::new(LegacyLimits::default());
    for peer in 1..=3 {
        limited.send(addr(peer), REGISTER);
    }
    let count = |limited: &mut Limited, target| {
        (0..100).filter(|_| limited.send(addr(1), &connect(addr(target))) == Outcome::Matched).count()
    };
    assert_eq!(count(&mut limited, 2), 8);
    assert_eq!(count(&mut limited, 3), 8);
    limited.now_us += SECOND_US;
    assert_eq!(count(&mut limited, 2), 4);
}

#[test]
fn a_target_gets_no_more_than_its_rate_whoever_asks() {
    let mut limited = Limited::new(LegacyLimits::default());
    let victim = addr(0);
    limited.send(victim, REGISTER);
    for asker in 1..=20_000 {
        limited.send(addr(asker), REGISTER);
    }
    let before = limited.sent_to(victim);
    for asker in 1..=20_000 {
        limited.now_us += 500;
        limited.send(addr(asker), &connect(victim));
    }
    // Ten seconds.
    assert!(limited.sent_to(victim) - before <= 100 + 500, "{}", limited.sent_to(victim));
    assert!(limited.sent_to(victim) - before >= 590);
}

#[test]
fn sources_that_are_not_registered_share_a_small_budget() {
    let mut limited = Limited::new(LegacyLimits::default());
    let victim = addr(0);
    limited.send(victim, REGISTER);
    for target in 1..=1_000 {
        limited.send(addr(target), REGISTER);
    }
    let before: usize = limited.sent.values().sum();
    for asker in 0..10_000_u32 {
        limited.now_us += 1_000;
        limited.send(addr(100_000 + asker), &connect(victim));
    }
    // Ten a second for the target, each told to the asker too.
    let after: usize = limited.sent.values().sum();
    assert!(after - before <= 2 * (10 + 100), "{}", after - before);
    for asker in 0..10_000_u32 {
        limited.now_us += 1_000;
        limited.send(addr(200_000 + asker), &connect(addr(1 + asker % 1_000)));
    }
    let last: usize = limited.sent.values().sum();
    assert!(last - after <= 2 * (200 + 1_000), "{}", last - after);
}

#[test]
fn a_source_that_is_not_registered_gets_no_more_bytes_than_it_sent_beyond_its_burst() {
    let limits = LegacyLimits::default();
    let datagrams = ["{}", r#"{"type":"connect"}"#, r#"{"type":"connect","target_ip":"x"}"#];
    for datagram in datagrams.map(str::to_owned).into_iter().chain([connect(addr(1))]) {
        let mut limited = Limited::new(limits);
        limited.send(addr(1), REGISTER);
        limited.bytes = 0;
        let mut received = 0;
        for _ in 0..20_000 {
            limited.now_us += 500;
            limited.send(addr(2), &datagram);
            received += datagram.len();
        }
        let most = received + limits.unregistered_burst_bytes as usize + 100;
        assert!(limited.bytes <= most, "{datagram}: {} of {received}", limited.bytes);
        assert!(limited.bytes > 4_000, "{datagram}: {}", limited.bytes);
    }
}

#[test]
fn loopback_is_exempt_unless_it_is_told_otherwise() {
    for (loopback, expected) in [(false, 5_000), (true, 1_000)] {
        let mut limited = Limited::new(LegacyLimits { loopback, ..LegacyLimits::default() });
        let from: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let answered = (0..5_000).filter(|_| limited.send(from, REGISTER) == Outcome::Registered).count();
        assert_eq!(answered, expected);
    }
}

#[test]
fn on_has_no_limits_and_off_answers_nothing() {
    for (legacy, expected) in
        [(Legacy::On, Outcome::Registered), (Legacy::Off(LegacyLimits::default()), Outcome::LegacyOff)]
    {
        let engine = Engine::new(10, legacy);
        let arrival = Arrival { from: addr(1), socket: 0, local: None, local_port: 12_345 };
        for _ in 0..5_000 {
            let outcome = engine.handle(0, arrival, REGISTER.as_bytes(), &mut Outbox::default());
            assert_eq!(outcome, expected);
        }
    }
}

#[test]
fn who_is_refused_for_others_is_not_charged_for_it() {
    let mut limited = Limited::new(LegacyLimits::default());
    let (victim, honest, other) = (addr(0), addr(1), addr(2));
    limited.send(victim, REGISTER);
    limited.send(other, REGISTER);
    // Forged sources keep the victim's rate for the unregistered used up, for 100 seconds.
    for step in 0..10_000_u32 {
        limited.now_us += 10_000;
        limited.send(addr(1_000_000 + step), &connect(victim));
        if step % 50 == 0 {
            limited.send(honest, &connect(victim));
        }
    }
    let before = limited.sent_to(honest);
    limited.send(honest, &connect(other));
    assert_eq!(limited.sent_to(honest), before + 1);
}

#[test]
fn one_ipv6_customer_cannot_throw_others_out_of_a_table_with_room() {
    let mut limited = Limited::new(LegacyLimits::default());
    let peers: Vec<SocketAddr> = (0..2_000).map(addr).collect();
    for peer in &peers {
        limited.send(*peer, REGISTER);
    }
    for host in 0..23_000_u128 {
        limited.now_us += 5_000;
        let ip = IpAddr::V6(((0x2001_0db8_0000_0001_u128 << 64) + host + 1).into());
        assert_eq!(limited.send(SocketAddr::new(ip, 5), REGISTER), Outcome::Registered);
    }
    for (first, second) in peers.iter().zip(peers.iter().skip(1)) {
        assert_eq!(limited.send(*first, &connect(*second)), Outcome::Matched);
    }
}
