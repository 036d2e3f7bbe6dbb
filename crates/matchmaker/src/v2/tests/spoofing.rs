//! What a source that can be forged can make us do.

use proptest::prelude::*;

use super::*;

/// Nothing is kept, and nobody is written to but the source, with no more bytes than came.
#[track_caller]
fn assert_harmless(bench: &mut Bench, from: &str, port: u16, datagram: &[u8]) -> Outcome {
    let before = bench.engine.v2_len();
    let (outcome, sent) = bench.send_bytes(from, port, datagram);
    assert!(sent.len() <= 1, "{outcome:?}");
    for sent in &sent {
        assert_eq!(sent.to, addr(from), "{outcome:?}");
        assert!(sent.bytes.len() <= datagram.len(), "{outcome:?}: {}", String::from_utf8_lossy(&sent.bytes));
    }
    assert_eq!((bench.engine.v2_len(), bench.engine.resend_due_us()), (before, None), "{outcome:?}");
    outcome
}

#[test]
fn a_register_without_a_token_makes_no_state_and_is_answered_with_no_more_than_it_had() {
    let mut bench = Bench::new();
    let long = "[2001:1111:2222:3333:4444:5555:6666:7777]:65535";
    for from in [A, long] {
        for bytes in 0..250 {
            let mut datagram = br#"{"type":"register","v":2,"tid":"0123456789abcdef"}"#.to_vec();
            datagram.resize(datagram.len().max(bytes), b' ');
            let outcome = assert_harmless(&mut bench, from, MAIN_PORT, &datagram);
            let padded = datagram.len() >= peer_core::limits::V2_PADDED_BYTES;
            assert!(outcome == Outcome::V2Verify || outcome == Outcome::V2TooSmall && !padded);
        }
    }
    let short = br#"{"v":2,"tid":"a","type":"register"}"#;
    assert_eq!(bench.send_bytes(A, MAIN_PORT, short), (Outcome::V2TooSmall, vec![]));
}

#[test]
fn nobody_is_reached_with_the_token_of_another() {
    let mut bench = Bench::new();
    let of_a = bench.join(A, 1, &[]);
    bench.join(B, 2, &[]);
    let forged = Token::from_bytes([9; 16]);
    for token in [of_a, forged] {
        let requests = [
            Request::Connect(Connect { tid: tid("a"), token, target: Target::Id(id(2)) }),
            Request::Connect(Connect { tid: tid("a"), token, target: Target::Addr(addr(B)) }),
            Request::Register(Register {
                tid: tid("a"),
                token: Some(token),
                id: Some(id(1)),
                sig: None,
                lan: LanAddrs::EMPTY,
            }),
            Request::Unregister { tid: tid("a"), token },
            Request::Probe { tid: tid("a"), token, addr: addr(C) },
            Request::Ack { pair: PairId::from_bits(1) },
        ];
        for request in requests {
            let mut datagram = Vec::new();
            request.encode(&mut datagram);
            for port in [MAIN_PORT, ALT_PORT] {
                let outcome = assert_harmless(&mut bench, C, port, &datagram);
                assert!(matches!(outcome, Outcome::V2BadToken | Outcome::V2Stray), "{outcome:?}");
            }
        }
    }
}

#[test]
fn a_probe_that_names_a_victim_as_its_source_sends_it_no_more_than_it_had() {
    let mut bench = Bench::new();
    let token = bench.join(A, 1, &[]);
    for bytes in 90..250 {
        let mut datagram = Vec::new();
        Request::Probe { tid: tid("0123456789abcdef"), token, addr: addr(A) }.encode(&mut datagram);
        datagram.truncate(datagram.len() - 50);
        datagram.extend_from_slice(br#""}"#);
        datagram.resize(datagram.len().max(bytes), b' ');
        let victim = "[2001:1111:2222:3333:4444:5555:6666:7777]:65535";
        assert_eq!(assert_harmless(&mut bench, victim, ALT_PORT, &datagram), Outcome::V2Probed);
    }
}

#[test]
fn strangers_have_the_rate_of_a_legacy_source() {
    let mut bench = Bench::new();
    let mut datagram = br#"{"type":"register","v":2,"tid":"a"}"#.to_vec();
    datagram.resize(200, b' ');
    let answered = (0..2_000).filter(|_| !bench.send_bytes(A, MAIN_PORT, &datagram).1.is_empty()).count();
    assert_eq!(answered, 1_000);
    let legacy = br#"{"type":"register"}"#;
    assert_eq!(bench.send_bytes(A, MAIN_PORT, legacy).0, Outcome::SourceLimit, "it is one source");
}

#[test]
fn what_a_server_says_is_not_answered() {
    let mut bench = Bench::new();
    for kind in ["error", "your_addr", "peer", "nat", "unregistered", "move"] {
        let datagram = format!(r#"{{"type":"{kind}","v":2,"tid":"a","code":"bad_request"}}"#);
        assert_eq!(bench.send_bytes(A, MAIN_PORT, datagram.as_bytes()), (Outcome::Echo, vec![]));
    }
}

proptest! {
    // Each has an engine of its own.
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Datagrams that are nearly requests, from sources that hold no token.
    #[test]
    fn no_datagram_of_a_stranger_does_harm(
        kind in "register|connect|ack|result|unregister|probe|x",
        fields in prop::collection::vec((
            "tid|token|id|sig|lan|target_id|target_ip|target_port|addr|pair|ok|via|ms|pad",
            "\"a\"|\"[A-Za-z0-9_-]{22}\"|5|true|null|\\[\\[\"10.0.0.1\",1\\]\\]|\\[\"203.0.113.10\",41001\\]|\"203.0.113.10\"|\"[0-9a-f]{16}\"",
        ), 0..6),
        blanks in 0..1_300_usize,
    ) {
        let mut bench = Bench::new();
        bench.join(A, 1, &[]);
        let fields: Vec<String> = fields.iter().map(|(key, value)| format!(r#","{key}":{value}"#)).collect();
        let datagram = format!(r#"{{"v":2,"type":"{kind}"{}}}{}"#, fields.concat(), " ".repeat(blanks));
        for port in [MAIN_PORT, ALT_PORT] {
            assert_harmless(&mut bench, C, port, datagram.as_bytes());
        }
    }
}
