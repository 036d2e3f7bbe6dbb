#![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

use proptest::prelude::*;

use super::*;

const A: &str = "203.0.113.10:41567";
const B: &str = "198.51.100.7:5000";

/// An engine with a clock that the test turns and answers as text.
struct Bench {
    engine: Engine,
    now_us: u64,
}

impl Bench {
    fn new() -> Self {
        Self { engine: Engine::new(1_000, Legacy::On), now_us: 0 }
    }

    fn send(&mut self, from: &str, datagram: &str) -> Vec<(String, String)> {
        let arrival = Arrival {
            from: from.parse().unwrap(),
            socket: 0,
            local: Some("192.0.2.1".parse().unwrap()),
            local_port: 12_345,
        };
        let mut out = Outbox::default();
        self.engine.handle(self.now_us, arrival, datagram.as_bytes(), &mut out);
        out.iter()
            .map(|sent| (sent.to.to_string(), String::from_utf8(sent.bytes.to_vec()).unwrap()))
            .collect()
    }

    fn register(&mut self, from: &str) {
        let sent = self.send(from, r#"{"type":"register"}"#);
        assert_eq!(sent.len(), 1);
    }

    fn connect(&mut self, from: &str, target: &str) -> Vec<(String, String)> {
        self.send(from, &format!(r#"{{"type":"connect","target_ip":"{target}"}}"#))
    }
}

fn peer(to: &str, ip: &str, port: u16) -> (String, String) {
    (to.to_owned(), format!(r#"{{"type": "peer", "peer": ["{ip}", {port}]}}"#))
}

fn error(to: &str, msg: &str) -> (String, String) {
    (to.to_owned(), format!(r#"{{"type": "error", "msg": "{msg}"}}"#))
}

#[test]
fn both_sides_of_a_connect_are_told_of_each_other() {
    let mut bench = Bench::new();
    bench.register(A);
    assert_eq!(
        bench.connect(B, "203.0.113.10"),
        [peer(B, "203.0.113.10", 41_567), peer(A, "198.51.100.7", 5_000)]
    );
    assert_eq!(
        bench.connect(A, "203.0.113.10"),
        [peer(A, "203.0.113.10", 41_567), peer(A, "203.0.113.10", 41_567)]
    );
    assert_eq!(bench.connect(A, "198.51.100.7"), [error(A, "target 198.51.100.7 not found or offline")]);
}

#[test]
fn what_is_asked_wrongly_is_told_so() {
    let mut bench = Bench::new();
    assert_eq!(bench.send(A, "{}"), [error(A, "unknown message type")]);
    assert_eq!(bench.send(A, r#"{"type":"connect"}"#), [error(A, "missing target_ip")]);
    assert_eq!(bench.connect(A, "host.example"), [error(A, "target host.example not found or offline")]);
    assert_eq!(bench.connect(A, "0.0.0.0"), [error(A, "target 0.0.0.0 not found or offline")]);
}

#[test]
fn a_registration_lives_120_seconds_after_the_last_datagram() {
    let mut bench = Bench::new();
    bench.register(A);
    bench.now_us = 100_000_000;
    bench.send(A, r#"{"anything":1}"#);
    bench.now_us = 219_999_000;
    assert_eq!(bench.connect(B, "203.0.113.10").len(), 2);
    bench.now_us = 220_000_000;
    assert_eq!(bench.connect(B, "203.0.113.10"), [error(B, "target 203.0.113.10 not found or offline")]);
    // No datagram but a register brings it back.
    bench.send(A, "{}");
    assert_eq!(bench.connect(B, "203.0.113.10").len(), 1);
    bench.register(A);
    assert_eq!(bench.connect(B, "203.0.113.10").len(), 2);
}

#[test]
fn noise_is_no_sign_of_life() {
    let mut bench = Bench::new();
    bench.register(A);
    bench.now_us = 60_000_000;
    assert_eq!(bench.send(A, "noise"), []);
    bench.now_us = 120_000_000;
    assert_eq!(bench.connect(B, "203.0.113.10").len(), 1);
}

#[test]
fn a_datagram_from_a_new_port_moves_the_registration() {
    let mut bench = Bench::new();
    bench.register(A);
    bench.send("203.0.113.10:7", r#"{"type":"other"}"#);
    assert_eq!(bench.connect(B, "203.0.113.10").first(), Some(&peer(B, "203.0.113.10", 7)));
    bench.register("203.0.113.10:8");
    assert_eq!(bench.connect(B, "203.0.113.10").first(), Some(&peer(B, "203.0.113.10", 8)));
}

#[test]
fn an_ipv4_peer_is_the_same_on_a_dual_stack_socket() {
    let mut bench = Bench::new();
    bench.register("[::ffff:203.0.113.10]:41567");
    assert_eq!(bench.connect(B, "::ffff:203.0.113.10").first(), Some(&peer(B, "203.0.113.10", 41_567)));
    bench.register("[2001:db8::5]:9");
    assert_eq!(bench.connect(B, "2001:DB8:0::5").first(), Some(&peer(B, "2001:db8::5", 9)));
}

#[test]
fn nobody_can_be_made_to_talk_to_himself_or_to_everybody() {
    let mut bench = Bench::new();
    for from in
        ["203.0.113.10:0", "255.255.255.255:5", "224.0.0.1:5", "0.0.0.0:5", "[ff02::1]:5", "192.0.2.1:12345"]
    {
        assert_eq!(bench.send(from, r#"{"type":"register"}"#), [], "{from}");
    }
    assert!(bench.engine.is_empty());
    // What one matchmaker complains of must not make another complain.
    let complaint = bench.send(A, "{}").remove(0).1;
    assert_eq!(bench.send(A, &complaint), []);
}

#[test]
fn a_target_is_answered_by_the_way_it_came() {
    let engine = Engine::new(10, Legacy::On);
    let mut out = Outbox::default();
    let arrival = |from: &str, socket, local: &str| Arrival {
        from: from.parse().unwrap(),
        socket,
        local: Some(local.parse().unwrap()),
        local_port: 12_345,
    };
    engine.handle(0, arrival(A, 0, "192.0.2.1"), br#"{"type":"register"}"#, &mut out);
    out.clear();
    let connect = br#"{"type":"connect","target_ip":"203.0.113.10"}"#;
    engine.handle(0, arrival("[2001:db8::5]:9", 1, "2001:db8::1"), connect, &mut out);
    let ways: Vec<_> = out.iter().map(|sent| (sent.to.to_string(), sent.socket, sent.local)).collect();
    let expected = [
        ("[2001:db8::5]:9".to_owned(), 1, Some("2001:db8::1".parse().unwrap())),
        (A.to_owned(), 0, Some("192.0.2.1".parse().unwrap())),
    ];
    assert_eq!(ways, expected);
}

#[test]
fn a_full_table_loses_who_was_silent_longest_and_memory_comes_back() {
    let engine = Engine::new(100, Legacy::On);
    let mut out = Outbox::default();
    let arrival = |number: u32| Arrival {
        from: SocketAddr::new(IpAddr::V4((0x0a00_0000 + number).into()), 1_000),
        socket: 0,
        local: None,
        local_port: 12_345,
    };
    for number in 1..=10_000 {
        engine.handle(u64::from(number), arrival(number), br#"{"type":"register"}"#, &mut out);
        // One honest peer keeps alive all through the flood.
        engine.handle(u64::from(number), arrival(0), br#"{"type":"register"}"#, &mut out);
        out.clear();
    }
    assert_eq!(engine.len(), 100);
    let connect = br#"{"type":"connect","target_ip":"10.0.0.0"}"#;
    assert_eq!(engine.handle(10_000, arrival(10_000), connect, &mut out), Outcome::Matched);
    engine.tick(200_000_000);
    assert!(engine.is_empty());
}

proptest! {
    #[test]
    fn an_answer_is_json_and_goes_to_the_sender_or_to_a_registered_peer(
        datagrams in prop::collection::vec((0..4_u8, "\\PC{0,30}|\\{\"type\":\"(register|connect)\"(,\"target_ip\":\"203.0.113.[0-4]\")?\\}"), 1..40)
    ) {
        let mut bench = Bench::new();
        let mut registered = std::collections::BTreeSet::new();
        for (id, datagram) in datagrams {
            let from = format!("203.0.113.{id}:{}", 1_000 + u16::from(id));
            if datagram.contains("register") {
                registered.insert(from.clone());
            }
            for (to, bytes) in bench.send(&from, &datagram) {
                prop_assert!(to == from || registered.contains(&to));
                prop_assert!(serde_json::from_str::<serde_json::Value>(&bytes).unwrap().is_object());
            }
        }
    }
}
