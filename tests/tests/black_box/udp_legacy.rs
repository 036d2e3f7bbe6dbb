//! Every row of the legacy UDP contract, on IPv4 and IPv6.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use black_box::binary::Binary;
use black_box::lab::Lab;
use black_box::process::{Launch, Process};
use black_box::udp::{UdpPeer, error, not_found, peer};
use serde_json::json;

/// A matchmaker and two addresses that its peers can have.
struct Field {
    process: Process,
    server: SocketAddr,
    one: IpAddr,
    two: IpAddr,
}

impl Field {
    fn peer(&self, ip: IpAddr) -> UdpPeer {
        UdpPeer::bound_to(ip, self.server)
    }
}

fn matchmaker(listen: &str) -> Process {
    Launch::new(Binary::Matchmaker).set("MATCHMAKER_LISTEN", listen).start()
}

/// Runs `test` over IPv4, and then over IPv6, where two peers with different addresses need a namespace of their own.
fn on_both_families(test: impl Fn(&Field) + Sync) {
    let run = |listen: &str, one: &str, two: &str| {
        let process = matchmaker(listen);
        let server = process.address("matchmaker");
        let mut field = Field { process, server, one: one.parse().unwrap(), two: two.parse().unwrap() };
        test(&field);
        field.process.assert_sound();
    };
    run("127.0.0.1:0", "127.0.0.5", "127.0.0.6");
    let Some(lab) = Lab::open() else { return };
    let namespace = lab.server();
    namespace.add_loopback_addresses(&["fd00::1", "fd00::5", "fd00::6"].map(|text| text.parse().unwrap()));
    namespace.run(|| run("[fd00::1]:0", "fd00::5", "fd00::6"));
}

#[test]
fn a_peer_that_registers_is_told_its_address() {
    on_both_families(|field| {
        let peer = field.peer(field.one);
        assert_eq!(peer.register(), peer.address());
        assert_eq!(peer.register(), peer.address());
    });
}

#[test]
fn a_register_may_have_any_further_keys() {
    on_both_families(|field| {
        let peer = field.peer(field.one);
        for message in [
            json!({"type": "register", "ip": "192.0.2.1", "port": 9, "name": "x"}),
            json!({"type": "register", "target_ip": 5, "deep": [[[{"a": [null]}]]], "": ""}),
            json!({"a": 1.5e300, "type": "register"}),
        ] {
            peer.say(&message);
            peer.expect(&json!({"type": "your_addr", "addr": peer.pair()}));
        }
    });
}

#[test]
fn a_connect_tells_both_sides_of_each_other() {
    on_both_families(|field| {
        let (one, two) = (field.peer(field.one), field.peer(field.two));
        one.register();
        two.register();
        one.connect(&field.two.to_string());
        one.expect(&peer(two.address()));
        two.expect(&peer(one.address()));
        two.connect(&field.one.to_string());
        one.expect(&peer(two.address()));
        two.expect(&peer(one.address()));
    });
}

#[test]
fn a_connect_to_oneself_sends_both_messages_to_the_sender() {
    on_both_families(|field| {
        let one = field.peer(field.one);
        one.register();
        one.connect(&field.one.to_string());
        one.expect(&peer(one.address()));
        one.expect(&peer(one.address()));
        one.expect_silence();
    });
}

#[test]
fn a_target_that_is_not_there_is_not_found() {
    on_both_families(|field| {
        let one = field.peer(field.one);
        one.register();
        for target in [field.two.to_string(), "192.0.2.1".to_owned(), "2001:db8::1".to_owned()] {
            one.connect(&target);
            one.expect(&not_found(&target));
        }
    });
}

#[test]
fn a_target_that_is_no_address_is_not_found_either() {
    on_both_families(|field| {
        let one = field.peer(field.one);
        for target in ["nobody", " ", "127.0.0.256", "über", "a\"b\\c", "127.0.0.5:80"] {
            one.connect(target);
            one.expect(&not_found(target));
        }
    });
}

#[test]
fn a_missing_or_empty_target_is_said_to_be_missing() {
    on_both_families(|field| {
        let one = field.peer(field.one);
        for message in [
            json!({"type": "connect"}),
            json!({"type": "connect", "target_ip": ""}),
            json!({"type": "connect", "target_ip": null}),
            json!({"type": "connect", "Target_IP": "127.0.0.5"}),
        ] {
            one.say(&message);
            one.expect(&error("missing target_ip"));
        }
    });
}

#[test]
fn an_object_of_another_or_no_type_is_unknown() {
    on_both_families(|field| {
        let one = field.peer(field.one);
        for message in [
            json!({}),
            json!({"type": "dance"}),
            json!({"type": ""}),
            json!({"type": null}),
            json!({"type": 5}),
            json!({"type": ["register"]}),
            json!({"type": {"type": "register"}}),
            json!({"type": "REGISTER"}),
            json!({"Type": "register"}),
            json!({"target_ip": "127.0.0.5"}),
        ] {
            one.say(&message);
            one.expect(&error("unknown message type"));
        }
    });
}

#[test]
fn blanks_around_a_message_are_fine() {
    on_both_families(|field| {
        let one = field.peer(field.one);
        for text in [
            "  {\"type\":\"register\"}",
            "{\"type\":\"register\"}\n",
            "\r\n\t {\t\"type\" :\r\n \"register\" } \r\n",
            "{\"typ\\u0065\":\"\\u0072egister\"}",
        ] {
            one.send(text);
            one.expect(&json!({"type": "your_addr", "addr": one.pair()}));
        }
        let mut largest = b"{\"type\":\"register\"}".to_vec();
        largest.resize(4_096, b' ');
        one.send(largest);
        one.expect(&json!({"type": "your_addr", "addr": one.pair()}));
    });
}

#[test]
fn the_newest_registration_of_an_address_is_the_target() {
    on_both_families(|field| {
        let (older, newer, caller) = (field.peer(field.one), field.peer(field.one), field.peer(field.two));
        older.register();
        newer.register();
        caller.connect(&field.one.to_string());
        caller.expect(&peer(newer.address()));
        newer.expect(&peer(caller.address()));
        older.expect_silence();
    });
}

#[test]
fn any_well_formed_datagram_from_a_new_port_moves_the_registration_there() {
    on_both_families(|field| {
        for (message, answer) in [
            (json!({"type": "connect", "target_ip": "192.0.2.1"}), not_found("192.0.2.1")),
            (json!({"type": "connect"}), error("missing target_ip")),
            (json!({"type": "dance"}), error("unknown message type")),
        ] {
            let (before, after, caller) =
                (field.peer(field.one), field.peer(field.one), field.peer(field.two));
            before.register();
            after.say(&message);
            after.expect(&answer);
            caller.connect(&field.one.to_string());
            caller.expect(&peer(after.address()));
            after.expect(&peer(caller.address()));
        }
    });
}

#[test]
fn a_malformed_datagram_from_a_new_port_moves_nothing() {
    on_both_families(|field| {
        let (registered, noisy, caller) =
            (field.peer(field.one), field.peer(field.one), field.peer(field.two));
        registered.register();
        noisy.send("garbage");
        noisy.send("");
        caller.connect(&field.one.to_string());
        caller.expect(&peer(registered.address()));
        registered.expect(&peer(caller.address()));
    });
}

#[test]
fn a_sender_that_has_not_registered_may_connect_and_is_not_registered_by_it() {
    on_both_families(|field| {
        let (target, stranger) = (field.peer(field.one), field.peer(field.two));
        target.register();
        stranger.connect(&field.one.to_string());
        stranger.expect(&peer(target.address()));
        target.expect(&peer(stranger.address()));
        target.connect(&field.two.to_string());
        target.expect(&not_found(&field.two.to_string()));
    });
}

#[test]
fn a_target_is_found_however_its_address_is_written() {
    on_both_families(|field| {
        let (one, two) = (field.peer(field.one), field.peer(field.two));
        one.register();
        let written = match field.one {
            IpAddr::V4(v4) => format!("::ffff:{v4}"),
            IpAddr::V6(_) => "FD00:0:0:0::0005".to_owned(),
        };
        two.connect(&written);
        two.expect(&peer(one.address()));
        one.expect(&peer(two.address()));
    });
}

#[test]
fn a_reply_leaves_from_the_address_that_was_asked() {
    for listen in ["0.0.0.0:0", "0.0.0.0:0,[::]:0"] {
        let process = matchmaker(listen);
        let port = process.address("matchmaker").port();
        let (asked, told) =
            (SocketAddr::from(([127, 0, 0, 5], port)), SocketAddr::from(([127, 0, 0, 6], port)));
        // `receive` checks the source of all that it gets.
        let one = UdpPeer::at("127.0.0.9", asked);
        assert_eq!(one.register(), one.address());
        let two = UdpPeer::at("127.0.0.10", told);
        assert_eq!(two.register(), two.address());
        two.connect("127.0.0.9");
        two.expect(&peer(one.address()));
        two.expect_silence();
    }
}

#[test]
fn a_reply_leaves_from_the_ipv6_address_that_was_asked() {
    let Some(lab) = Lab::open() else { return };
    let namespace = lab.server();
    namespace.add_loopback_addresses(&["fd00::1", "fd00::2", "fd00::9"].map(|text| text.parse().unwrap()));
    namespace.run(|| {
        let process = matchmaker("[::]:0");
        let port = process.address("matchmaker").port();
        for asked in ["::1", "fd00::1", "fd00::2"] {
            let peer = UdpPeer::at("fd00::9", SocketAddr::new(asked.parse().unwrap(), port));
            assert_eq!(peer.register(), peer.address());
        }
    });
}

#[test]
fn peers_of_the_ipv4_and_the_ipv6_socket_are_in_one_table() {
    let process = matchmaker("127.0.0.1:0,[::1]:0");
    let addresses = process.addresses("matchmaker");
    let one = UdpPeer::at("127.0.0.5", *addresses.iter().find(|address| address.is_ipv4()).unwrap());
    let two = UdpPeer::at("::1", *addresses.iter().find(|address| address.is_ipv6()).unwrap());
    one.register();
    two.register();
    one.connect("::1");
    one.expect(&peer(two.address()));
}

#[test]
fn a_target_is_told_from_the_socket_that_it_knows() {
    let process = matchmaker("127.0.0.1:0");
    let server = process.address("matchmaker");
    let target = UdpSocket::bind("127.0.0.5:0").unwrap();
    // A connected socket, like a port-restricted NAT, lets in only whom it has spoken to.
    target.connect(server).unwrap();
    let target = UdpPeer::over(target, server);
    target.socket().send(b"{\"type\":\"register\"}").unwrap();
    target.expect(&json!({"type": "your_addr", "addr": target.pair()}));
    let caller = UdpPeer::at("127.0.0.6", server);
    caller.connect("127.0.0.5");
    target.expect(&peer(caller.address()));
}
