//! Bad input over UDP gets silence, and is counted.

use std::net::{Ipv4Addr, SocketAddr};

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::metrics::Admin;
use black_box::process::{Launch, Process};
use black_box::skip::skipped;
use black_box::udp::{UdpPeer, not_found, peer};
use nix::unistd::geteuid;
use socket2::{Domain, Protocol, Socket, Type};

/// Why a datagram gets no answer.
const REASONS: [&str; 4] = ["malformed", "too_large", "bogus_source", "echo"];

/// How many datagrams were dropped for this reason.
#[track_caller]
fn dropped(admin: Admin, reason: &str) -> f64 {
    admin.sum("matchmaker_datagrams_total", &[("outcome", reason)])
}

/// How many datagrams were dropped.
#[track_caller]
fn dropped_in_all(admin: Admin) -> f64 {
    REASONS.iter().map(|reason| dropped(admin, reason)).sum()
}

fn matchmaker() -> (Process, SocketAddr, Admin) {
    let process = Launch::new(Binary::Matchmaker).start();
    let (server, admin) = (process.address("matchmaker"), Admin::at(process.address("matchmaker-admin")));
    (process, server, admin)
}

/// Sends each datagram, and looks that none is answered, none registers its sender, and all are counted for `reason`.
#[track_caller]
fn assert_dropped(datagrams: &[&[u8]], reason: &str) {
    let (mut process, server, admin) = matchmaker();
    let (noisy, observer) = (UdpPeer::at("127.0.0.5", server), UdpPeer::at("127.0.0.6", server));
    for (index, datagram) in datagrams.iter().enumerate() {
        noisy.send(datagram);
        noisy.expect_silence();
        observer.connect("127.0.0.5");
        observer.expect(&not_found("127.0.0.5"));
        let expected = f64::from(u32::try_from(index + 1).unwrap());
        let text = String::from_utf8_lossy(&datagram[..datagram.len().min(60)]);
        // The observer may have been answered by another thread than the one that counts.
        eventually(PATIENCE, &format!("{expected} counted after {text:?}"), || {
            (dropped(admin, reason) > expected - 0.5).then_some(())
        });
        let (counted, all) = (dropped(admin, reason), dropped_in_all(admin));
        assert!((counted - expected).abs() < 0.5, "{counted} of {expected} counted after {text:?}");
        assert!((all - expected).abs() < 0.5, "{all} of {expected} counted in all after {text:?}");
    }
    process.assert_sound();
}

#[test]
fn what_is_no_json_object_gets_silence() {
    let deep = b"[".repeat(4_000);
    let inside = [br#"{"type":"register","x":"#.as_slice(), &b"[".repeat(4_000)].concat();
    assert_dropped(
        &[
            b"",
            b" ",
            b"\n",
            b"garbage",
            b"\0",
            b"{",
            b"}",
            b"[]",
            b"[{\"type\":\"register\"}]",
            b"\"register\"",
            b"5",
            b"null",
            b"true",
            b"{\"type\":\"register\"",
            b"{\"type\":\"register\",}",
            b"{'type':'register'}",
            b"{\"type\":\"register\"}{\"type\":\"register\"}",
            b"{\"type\":\"register\"} x",
            b"{\"type\":\"register\"}\0",
            b"\xef\xbb\xbf{\"type\":\"register\"}",
            b"{\"type\":\"\xff\"}",
            b"\xff\xfe{\0",
            &deep,
            &inside,
        ],
        "malformed",
    );
}

#[test]
fn duplicate_keys_and_a_target_that_is_no_text_get_silence() {
    assert_dropped(
        &[
            br#"{"type":"register","type":"register"}"#,
            br#"{"type":"register","type":"connect"}"#,
            br#"{"type":"connect","target_ip":"127.0.0.5","target_ip":"127.0.0.6"}"#,
            br#"{"type":"connect","target_ip":5}"#,
            br#"{"type":"connect","target_ip":["127.0.0.5"]}"#,
            br#"{"type":"connect","target_ip":{"a":1}}"#,
            br#"{"type":"connect","target_ip":true}"#,
        ],
        "malformed",
    );
}

#[test]
fn a_datagram_over_4096_bytes_gets_silence() {
    let padded = |size: usize| format!("{:size$}", r#"{"type":"register"}"#).into_bytes();
    assert_dropped(&[&padded(4_097), &padded(9_000), &padded(65_000), &vec![b'x'; 65_507]], "too_large");
}

/// A UDP header and its payload, from port 0, which no ordinary socket sends.
fn from_port_zero(server: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    let mut packet = Vec::new();
    for field in [0, server.port(), length, 0] {
        packet.extend_from_slice(&field.to_be_bytes());
    }
    packet.extend_from_slice(payload);
    packet
}

#[test]
fn a_source_port_of_zero_is_never_registered() {
    if !geteuid().is_root() {
        return skipped("root", "only a raw socket can send from port 0");
    }
    let (mut process, server, admin) = matchmaker();
    let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)).unwrap();
    raw.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, 5), 0)).into()).unwrap();
    let target = UdpPeer::at("127.0.0.6", server);
    target.register();
    for payload in [r#"{"type":"register"}"#, r#"{"type":"connect","target_ip":"127.0.0.6"}"#] {
        raw.send_to(&from_port_zero(server, payload.as_bytes()), &server.into()).unwrap();
    }
    eventually(PATIENCE, "port 0 is counted", || (dropped(admin, "bogus_source") > 1.5).then_some(()));
    target.expect_silence();
    target.connect("127.0.0.5");
    target.expect(&not_found("127.0.0.5"));
    process.assert_sound();
}

#[test]
fn noise_does_not_disturb_a_conversation() {
    let (mut process, server, _) = matchmaker();
    let (one, two, noisy) = (
        UdpPeer::at("127.0.0.5", server),
        UdpPeer::at("127.0.0.6", server),
        UdpPeer::at("127.0.0.7", server),
    );
    one.register();
    for round in 0..200_u8 {
        noisy.send(vec![round; usize::from(round) * 30]);
        noisy.expect_silence();
    }
    two.connect("127.0.0.5");
    two.expect(&peer(one.address()));
    one.expect(&peer(two.address()));
    process.assert_sound();
}

#[test]
fn noise_does_not_fill_the_log() {
    let (process, server, _) = matchmaker();
    let before = process.stdout().lines().count();
    let noisy = UdpPeer::at("127.0.0.7", server);
    // In rounds, so that the socket's buffer never overflows and every one is seen.
    for _ in 0..20 {
        for _ in 0..100 {
            noisy.send("garbage");
        }
        noisy.expect_silence();
    }
    let lines = process.stdout().lines().count() - before;
    assert!(lines < 10, "{lines} lines for 2,000 bad datagrams:\n{}", process.said());
}
