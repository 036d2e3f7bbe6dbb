//! Version 2 of the rendezvous as a client sees it, over real sockets and through real NATs.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::lab::{Lab, SERVER};
use black_box::metrics::Admin;
use black_box::process::{Launch, Process};
use black_box::router::RouterKind;
use black_box::udp::{UdpPeer, from_pair, pair};
use black_box::v2::V2Peer;
use serde_json::{Value, json};

fn matchmaker() -> Launch {
    Launch::new(Binary::Matchmaker)
}

fn peer(process: &Process, ip: &str, number: u8) -> V2Peer {
    V2Peer::new(UdpPeer::at(ip, process.address("matchmaker")), number)
}

fn counted(process: &Process, outcome: &str) -> f64 {
    Admin::at(process.address("matchmaker-admin")).sum("matchmaker_datagrams_total", &[("outcome", outcome)])
}

#[track_caller]
fn await_count(process: &Process, outcome: &str, expected: f64) {
    eventually(PATIENCE, outcome, || {
        let counted = counted(process, outcome);
        assert!(counted < expected + 0.5, "{counted} of {expected} {outcome}");
        (counted > expected - 0.5).then_some(())
    });
}

#[test]
fn two_peers_register_keep_alive_meet_and_say_so() {
    let mut process = matchmaker().start();
    let (mut one, mut two) = (peer(&process, "127.0.0.5", 1), peer(&process, "127.0.0.6", 2));
    for peer in [&mut one, &mut two] {
        peer.introduce();
        assert_eq!(peer.seen(), peer.udp.address());
        let answer = peer.register_signed();
        assert_eq!(
            (&answer["ttl"], &answer["keepalive"], answer.get("alt")),
            (&json!(120), &json!(20), None)
        );
        assert_eq!(peer.keep_alive()["status"], "ok");
    }
    for target in [
        json!({"target_id": two.id()}),
        json!({"target_ip": "127.0.0.6"}),
        json!({"target_ip": "127.0.0.6", "target_port": two.udp.address().port()}),
    ] {
        let to_one = one.connect(target);
        let to_two = two.udp.receive();
        assert_eq!((&to_one["type"], &to_two["type"]), (&json!("peer"), &json!("peer")), "{to_one}");
        assert_eq!((&to_one["pair"], &to_one["key"]), (&to_two["pair"], &to_two["key"]));
        assert_eq!((&to_one["peer"], &to_one["id"]), (&two.udp.pair(), &json!(two.id())));
        assert_eq!((&to_two["peer"], &to_two["id"]), (&one.udp.pair(), &json!(one.id())));
        assert_eq!(to_two.get("tid"), None);
        let mapped = json!([[two.udp.pair()[0], two.udp.pair()[1], "mapped"]]);
        assert_eq!(to_one["candidates"], mapped);
        one.ack(&to_one);
        two.ack(&to_two);
        one.udp.say(
            &json!({"type": "result", "v": 2, "pair": to_one["pair"], "ok": true, "via": "mapped", "ms": 3}),
        );
        two.udp.say(&json!({"type": "result", "v": 2, "pair": to_two["pair"], "ok": false}));
    }
    for (outcome, expected) in [("v2_acked", 6.0), ("v2_reached_mapped", 3.0), ("v2_not_reached", 3.0)] {
        await_count(&process, outcome, expected);
    }
    let admin = Admin::at(process.address("matchmaker-admin"));
    eventually(PATIENCE, "two registrations", || {
        (admin.sum("matchmaker_v2_registrations", &[]) > 1.5).then_some(())
    });
    let unregister = json!({"type": "unregister", "token": two.token()});
    assert_eq!(two.ask(unregister)["type"], "unregistered");
    assert_eq!(one.connect(json!({"target_id": two.id()}))["code"], "not_found");
    process.assert_sound();
}

#[test]
fn a_side_that_does_not_acknowledge_is_told_again_and_one_that_does_is_not() {
    let process = matchmaker().start();
    let (mut one, mut two) = (peer(&process, "127.0.0.5", 1), peer(&process, "127.0.0.6", 2));
    one.join();
    two.join();
    let started = Instant::now();
    let told = one.connect(json!({"target_id": two.id()}));
    one.ack(&told);
    let heard: Vec<Value> = (0..4).map(|_| two.udp.receive()).collect();
    let passed = started.elapsed();
    assert!(heard.iter().all(|again| again["pair"] == told["pair"]), "{heard:?}");
    assert!(passed >= Duration::from_secs(1), "{passed:?}");
    // The server is otherwise idle, and comes at the time all the same.
    assert!(passed < Duration::from_millis(1_900), "{passed:?}");
    one.udp.expect_silence();
    two.udp.expect_silence();
}

#[test]
fn peers_behind_one_nat_stay_apart_and_are_told_of_local_addresses() {
    let process = matchmaker().start();
    let mut one = peer(&process, "127.0.0.5", 1).in_lan(json!([["192.168.1.5", 40_001], ["203.0.113.5", 7]]));
    let mut two = peer(&process, "127.0.0.5", 2).in_lan(json!([["192.168.1.6", 40_002]]));
    let mut other = peer(&process, "127.0.0.6", 3);
    for peer in [&mut one, &mut two, &mut other] {
        peer.join();
    }
    assert_eq!(other.connect(json!({"target_ip": "127.0.0.5"}))["code"], "ambiguous");
    let told = other.connect(json!({"target_id": one.id()}));
    assert_eq!(told["peer"], one.udp.pair());
    assert_eq!(told["candidates"].as_array().map(Vec::len), Some(1));
    other.ack(&told);
    one.ack(&one.udp.receive());
    let told = one.connect(json!({"target_ip": "127.0.0.5"}));
    assert_eq!(told["candidates"][0], json!(["192.168.1.6", 40_002, "lan"]));
    assert_eq!(told["candidates"].as_array().map(Vec::len), Some(2));
    let candidates = &two.udp.receive()["candidates"];
    assert_eq!(candidates[0], json!(["192.168.1.5", 40_001, "lan"]));
    assert_eq!(candidates.as_array().map(Vec::len), Some(2), "only private ones are kept");
}

#[test]
fn a_stranger_takes_no_id_and_forgets_nobody() {
    let process = matchmaker().start();
    let (mut one, mut thief) = (peer(&process, "127.0.0.5", 1), peer(&process, "127.0.0.6", 2));
    one.join();
    thief.join();
    let forged = json!({"type": "register", "token": thief.token(), "id": one.id(), "sig": "A".repeat(86)});
    assert_eq!(thief.ask(forged)["code"], "bad_signature");
    let unsigned = json!({"type": "register", "token": thief.token(), "id": one.id()});
    assert_eq!(thief.ask(unsigned)["status"], "verify");
    thief.steal(one.token());
    for kind in ["unregister", "register", "connect"] {
        let message = json!({"type": kind, "token": thief.token(), "target_id": one.id(), "id": one.id()});
        assert_eq!(thief.ask(message)["code"], "bad_token", "{kind}");
    }
    let mut asker = peer(&process, "127.0.0.7", 3);
    asker.join();
    assert_eq!(asker.connect(json!({"target_id": one.id()}))["peer"], one.udp.pair());
}

#[test]
fn a_token_outlives_a_restart_of_a_server_that_is_told_its_key() {
    let keyed = || matchmaker().set("MATCHMAKER_TOKEN_KEY", "000102030405060708090a0b0c0d0e0f");
    let first = keyed().start();
    let mut one = peer(&first, "127.0.0.5", 1);
    one.join();
    drop(first);
    let second = keyed().start();
    // From the same socket to the new server.
    let socket = one.udp.socket().try_clone().expect("a socket");
    let mut moved = V2Peer::new(UdpPeer::over(socket, second.address("matchmaker")), 1);
    moved.steal(one.token());
    let register = json!({"type": "register", "token": moved.token(), "id": moved.id()});
    assert_eq!(moved.ask(register)["status"], "ok");

    let other = matchmaker().start();
    let socket = one.udp.socket().try_clone().expect("a socket");
    let mut moved = V2Peer::new(UdpPeer::over(socket, other.address("matchmaker")), 1);
    let register = json!({"type": "register", "token": one.token(), "id": moved.id()});
    assert_eq!(moved.ask(register)["code"], "bad_token");
}

#[test]
fn both_versions_meet_and_a_legacy_peer_hears_nothing_new() {
    let process = matchmaker().start();
    let legacy = UdpPeer::at("127.0.0.8", process.address("matchmaker"));
    legacy.register();
    let mut one = peer(&process, "127.0.0.5", 1);
    one.join();
    let told = one.connect(json!({"target_ip": "127.0.0.8"}));
    assert_eq!((from_pair(&told["peer"]), told.get("key")), (legacy.address(), None));
    one.ack(&told);
    legacy.expect(&black_box::udp::peer(one.udp.address()));
    legacy.connect("127.0.0.5");
    legacy.expect(&black_box::udp::peer(one.udp.address()));
    let told = one.udp.receive();
    assert_eq!((&told["type"], &told["v"], &told["peer"]), (&json!("peer"), &json!(2), &legacy.pair()));
    legacy.expect_silence();
}

#[test]
fn with_legacy_off_version_2_is_all_that_is_left() {
    let process = matchmaker().set("MATCHMAKER_LEGACY", "off").start();
    let legacy = UdpPeer::at("127.0.0.8", process.address("matchmaker"));
    legacy.say(&json!({"type": "register"}));
    let (mut one, mut two) = (peer(&process, "127.0.0.5", 1), peer(&process, "::1", 2));
    one.join();
    await_count(&process, "legacy_off", 1.0);
    assert_eq!(one.connect(json!({"target_ip": "127.0.0.8"}))["code"], "not_found");
    if process.addresses("matchmaker").iter().any(SocketAddr::is_ipv6) {
        two.join();
    }
}

#[test]
fn a_probe_tells_the_kind_of_nat_and_two_hard_ones_are_told_so() {
    let Some(lab) = Lab::open() else { return };
    let listen = SocketAddr::from((SERVER, 0)).to_string();
    let server = lab.server();
    let mut process =
        server.run(|| matchmaker().set("MATCHMAKER_LISTEN", &listen).set("MATCHMAKER_ALT_PORT", "0").start());
    process.wait_for_listeners("matchmaker-alt", 1);
    let (main, alt) = (process.address("matchmaker"), process.address("matchmaker-alt"));
    let kinds = [RouterKind::HomeRouter, RouterKind::Hard, RouterKind::Hard];
    let households = kinds.map(|kind| lab.household(kind));
    let [mut home, mut hard, mut harder] =
        [0_u8, 1, 2].map(|number| V2Peer::new(households[usize::from(number)].peer(main), number));
    for (peer, kind) in [(&mut home, "easy"), (&mut hard, "hard"), (&mut harder, "hard")] {
        peer.introduce();
        let answer = peer.register_signed();
        assert_eq!(answer["alt"], json!(alt.port()));
        assert_eq!(peer.probe(alt), kind);
    }
    let told = home.connect(json!({"target_id": hard.id()}));
    assert_eq!((&told["nat"], &told["punch"]), (&json!("hard"), &json!(true)));
    let told = hard.udp.receive();
    assert_eq!((&told["nat"], &told["punch"]), (&json!("easy"), &json!(true)));
    assert_eq!(told["peer"], pair(home.seen()));
    hard.ack(&told);
    let told = harder.connect(json!({"target_id": hard.id()}));
    assert_eq!((&told["nat"], &told["punch"]), (&json!("hard"), &json!(false)));
    let told = hard.udp.receive();
    assert_eq!((&told["nat"], &told["punch"]), (&json!("hard"), &json!(false)));
}
