//! The engine under any sequence of datagrams and pauses: nobody is written to but the sender and who is registered,
//! no datagram has more than two answers, each answer is JSON, the table keeps its bound, and whoever was heard again
//! and is not silent stays in it.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use libfuzzer_sys::fuzz_target;
use matchmaker::{Arrival, Engine, Legacy, LegacyLimits, Outbox, Outcome};

const MOST: u32 = 4;
const TTL_US: u64 = 120_000_000;
/// Who was heard again and not silent for so long is there, whoever else comes.
const LIVE_US: u64 = 30_000_000;
const REGISTER: &[u8] = br#"{"type":"register"}"#;

fuzz_target!(|script: &[u8]| {
    let Some((first, mut script)) = script.split_first() else { return };
    let legacy = if first & 7 != 0 { Legacy::On } else { Legacy::Limited(LegacyLimits::default()) };
    let engine = Engine::new(MOST, legacy);
    let mut out = Outbox::default();
    // When each address was last heard with a datagram that could register or keep it.
    let mut heard_us: BTreeMap<IpAddr, u64> = BTreeMap::new();
    // Who registered and was heard again before anybody else could push it out.
    let mut known: BTreeSet<IpAddr> = BTreeSet::new();
    let mut last_registered = None;
    let mut now_us = 0_u64;
    // A step is a source, a port, a pause in quarter seconds, a length or a ready-made datagram, and the datagram.
    while let [source, port, pause, length, rest @ ..] = script {
        now_us += u64::from(*pause) * 250_000;
        let ip = IpAddr::V4(Ipv4Addr::new(203, 0, 113, source % 8));
        let from = SocketAddr::new(ip, u16::from(*port));
        let connect = format!(r#"{{"type":"connect","target_ip":"203.0.113.{}"}}"#, length % 8);
        let (datagram, after) = match length {
            0..100 => rest.split_at(usize::from(*length).min(rest.len())),
            100..180 => (REGISTER, rest),
            _ => (connect.as_bytes(), rest),
        };
        script = after;
        let arrival = Arrival { from, socket: 0, local: None, local_port: 12_345 };
        let silent = |ip: &IpAddr| now_us - heard_us.get(ip).copied().unwrap_or(0) >= LIVE_US;
        known.retain(|ip| !silent(ip));
        let again = last_registered == Some(ip) && !silent(&ip);
        let outcome = engine.handle(now_us, arrival, datagram, &mut out);
        let target = IpAddr::V4(Ipv4Addr::new(203, 0, 113, length % 8));
        assert!(
            outcome != Outcome::NotFound || *length < 180 || !known.contains(&target),
            "{target} was lost"
        );
        last_registered = (outcome == Outcome::Registered).then_some(ip);
        if !matches!(outcome, Outcome::Malformed | Outcome::TooLarge | Outcome::BogusSource | Outcome::Echo) {
            heard_us.insert(ip, now_us);
            if again {
                known.insert(ip);
            }
        }
        assert!(out.len() <= 2);
        for answer in out.iter() {
            let live = heard_us.get(&answer.to.ip()).is_some_and(|heard_us| now_us - heard_us < TTL_US);
            assert!(answer.to == from || outcome == Outcome::Matched && live, "{outcome:?} to {}", answer.to);
            assert_ne!(answer.to.port(), 0);
            let json: serde_json::Value = serde_json::from_slice(answer.bytes).expect("an answer is JSON");
            assert!(json.is_object());
        }
        out.clear();
        assert!(engine.len() <= MOST as usize);
        if pause % 16 == 0 {
            engine.tick(now_us);
        }
    }
    now_us += TTL_US;
    engine.tick(now_us);
    assert!(engine.is_empty());
});
