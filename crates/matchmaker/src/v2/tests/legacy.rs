//! Peers of both versions at one matchmaker.

use super::*;

const REGISTER: &[u8] = br#"{"type":"register"}"#;

fn legacy_connect(bench: &mut Bench, from: &str, target: &str) -> (Outcome, Vec<Sent>) {
    let datagram = format!(r#"{{"type":"connect","target_ip":"{target}"}}"#);
    bench.send_bytes(from, MAIN_PORT, datagram.as_bytes())
}

fn text(sent: &Sent) -> String {
    String::from_utf8(sent.bytes.clone()).unwrap()
}

#[test]
fn a_peer_of_version_2_reaches_a_legacy_peer_and_each_is_told_in_its_own_form() {
    let mut bench = Bench::new();
    bench.send_bytes(B, MAIN_PORT, REGISTER);
    let token = bench.join(A, 1, &[]);
    for target in [Target::Ip(addr(B).ip()), Target::Addr(addr(B))] {
        let (outcome, sent) = bench.connect(A, token, target);
        assert_eq!(outcome, Outcome::V2Matched);
        let told = introduction(&sent[0]);
        assert_eq!((told.peer, told.key, told.id, told.start_ms), (addr(B), None, None, 0));
        assert_eq!(sent[1].to, addr(B));
        assert_eq!(text(&sent[1]), r#"{"type": "peer", "peer": ["203.0.113.10", 41001]}"#);
    }
    assert_eq!(bench.connect(A, token, Target::Addr(addr("198.51.100.7:5001"))).0, Outcome::V2NotFound);
    // It is the one side that can be told again.
    bench.wait_ms(200);
    let resent: Vec<SocketAddr> = bench.resent().iter().map(|sent| sent.to).collect();
    assert_eq!(resent, [addr(A), addr(A)]);
}

#[test]
fn a_legacy_peer_reaches_a_peer_of_version_2_and_each_is_told_in_its_own_form() {
    let mut bench = Bench::new();
    bench.join(A, 1, &["192.168.1.5:1"]);
    bench.send_bytes(B, MAIN_PORT, REGISTER);
    let (outcome, sent) = legacy_connect(&mut bench, B, "203.0.113.10");
    assert_eq!((outcome, sent[0].to, sent[1].to), (Outcome::Matched, addr(B), addr(A)));
    assert_eq!(text(&sent[0]), r#"{"type": "peer", "peer": ["203.0.113.10", 41001]}"#);
    let told = introduction(&sent[1]);
    assert_eq!((told.peer, told.tid, told.key, told.id), (addr(B), None, None, None));
    // It may say what it made of it, and is not told again: a legacy source may be forged.
    bench.wait_ms(1_000);
    assert_eq!(bench.resent(), []);
    assert_eq!(bench.send(A, &Request::Ack { pair: told.pair }).0, Outcome::V2Acked);
}

#[test]
fn a_legacy_peer_finds_whoever_was_heard_last_at_an_ip() {
    let mut bench = Bench::new();
    let found = |bench: &mut Bench| {
        let sent = legacy_connect(bench, B, "203.0.113.10").1;
        assert_eq!(sent.len(), 2);
        sent[1].to
    };
    bench.send_bytes(B, MAIN_PORT, REGISTER);
    bench.join(A, 1, &[]);
    bench.wait_ms(1_000);
    bench.join("203.0.113.10:41002", 2, &[]);
    assert_eq!(found(&mut bench), addr("203.0.113.10:41002"));
    bench.wait_ms(1_000);
    bench.send_bytes("203.0.113.10:9", MAIN_PORT, REGISTER);
    assert_eq!(found(&mut bench), addr("203.0.113.10:9"));
    bench.wait_ms(1_000);
    bench.join(A, 1, &[]);
    assert_eq!(found(&mut bench), addr(A));
}

#[test]
fn a_forged_legacy_register_stands_in_nobodys_way() {
    let mut bench = Bench::new();
    bench.join(A, 1, &[]);
    bench.send_bytes("203.0.113.10:9", MAIN_PORT, REGISTER);
    bench.send_bytes(A, MAIN_PORT, REGISTER);
    let token = bench.join(B, 0, &[]);
    let [told, _] = bench.meet(B, token, Target::Ip(addr(A).ip()));
    assert_eq!((told.peer, told.id), (addr(A), Some(id(1))));
}

#[test]
fn a_peer_of_version_2_does_not_move_the_legacy_peer_behind_its_nat() {
    let mut bench = Bench::new();
    bench.send_bytes("203.0.113.10:9", MAIN_PORT, REGISTER);
    bench.join(A, 1, &[]);
    let token = bench.join(B, 0, &[]);
    bench.connect(B, token, Target::Addr(addr("203.0.113.10:9")));
    assert_eq!(bench.connect(B, token, Target::Addr(addr("203.0.113.10:9"))).0, Outcome::V2Matched);
}

#[test]
fn an_unregistered_legacy_source_makes_a_peer_of_version_2_receive_no_more_than_its_burst() {
    let mut bench = Bench::new();
    bench.join(A, 1, &[]);
    let (mut sent_bytes, mut received) = (0, 0);
    for _ in 0..2_000 {
        bench.wait_ms(1_000);
        if bench.now_us.is_multiple_of(100_000_000) {
            bench.join(A, 1, &[]);
        }
        let (_, sent) = legacy_connect(&mut bench, B, "203.0.113.10");
        sent_bytes += br#"{"type":"connect","target_ip":"203.0.113.10"}"#.len();
        received += sent.iter().map(|sent| sent.bytes.len()).sum::<usize>();
    }
    // The burst is granted again over ten minutes.
    assert!(received <= sent_bytes + 4_096 * 5, "{received} for {sent_bytes}");
    assert!(received > 4_096);
}

#[test]
fn with_legacy_off_version_2_is_all_that_is_left() {
    let mut bench = Bench::with(1_000, Legacy::Off(LegacyLimits::default()));
    assert_eq!(bench.send_bytes(A, MAIN_PORT, REGISTER), (Outcome::LegacyOff, vec![]));
    let token = bench.join(A, 1, &[]);
    bench.join(B, 2, &[]);
    bench.meet(A, token, Target::Id(id(2)));
    assert_eq!(legacy_connect(&mut bench, B, "203.0.113.10"), (Outcome::LegacyOff, vec![]));
}

#[test]
fn an_engine_that_does_not_speak_version_2_takes_it_for_legacy() {
    let engine = Engine::new(10, Legacy::On);
    let mut out = Outbox::default();
    let arrival = Arrival { from: addr(A), socket: 0, local: None, local_port: MAIN_PORT };
    assert_eq!(engine.handle(0, arrival, br#"{"type":"register","v":2}"#, &mut out), Outcome::Registered);
}
