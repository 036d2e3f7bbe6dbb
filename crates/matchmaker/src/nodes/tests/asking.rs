use super::*;

const REGISTER: &str = r#"{"type":"register"}"#;

fn legacy_connect(ip: &str) -> String {
    format!(r#"{{"type":"connect","target_ip":"{ip}"}}"#)
}

#[test]
fn peers_of_two_nodes_meet_by_id_and_are_told_the_same_pair() {
    let mut fleet = Fleet::new(2);
    let token = fleet.join(0, A, 1);
    fleet.join(1, B, 2);
    let (outcome, sent) = fleet.connect(0, A, token, Target::Id(id(2)));
    assert_eq!(outcome, Outcome::V2Sought);
    let (asker, target) = (to(&sent, A), to(&sent, B));
    // Each by the socket of its own node.
    assert_eq!((asker.node, target.node), (0, 1));
    let (asker, target) = (asker.introduction(), target.introduction());
    assert_eq!((asker.peer, asker.id), (addr(B), Some(id(2))));
    assert_eq!((target.peer, target.id), (addr(A), Some(id(1))));
    assert_eq!((asker.pair, asker.key), (target.pair, target.key));
    assert!(asker.key.is_some() && asker.tid.is_some() && target.tid.is_none());
    assert_eq!(fleet.outcomes, [NodeOutcome::Told, NodeOutcome::Matched]);
    assert_eq!(fleet.engines[0].asks_len(), 0);
}

#[test]
fn a_target_is_found_by_ip_and_by_ip_and_port() {
    let mut fleet = Fleet::new(3);
    let token = fleet.join(0, A, 1);
    fleet.join(2, B, 2);
    for target in [Target::Ip(addr(B).ip()), Target::Addr(addr(B))] {
        let (_, sent) = fleet.connect(0, A, token, target);
        assert_eq!(to(&sent, A).introduction().peer, addr(B));
        assert_eq!(to(&sent, B).node, 2);
    }
    let other_port = SocketAddr::new(addr(B).ip(), 9);
    let (_, sent) = fleet.connect(0, A, token, Target::Addr(other_port));
    assert_eq!(code(&sent), ErrorCode::NotFound);
}

#[test]
fn an_ip_with_peers_at_two_nodes_is_ambiguous_and_a_port_is_not() {
    let mut fleet = Fleet::new(3);
    let token = fleet.join(0, A, 1);
    let (first, second) = ("198.51.100.7:5000", "198.51.100.7:6000");
    fleet.join(1, first, 2);
    fleet.join(2, second, 3);
    let (_, sent) = fleet.connect(0, A, token, Target::Ip(addr(first).ip()));
    assert_eq!(code(&sent), ErrorCode::Ambiguous);
    for port in [first, second] {
        // Whichever node is asked first, the other one is asked next.
        let (_, sent) = fleet.connect(0, A, token, Target::Addr(addr(port)));
        assert_eq!(to(&sent, A).introduction().peer, addr(port));
    }
    assert!(fleet.outcomes.contains(&NodeOutcome::Next), "{:?}", fleet.outcomes);
}

#[test]
fn legacy_peers_of_two_nodes_meet_in_their_own_words() {
    let mut fleet = Fleet::new(2);
    fleet.legacy(0, A, REGISTER);
    fleet.legacy(1, B, REGISTER);
    let sent = fleet.legacy(0, A, &legacy_connect("198.51.100.7"));
    assert_eq!(to(&sent, A).text(), r#"{"type": "peer", "peer": ["198.51.100.7", 5000]}"#);
    assert_eq!(to(&sent, B).text(), r#"{"type": "peer", "peer": ["203.0.113.10", 41001]}"#);
    assert_eq!((to(&sent, A).node, to(&sent, B).node), (0, 1));
}

#[test]
fn a_legacy_target_that_is_nowhere_is_refused_in_the_words_of_the_original() {
    let mut fleet = Fleet::new(2);
    fleet.legacy(0, A, REGISTER);
    let sent = fleet.legacy(0, A, &legacy_connect("::FFFF:198.51.100.7"));
    let expected = r#"{"type": "error", "msg": "target ::FFFF:198.51.100.7 not found or offline"}"#;
    assert_eq!(to(&sent, A).text(), expected);
}

#[test]
fn peers_of_both_versions_meet_across_nodes() {
    let mut fleet = Fleet::new(2);
    let token = fleet.join(0, A, 1);
    fleet.legacy(1, B, REGISTER);
    let (_, sent) = fleet.connect(0, A, token, Target::Ip(addr(B).ip()));
    let told = to(&sent, A).introduction();
    assert_eq!((told.peer, told.key, told.id), (addr(B), None, None));
    assert_eq!(to(&sent, B).text(), r#"{"type": "peer", "peer": ["203.0.113.10", 41001]}"#);

    let sent = fleet.legacy(1, B, &legacy_connect("203.0.113.10"));
    assert_eq!(to(&sent, B).text(), r#"{"type": "peer", "peer": ["203.0.113.10", 41001]}"#);
    let told = to(&sent, A).introduction();
    assert_eq!((told.peer, told.key), (addr(B), None));
}

#[test]
fn a_token_of_one_node_is_good_at_another() {
    let mut fleet = Fleet::new(2);
    let token = fleet.join(0, A, 1);
    let sent = fleet.register(1, A, |register| {
        register.token = Some(token);
        register.id = Some(id(1));
    });
    assert!(matches!(your_addr(&sent).0, Status::Ok { .. }), "without a signature");
}

#[test]
fn both_sides_begin_at_the_same_time_however_long_messages_take() {
    let mut fleet = Fleet::new(2);
    fleet.way_us = 20_000;
    let token = fleet.join(0, A, 1);
    fleet.join(1, B, 2);
    // The first ask shows how long they take.
    for round in 0..3 {
        fleet.now_us += 10_000_000;
        let (_, sent) = fleet.connect(0, A, token, Target::Id(id(2)));
        let at_asker_us = fleet.now_us;
        let at_target_us = fleet.now_us - fleet.way_us;
        let begins = |at_us: u64, told: &Sent| at_us + u64::from(told.introduction().start_ms) * 1_000;
        let skew_us = begins(at_asker_us, to(&sent, A)).abs_diff(begins(at_target_us, to(&sent, B)));
        assert!(round == 0 || skew_us <= 1_000, "{skew_us} us in round {round}");
    }
}

#[test]
fn an_equal_request_while_an_ask_is_under_way_has_no_second_effect() {
    let mut fleet = Fleet::new(2);
    let token = fleet.join(0, A, 1);
    fleet.join(1, B, 2);
    fleet.loses = true;
    let tid = fleet.next_tid();
    let connect = Request::Connect(Connect { tid, token, target: Target::Id(id(2)) });
    assert_eq!(fleet.send(0, A, &connect).0, Outcome::V2Sought);
    assert_eq!(fleet.send(0, A, &connect).0, Outcome::V2Repeated);
    assert_eq!(fleet.engines[0].asks_len(), 1);
    // What was lost is over after a second, and asked for anew.
    assert_eq!(code(&fleet.wait_ms(1_000)), ErrorCode::NotFound);
    fleet.loses = false;
    let (outcome, sent) = fleet.send(0, A, &connect);
    assert_eq!((outcome, to(&sent, A).introduction().peer), (Outcome::V2Sought, addr(B)));
    // And then it is a repeat like any other.
    let (outcome, sent) = fleet.send(0, A, &connect);
    assert_eq!((outcome, to(&sent, A).introduction().peer), (Outcome::V2Repeated, addr(B)));
}

#[test]
fn a_node_that_is_gone_is_passed_over() {
    let mut fleet = Fleet::new(3);
    let token = fleet.join(0, A, 1);
    fleet.join(2, "198.51.100.7:6000", 3);
    fleet.join(1, B, 2);
    fleet.gone.push(1);
    let (_, sent) = fleet.connect(0, A, token, Target::Id(id(2)));
    assert_eq!(code(&sent), ErrorCode::NotFound, "at once");
    let (_, sent) = fleet.connect(0, A, token, Target::Addr(addr("198.51.100.7:6000")));
    assert_eq!(to(&sent, A).introduction().peer, addr("198.51.100.7:6000"));
}

#[test]
fn two_hard_nats_are_told_so_across_nodes() {
    let mut fleet = Fleet::new(2);
    let token = fleet.join(0, A, 1);
    fleet.join(1, B, 2);
    for (index, peer) in [(0, A), (1, B)] {
        let v2 = fleet.engines[index].v2.as_ref().unwrap();
        v2.peers().set_nat(addr(peer), NatKind::Hard, fleet.now_us);
    }
    let (_, sent) = fleet.connect(0, A, token, Target::Id(id(2)));
    assert!(!to(&sent, A).introduction().punch && !to(&sent, B).introduction().punch);
}

#[test]
fn local_addresses_are_told_where_both_have_one_public_ip() {
    let mut fleet = Fleet::new(2);
    let (first, second) = ("203.0.113.10:1", "203.0.113.10:2");
    let token = fleet.join(0, first, 1);
    let token_of_second = fleet.join(1, second, 2);
    fleet.register(1, second, |register| {
        register.token = Some(token_of_second);
        register.id = Some(id(2));
        register.lan = [addr("192.168.1.7:2")].into_iter().collect();
    });
    let (_, sent) = fleet.connect(0, first, token, Target::Id(id(2)));
    assert_eq!(to(&sent, first).introduction().lan.as_slice(), [addr("192.168.1.7:2")]);
}

#[test]
fn a_target_that_moves_between_the_look_and_the_ask_is_looked_up_once_more() {
    // To a third node, or to the asker's own.
    for to_node in [2, 0] {
        let mut fleet = Fleet::new(3);
        let token = fleet.join(0, A, 1);
        fleet.join(1, B, 2);
        let tid = fleet.next_tid();
        let mut datagram = Vec::new();
        Request::Connect(Connect { tid, token, target: Target::Id(id(2)) }).encode(&mut datagram);
        let mut out = Outbox::default();
        let arrival = Arrival { from: addr(A), socket: 0, local: None, local_port: 12_345 };
        fleet.engines[0].handle(fleet.now_us, arrival, &datagram, &mut out);
        let events: Vec<NodeEvent> = out.take_events().collect();
        let [NodeEvent::Find { pair, .. }] = events[..] else { panic!("{events:?}") };
        // A token that is older than the one by which it came to the second node would not bring it elsewhere.
        fleet.wait_ms(1);
        fleet.join(to_node, B, 2);
        let old = HomeAt { node: node(1), kind: HomeKind::IdV4 };
        fleet.engines[0].node_homes(fleet.now_us, pair, &[old], &mut out);
        let sent = fleet.settle(0, out);
        assert_eq!(to(&sent, A).introduction().peer, addr(B), "to node {to_node}");
        assert_eq!(to(&sent, B).node, to_node);
    }
}
