//! STUN, asked by the clients that Debian has: those of coturn, and one of RFC 3489.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::lab::{Lab, SERVER};
use black_box::metrics::Admin;
use black_box::process::{Launch, Process};
use black_box::router::RouterKind;
use black_box::udp::{UdpPeer, receive};

/// The longest that a client may take, in seconds; each gives up on lost answers long before.
const CLIENT_MAX_SECS: &str = "60";
/// How `timeout` ends where it had to end the client.
const TIMED_OUT: i32 = 124;

/// A Binding request of the shortest form.
const REQUEST: &[u8; 20] = b"\x00\x01\x00\x00\x21\x12\xa4\x42twelve bytes";
/// The answer to it begins with this, then come the port and the address, combined with the cookie.
const ANSWER: &[u8; 26] = b"\x01\x01\x00\x0c\x21\x12\xa4\x42twelve bytes\x00\x20\x00\x08\x00\x01";

/// The server's second address in the lab.
const OTHER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);

/// Runs a client to its end and gives what it said.
#[track_caller]
fn client(words: &[&str]) -> String {
    let done = Command::new("timeout").arg(CLIENT_MAX_SECS).args(words).output().expect("timeout is there");
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    // The client of RFC 3489 says by its code what it found.
    assert_ne!(done.status.code(), Some(TIMED_OUT), "{words:?} does not end:\n{said}");
    assert_ne!(done.status.code(), Some(127), "{words:?}: tests/run installs it");
    said
}

#[track_caller]
fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "no {word:?} in\n{said}");
    }
}

fn matchmaker() -> Launch {
    Launch::new(Binary::Matchmaker)
}

/// One that has two addresses and two ports.
fn with_second_address() -> Launch {
    matchmaker()
        .set("MATCHMAKER_LISTEN", "0.0.0.0:0")
        .set("MATCHMAKER_ALT_PORT", "0")
        .set("MATCHMAKER_STUN_OTHER", "127.0.0.1/127.0.0.2")
}

/// The ports that it listens on, main and alternate.
fn ports(process: &mut Process) -> [String; 2] {
    process.wait_for_listeners("matchmaker-alt", 1);
    ["matchmaker", "matchmaker-alt"].map(|service| process.address(service).port().to_string())
}

fn admin(process: &Process) -> Admin {
    Admin::at(process.address("matchmaker-admin"))
}

fn counted(admin: Admin, outcome: &str) -> f64 {
    admin.sum("matchmaker_datagrams_total", &[("outcome", outcome)])
}

#[test]
fn a_client_learns_its_address_over_ipv4_and_ipv6() {
    let process = matchmaker().set("MATCHMAKER_LISTEN", "127.0.0.1:0,[::1]:0").start();
    for address in process.addresses("matchmaker") {
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        let said = client(&["turnutils_stunclient", "-p", &port, &ip]);
        assert_says(&said, &[&format!("UDP reflexive addr: {ip}:")]);
    }
    assert!(counted(admin(&process), "stun_answered") > 1.5);
}

#[test]
fn nat_behaviour_discovery_runs_through_on_two_addresses() {
    let mut process = with_second_address().start();
    let [main, alt] = ports(&mut process);
    let said = client(&["turnutils_natdiscovery", "-m", "-f", "-p", &main, "127.0.0.1"]);
    assert_says(
        &said,
        &[
            &format!("Other addr: : 127.0.0.2:{alt}"),
            &format!("Response origin: : 127.0.0.2:{main}"),
            &format!("Response origin: : 127.0.0.2:{alt}"),
            "No ALG: Mapped == XOR-Mapped",
            "NAT with Endpoint Independent Mapping!",
            "NAT with Endpoint Independent Filtering!",
        ],
    );
    process.assert_sound();
}

#[test]
fn a_client_of_rfc_3489_is_answered_in_its_words() {
    let mut process = with_second_address().start();
    let [main, alt] = ports(&mut process);
    let said = client(&["stun", &format!("127.0.0.1:{main}"), "-v"]);
    assert_says(
        &said,
        &[
            "MappedAddress = 127.0.0.1:",
            &format!("SourceAddress = 127.0.0.2:{main}"),
            &format!("SourceAddress = 127.0.0.1:{alt}"),
            &format!("ChangedAddress = 127.0.0.2:{alt}"),
            "Primary: Open",
        ],
    );
    // The only one that could have sent it an error is the server.
    assert!(counted(admin(&process), "stun_refused") < 0.5);

    let process = matchmaker().start();
    let said = client(&["stun", &process.address("matchmaker").to_string(), "1", "-v"]);
    assert_says(&said, &["MappedAddress = 127.0.0.1:"]);
}

#[test]
fn a_client_behind_a_nat_finds_out_what_kind_it_is() {
    let Some(lab) = Lab::open() else { return };
    let server = lab.server();
    server.ip(&format!("addr add {OTHER}/24 dev wan"));
    let launch = matchmaker()
        .set("MATCHMAKER_LISTEN", "0.0.0.0:0")
        .set("MATCHMAKER_ALT_PORT", "0")
        .set("MATCHMAKER_STUN_OTHER", &format!("{SERVER}/{OTHER}"));
    let mut process = server.run(|| launch.start());
    let [main, _] = ports(&mut process);
    for (kind, mapping, filtering) in [
        (RouterKind::HomeRouter, "Endpoint Independent Mapping", "Address and Port Dependent Filtering"),
        (RouterKind::FullCone, "Endpoint Independent Mapping", "Endpoint Independent Filtering"),
        (RouterKind::Hard, "Address and Port Dependent Mapping", "Address and Port Dependent Filtering"),
    ] {
        let household = lab.household(kind);
        let server = SERVER.to_string();
        let said = household.run(0, || client(&["turnutils_natdiscovery", "-m", "-f", "-p", &main, &server]));
        let mapped = format!("UDP reflexive addr: {}:", household.public);
        assert_says(&said, &[&mapped, &format!("NAT with {mapping}!"), &format!("NAT with {filtering}!")]);
    }
}

#[test]
fn one_socket_speaks_stun_and_json_in_turns() {
    let process = matchmaker().start();
    let peer = UdpPeer::at("127.0.0.7", process.address("matchmaker"));
    for _ in 0..3 {
        assert_eq!(peer.register(), peer.address());
        peer.send(REQUEST);
        let (answer, from) = peer.receive_within(PATIENCE).expect("an answer");
        assert_eq!(from, process.address("matchmaker"));
        assert!(answer.starts_with(ANSWER), "{answer:02x?}");
        assert_eq!(answer.len(), 32);
    }
    // A change of address that this server cannot make, with a type that it does not know.
    let change =
        b"\x00\x01\x00\x0c\x21\x12\xa4\x42twelve bytes\x00\x03\x00\x04\x00\x00\x00\x06\x7f\x00\x00\x00";
    peer.send(change);
    let (answer, _) = peer.receive_within(PATIENCE).expect("an answer");
    let expected =
        b"\x00\x09\x00\x15\x00\x00\x04\x14Unknown Attribute\x00\x00\x00\x00\x0a\x00\x04\x00\x03\x7f\x00";
    assert!(answer.starts_with(b"\x01\x11\x00\x24\x21\x12\xa4\x42twelve bytes"), "{answer:02x?}");
    assert!(answer.ends_with(expected), "{answer:02x?}");
    // An indication, a response, and a request whose length is not its own.
    for silent in [
        &b"\x00\x11\x00\x00\x21\x12\xa4\x42twelve bytes"[..],
        b"\x01\x01\x00\x00\x21\x12\xa4\x42twelve bytes",
        b"\x00\x01\x00\x04\x21\x12\xa4\x42twelve bytes",
    ] {
        peer.send(silent);
        peer.expect_silence();
    }
    let admin = admin(&process);
    for (outcome, expected) in
        [("stun_answered", 3.0), ("stun_refused", 1.0), ("stun_ignored", 2.0), ("stun_malformed", 1.0)]
    {
        assert!((counted(admin, outcome) - expected).abs() < 0.5, "{outcome}");
    }
}

#[test]
fn the_alternate_port_serves_the_whole_protocol() {
    let mut process = matchmaker().set("MATCHMAKER_ALT_PORT", "0").start();
    let _ = ports(&mut process);
    let main = UdpPeer::at("127.0.0.8", process.address("matchmaker"));
    let alt = UdpPeer::at("127.0.0.9", process.address("matchmaker-alt"));
    main.register();
    alt.register();
    main.connect("127.0.0.9");
    // Each is told by the port that it spoke to.
    main.expect(&black_box::udp::peer(alt.address()));
    alt.expect(&black_box::udp::peer(main.address()));
}

#[test]
fn stun_can_be_switched_off_and_what_it_says_of_itself_on() {
    let process = matchmaker().set("MATCHMAKER_STUN", "off").start();
    let peer = UdpPeer::at("127.0.0.7", process.address("matchmaker"));
    peer.send(REQUEST);
    peer.expect_silence();
    assert!(counted(admin(&process), "malformed") > 0.5);

    let process = matchmaker().set("MATCHMAKER_STUN_SOFTWARE", "on").start();
    let peer = UdpPeer::at("127.0.0.7", process.address("matchmaker"));
    peer.send(REQUEST);
    let (answer, _) = peer.receive_within(PATIENCE).expect("an answer");
    assert!(String::from_utf8_lossy(&answer).contains("matchmaker"), "{answer:02x?}");
}

/// Requests of the one source, and how many go out before the server has to have counted them.
const REQUESTS: usize = 10_000;
const AT_ONCE: usize = 200;
/// `MATCHMAKER_UNREGISTERED_BURST_BYTES`, granted again over ten minutes.
const BURST_BYTES: usize = 4_096;

#[test]
fn a_forged_source_is_not_made_to_receive_more_than_was_sent_in_its_name() {
    let mut process = with_second_address()
        .set("MATCHMAKER_LIMIT_LOOPBACK", "on")
        .set("MATCHMAKER_SOURCE_RATE", "1000000/1000000")
        .start();
    let [main, _] = ports(&mut process);
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, main.parse().expect("a port")));
    let source = UdpPeer::at("127.0.3.7", server);
    // Being registered makes no difference: that can be forged too.
    source.register();
    let admin = admin(&process);
    let started = std::time::Instant::now();
    let mut received = 0;
    for number in 1..=REQUESTS {
        source.send(REQUEST);
        if number % AT_ONCE == 0 {
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            let expected = number as f64;
            eventually(PATIENCE, "all are counted", || {
                (counted(admin, "stun_answered") + counted(admin, "stun_limit") > expected - 0.5)
                    .then_some(())
            });
            let waiting =
                std::iter::from_fn(|| receive(source.socket(), std::time::Duration::from_millis(1)));
            received += waiting.map(|(datagram, _)| datagram.len()).sum::<usize>();
        }
    }
    let sent = REQUESTS * REQUEST.len();
    let secs = usize::try_from(started.elapsed().as_secs()).expect("a few seconds") + 1;
    let most = sent + BURST_BYTES + (BURST_BYTES * secs).div_ceil(600);
    assert!(received <= most, "{received} bytes for {sent}");
    assert!(received > sent / 2, "{received} bytes for {sent}: who repeats himself is answered");
}
