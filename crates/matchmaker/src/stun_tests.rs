#![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

use super::*;
use crate::{Legacy, LegacyLimits};

const ID: [u8; 16] = *b"\x21\x12\xa4\x42twelve bytes";
const CHANGE_IP: u8 = 4;
const CHANGE_PORT: u8 = 2;
const REGISTER: &[u8] = br#"{"type":"register"}"#;

/// A Binding request with this id, and with CHANGE-REQUEST where there are flags for it.
fn request(id: [u8; 16], flags: Option<u8>) -> Vec<u8> {
    let change = flags.map(|flags| [0, 3, 0, 4, 0, 0, 0, flags]);
    let body = change.as_ref().map_or(&[][..], |change| &change[..]);
    [&[0, 1, 0, u8::try_from(body.len()).unwrap()][..], &id, body].concat()
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Two sockets on all addresses, on ports 3478 and 3479, and one on an address with a single port.
fn endpoints() -> Endpoints {
    Endpoints::new(&[addr("0.0.0.0:3478"), addr("[2001:db8::1]:3478")], &[addr("0.0.0.0:3479")])
}

fn pairs() -> StunSettings {
    let pair = (addr("192.0.2.1:0").ip(), addr("192.0.2.2:0").ip());
    StunSettings { software: false, pairs: vec![pair] }
}

fn engine(legacy: Legacy, settings: &StunSettings) -> Engine {
    Engine::new(1_000, legacy).with_endpoints(endpoints()).with_stun(settings).unwrap()
}

/// What came of a datagram sent to one of our addresses: the outcome, and of each answer its bytes, its socket and its
/// source.
type Came = (Outcome, Vec<(Vec<u8>, u8, Option<IpAddr>)>);

fn send_at(engine: &Engine, now_us: u64, from: &str, to: (u8, &str), datagram: &[u8]) -> Came {
    let (socket, local) = to;
    let local = addr(local);
    let arrival = Arrival { from: addr(from), socket, local: Some(local.ip()), local_port: local.port() };
    let mut out = Outbox::default();
    let outcome = engine.handle(now_us, arrival, datagram, &mut out);
    assert!(outcome == Outcome::Matched || out.iter().all(|sent| sent.to == arrival.from));
    (outcome, out.iter().map(|sent| (sent.bytes.to_vec(), sent.socket, sent.local)).collect())
}

fn send(engine: &Engine, to: (u8, &str), datagram: &[u8]) -> Came {
    send_at(engine, 0, "203.0.113.10:41567", to, datagram)
}

const MAIN: (u8, &str) = (0, "192.0.2.1:3478");

#[test]
fn a_request_is_told_where_it_came_from_and_by_the_way_it_came() {
    let engine = engine(Legacy::On, &StunSettings::default());
    let xored: [u8; 12] = [0, 0x20, 0, 8, 0, 1, 0x83, 0x4d, 0xea, 0x12, 0xd5, 0x48];
    for from in ["203.0.113.10:41567", "[::ffff:203.0.113.10]:41567"] {
        let (outcome, sent) = send_at(&engine, 0, from, MAIN, &request(ID, None));
        assert_eq!(outcome, Outcome::StunAnswered);
        let expected = [&[1, 1, 0, 12][..], &ID, &xored].concat();
        assert_eq!(sent, [(expected, 0, Some(addr(MAIN.1).ip()))]);
    }
}

#[test]
fn stun_leaves_no_state_and_is_no_sign_of_life() {
    let engine = engine(Legacy::On, &StunSettings::default());
    send(&engine, MAIN, &request(ID, None));
    assert!(engine.is_empty());
    let (a, b) = ("203.0.113.10:41567", "198.51.100.7:5000");
    send_at(&engine, 0, a, MAIN, REGISTER);
    send_at(&engine, 60_000_000, "203.0.113.10:7", MAIN, &request(ID, None));
    let connect = br#"{"type":"connect","target_ip":"203.0.113.10"}"#;
    let (_, sent) = send_at(&engine, 60_000_000, b, MAIN, connect);
    // It did not move either.
    let (told, ..) = sent.first().unwrap();
    assert_eq!(told, br#"{"type": "peer", "peer": ["203.0.113.10", 41567]}"#);
    let (outcome, _) = send_at(&engine, 120_000_000, b, MAIN, connect);
    assert_eq!(outcome, Outcome::NotFound);
}

#[test]
fn what_is_no_request_gets_no_answer() {
    let engine = engine(Legacy::On, &pairs());
    let mut response = request(ID, None);
    response.splice(0..2, [1, 1]);
    let mut indication = request(ID, None);
    indication.splice(0..2, [0, 0x11]);
    let mut short = request(ID, None);
    short.splice(2..4, [0, 4]);
    for (datagram, outcome) in [
        (&response, Outcome::StunIgnored),
        (&indication, Outcome::StunIgnored),
        (&short, Outcome::StunMalformed),
    ] {
        assert_eq!(send(&engine, MAIN, datagram), (outcome, Vec::new()));
    }
    // Our own answer, whoever sends it, is none.
    let (_, sent) = send(&engine, MAIN, &request(ID, None));
    assert_eq!(send(&engine, MAIN, &sent.first().unwrap().0), (Outcome::StunIgnored, Vec::new()));
    // Nor is what seems to come from either of our ports.
    for from in ["192.0.2.1:3478", "192.0.2.1:3479"] {
        let (outcome, _) = send_at(&engine, 0, from, MAIN, &request(ID, None));
        assert_eq!(outcome, Outcome::BogusSource);
    }
    let deaf = Engine::new(10, Legacy::On);
    assert_eq!(send(&deaf, MAIN, &request(ID, None)), (Outcome::Malformed, Vec::new()));
}

#[test]
fn each_of_the_four_places_answers_from_the_one_that_is_asked_for() {
    let engine = engine(Legacy::On, &pairs());
    let places = [(0, "192.0.2.1:3478"), (1, "192.0.2.1:3479"), (0, "192.0.2.2:3478"), (1, "192.0.2.2:3479")];
    for (_, asked) in places {
        let asked = addr(asked);
        let socket = if asked.port() == 3478 { 0 } else { 2 };
        for flags in [None, Some(0), Some(CHANGE_IP), Some(CHANGE_PORT), Some(CHANGE_IP | CHANGE_PORT)] {
            let (outcome, sent) = send(&engine, (socket, &asked.to_string()), &request(ID, flags));
            assert_eq!(outcome, Outcome::StunAnswered);
            let [(bytes, by, from)] = &sent[..] else { unreachable!("one answer") };
            let flags = flags.unwrap_or(0);
            let ip = |changed: bool| {
                addr(if changed == (asked.ip() == addr("192.0.2.1:0").ip()) {
                    "192.0.2.2:0"
                } else {
                    "192.0.2.1:0"
                })
                .ip()
            };
            let port = |changed: bool| if changed == (asked.port() == 3478) { 3479 } else { 3478 };
            let origin = SocketAddr::new(ip(flags & CHANGE_IP != 0), port(flags & CHANGE_PORT != 0));
            assert_eq!((*by, *from), (if origin.port() == 3478 { 0 } else { 2 }, Some(origin.ip())));
            let plain = |kind: [u8; 2], addr: SocketAddr| {
                let IpAddr::V4(ip) = addr.ip() else { unreachable!("IPv4") };
                [&kind[..], &[0, 8, 0, 1], &addr.port().to_be_bytes(), &ip.octets()].concat()
            };
            let tail = [
                plain([0, 1], addr("203.0.113.10:41567")),
                plain([0x80, 0x2b], origin),
                plain([0x80, 0x2c], SocketAddr::new(ip(true), port(true))),
            ];
            assert!(bytes.ends_with(&tail.concat()), "{asked} {flags}");
        }
    }
}

#[test]
fn a_change_that_cannot_be_made_is_refused_as_not_understood() {
    let change_is_unknown = [0, 0x0a, 0, 2, 0, 3, 0, 0];
    let without = engine(Legacy::On, &StunSettings::default());
    for flags in [0, CHANGE_IP, CHANGE_PORT] {
        let (outcome, sent) = send(&without, MAIN, &request(ID, Some(flags)));
        assert_eq!((outcome, sent.len()), (Outcome::StunRefused, 1));
        assert!(sent.iter().all(|(bytes, ..)| bytes.ends_with(&change_is_unknown)));
    }
    // Clients of RFC 3489 always send it.
    let classic = *b"sixteen bytes id";
    assert_eq!(send(&without, MAIN, &request(classic, Some(0))).0, Outcome::StunAnswered);
    assert_eq!(send(&without, MAIN, &request(classic, Some(CHANGE_IP))).0, Outcome::StunRefused);
    // An address that is in no pair.
    let with = engine(Legacy::On, &pairs());
    let (outcome, _) = send(&with, (0, "192.0.2.3:3478"), &request(ID, Some(CHANGE_PORT)));
    assert_eq!(outcome, Outcome::StunRefused);
    let (_, sent) = send(&with, (0, "192.0.2.3:3478"), &request(ID, None));
    assert!(sent.iter().all(|(bytes, ..)| bytes.len() == 32));
}

#[test]
fn software_is_named_where_it_is_switched_on() {
    let named = engine(Legacy::On, &StunSettings { software: true, pairs: Vec::new() });
    let (_, sent) = send(&named, MAIN, &request(ID, None));
    let (bytes, ..) = sent.first().unwrap();
    assert!(bytes.windows(SOFTWARE.len()).any(|part| part == SOFTWARE.as_bytes()));
}

#[test]
fn pairs_need_the_same_two_ports_on_both_addresses() {
    let pair = |first: &str, second: &str| {
        let pairs = vec![(first.parse().unwrap(), second.parse().unwrap())];
        StunSettings { software: false, pairs }
    };
    let refused = |endpoints: &Endpoints, settings: &StunSettings| {
        Stun::new(settings, endpoints).map(|_| ()).map_err(|bad| bad.to_string())
    };
    let all = endpoints();
    assert_eq!(refused(&all, &pair("192.0.2.1", "192.0.2.2")), Ok(()));
    let v6 = refused(&all, &pair("2001:db8::1", "2001:db8::2"));
    assert_eq!(v6, Err("no socket serves 2001:db8::1 on the alternate port".to_owned()));
    let main = [addr("192.0.2.1:1"), addr("192.0.2.2:2")];
    let uneven = Endpoints::new(&main, &[addr("192.0.2.1:3"), addr("192.0.2.2:3")]);
    let uneven = refused(&uneven, &pair("192.0.2.1", "192.0.2.2"));
    assert_eq!(uneven, Err("192.0.2.1 and 192.0.2.2 do not have the same two ports".to_owned()));
}

/// Bytes that a source received, and those that it sent, for one request of `datagram` each millisecond.
fn exchange(engine: &Engine, from: &str, datagram: &[u8], requests: u64) -> (usize, usize) {
    let mut received = 0;
    for number in 0..requests {
        let (_, sent) = send_at(engine, number * 1_000, from, MAIN, datagram);
        received += sent.iter().map(|(bytes, ..)| bytes.len()).sum::<usize>();
    }
    (received, datagram.len() * usize::try_from(requests).unwrap())
}

#[test]
fn nobody_is_made_to_receive_more_than_was_sent_in_his_name_registered_or_not() {
    let limits = LegacyLimits { source: crate::Rate::new(1_000_000, 1_000_000), ..LegacyLimits::default() };
    for (settings, datagram) in [
        (StunSettings::default(), request(ID, None)),
        (StunSettings::default(), request(ID, Some(0))),
        (StunSettings { software: true, ..pairs() }, request(ID, None)),
    ] {
        for legacy in [Legacy::Limited(limits), Legacy::Off(limits)] {
            let engine = engine(legacy, &settings);
            send_at(&engine, 0, "203.0.113.10:41567", MAIN, REGISTER);
            for from in ["203.0.113.10:41567", "198.51.100.7:5", "[2001:db8::7]:5"] {
                let (received, sent) = exchange(&engine, from, &datagram, 10_000);
                // Ten seconds of six hundred grant a little of the burst again.
                let most = sent + 4_096 + 4_096 / 60 + 1;
                assert!(received <= most, "{received} of {most} bytes");
                // Whoever repeats himself is answered.
                assert!(received > sent / 2, "{received} for {sent}");
            }
        }
    }
}

#[test]
fn a_source_has_one_rate_for_stun_and_legacy_and_loopback_has_none() {
    let limited = engine(Legacy::Limited(LegacyLimits::default()), &StunSettings::default());
    let padded = [&request(ID, None)[..], &[0x80, 0x99, 0, 16], &[0; 16]].concat();
    let padded = [&[0, 1, 0, 20][..], padded.get(4..).unwrap()].concat();
    let answered = |from: &str| {
        let sent = |_: &u32| send_at(&limited, 0, from, MAIN, &padded).0 == Outcome::StunAnswered;
        (0..2_000).filter(sent).count()
    };
    assert_eq!(answered("203.0.113.10:41567"), 1_000);
    let (outcome, _) = send(&limited, MAIN, REGISTER);
    assert_eq!(outcome, Outcome::SourceLimit);
    let (outcome, _) = send(&limited, MAIN, &padded);
    assert_eq!(outcome, Outcome::StunLimit);
    assert_eq!(answered("127.0.0.1:5"), 2_000);
}
