//! The engine under floods of forged registrations, on virtual time.

use std::net::SocketAddr;

use crate::{Arrival, Engine, Legacy, LegacyLimits, Outbox, Outcome};

const SECOND_US: u64 = 1_000_000;
const NOBODY: [u32; 0] = [];
const MOST: u32 = 100_000;
const HONEST: u32 = 1_000;
const KEEP_ALIVE_US: u64 = 20 * SECOND_US;
/// Datagrams of the flood a second.
const RATE: u64 = 50_000;
const REGISTER: &[u8] = br#"{"type":"register"}"#;

/// An engine that is flooded while honest peers keep alive.
struct Flooded {
    engine: Engine,
    out: Outbox,
    now_us: u64,
    forged: u32,
}

impl Flooded {
    fn new() -> Self {
        let engine = Engine::new(MOST, Legacy::Limited(LegacyLimits::default()));
        let mut flooded = Self { engine, out: Outbox::default(), now_us: SECOND_US, forged: 0 };
        for number in 0..HONEST {
            flooded.register(honest(number));
        }
        flooded
    }

    fn send(&mut self, from: SocketAddr, datagram: &[u8]) -> Outcome {
        let arrival = Arrival { from, socket: 0, local: None, local_port: 12_345 };
        self.out.clear();
        self.engine.handle(self.now_us, arrival, datagram, &mut self.out)
    }

    fn register(&mut self, from: SocketAddr) -> Outcome {
        self.send(from, REGISTER)
    }

    fn connect(&mut self, from: SocketAddr, target: SocketAddr) -> Outcome {
        self.send(from, format!(r#"{{"type":"connect","target_ip":"{}"}}"#, target.ip()).as_bytes())
    }

    /// A flood of so long, each forged source sending `times`. `each_ms` is called every millisecond.
    fn flood(&mut self, seconds: u64, times: usize, mut each_ms: impl FnMut(&mut Self)) {
        let start_us = self.now_us;
        let mut keep_alives = 0;
        for ms in 1..=seconds * 1_000 {
            self.now_us = start_us + ms * 1_000;
            for _ in 0..RATE / 1_000 {
                for _ in 0..times {
                    self.register(forged(self.forged));
                }
                self.forged += 1;
            }
            while keep_alives * KEEP_ALIVE_US / u64::from(HONEST) <= ms * 1_000 {
                self.register(honest(u32::try_from(keep_alives).unwrap_or(0) % HONEST));
                keep_alives += 1;
            }
            each_ms(self);
            if ms % 1_000 == 0 {
                self.engine.tick(self.now_us);
            }
        }
    }

    /// Whether the honest peer after this one is found by this one.
    fn finds_another(&mut self, number: u32) -> bool {
        self.connect(honest(number), honest((number + 1) % HONEST)) == Outcome::Matched
    }

    /// Honest peers whose next is not found.
    fn missing(&mut self) -> Vec<u32> {
        (0..HONEST).filter(|number| !self.finds_another(*number)).collect()
    }
}

fn honest(number: u32) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4((0xcb00_0000 + number).into()), 5_000)
}

fn newcomer(number: u32) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4((0xc000_0300 + number).into()), 6_000)
}

fn forged(number: u32) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4((0x0a00_0000 + number).into()), 7_000)
}

#[test]
fn a_flood_loses_no_peer_that_came_before_and_keeps_alive() {
    let mut flooded = Flooded::new();
    flooded.flood(32, 1, |flooded| assert!(flooded.engine.len() <= MOST as usize));
    assert_eq!(flooded.missing(), NOBODY);
}

#[test]
fn a_flood_that_sends_twice_loses_none_of_them_either_and_takes_what_room_is_left() {
    let mut flooded = Flooded::new();
    flooded.flood(4, 2, |_| {});
    assert_eq!(flooded.missing(), NOBODY);
    assert_eq!(flooded.register(newcomer(0)), Outcome::TableFull);
    assert_eq!(flooded.out.len(), 1, "it is told its address all the same");
    flooded.flood(24, 2, |_| {});
    assert_eq!(flooded.missing(), NOBODY);
}

#[test]
fn who_comes_during_a_flood_and_speaks_again_within_half_a_second_stays() {
    let mut flooded = Flooded::new();
    // One comes every 20 ms, and asks for another half a second later.
    let mut ms = 0;
    flooded.flood(20, 1, |flooded| {
        ms += 1;
        if ms % 20 == 0 {
            flooded.register(newcomer(ms / 20));
        }
        if ms > 500 && ms % 20 == 0 {
            flooded.connect(newcomer(ms / 20 - 25), honest(ms / 20));
        }
    });
    let last = ms / 20 - 25;
    let missing: Vec<u32> = (1..=last)
        .filter(|number| flooded.connect(honest(*number % HONEST), newcomer(*number)) != Outcome::Matched)
        .collect();
    assert_eq!((last, missing), (975, NOBODY.to_vec()));
}

#[test]
fn the_room_of_all_shards_together_is_what_was_asked_for() {
    for most in [100_000, 65_537] {
        let engine = Engine::new(most, Legacy::On);
        let mut out = Outbox::default();
        for number in 0..2 * most {
            let arrival = Arrival { from: forged(number), socket: 0, local: None, local_port: 12_345 };
            engine.handle(0, arrival, REGISTER, &mut out);
            out.clear();
        }
        assert_eq!(engine.len(), most as usize);
    }
}
