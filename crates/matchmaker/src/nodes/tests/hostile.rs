use peer_core::datagram::v2::{PairId, PunchKey};

use super::*;
use crate::nodes::legacy_side;
use crate::nodes::message::{Answer, Ask, Verdict};

fn ask(number: u64, asker: &str, target: Target) -> Message {
    Message::Ask(Ask {
        from: node(7),
        pair: PairId::from_bits(number),
        key: PunchKey::from_bytes([1; 16]),
        asker: legacy_side(addr(asker)),
        registered: false,
        relay_us: 0,
        target,
    })
}

fn hear(fleet: &Fleet, message: &[u8]) -> (Option<NodeOutcome>, usize) {
    let mut out = Outbox::default();
    let outcome = fleet.engines[0].node_message(fleet.now_us, message, &mut out);
    (outcome, out.len())
}

#[test]
fn garbage_is_dropped_by_its_reason() {
    let fleet = Fleet::new(1);
    let cases: [(&[u8], NodeOutcome); 6] = [
        (b"", NodeOutcome::Malformed),
        (b"{\"type\":\"register\"}", NodeOutcome::OtherVersion),
        (&[2, 0], NodeOutcome::OtherVersion),
        (&[1], NodeOutcome::Malformed),
        (&[1, 9, 9], NodeOutcome::Malformed),
        (&[1; 513], NodeOutcome::TooLong),
    ];
    for (message, expected) in cases {
        assert_eq!(hear(&fleet, message), (Some(expected), 0), "{message:?}");
    }
}

#[test]
fn an_answer_to_nothing_has_no_effect() {
    let fleet = Fleet::new(1);
    let target = legacy_side(addr(B));
    for verdict in [Verdict::Told { target, start_in_us: 0 }, Verdict::NotFound, Verdict::Rate] {
        let answer = Message::Answer(Answer { pair: PairId::from_bits(5), verdict }).encode();
        assert_eq!(hear(&fleet, &answer), (Some(NodeOutcome::Stray), 0));
    }
}

#[test]
fn a_target_is_told_within_its_limits_whoever_asks_from_wherever() {
    let mut fleet = Fleet::new(1);
    fleet.legacy(0, B, r#"{"type":"register"}"#);
    fleet.join(0, A, 1);
    for target in [B, A] {
        let told = (0..500)
            .filter(|number| {
                let message =
                    ask(*number, &format!("192.0.2.9:{}", number + 1), Target::Ip(addr(target).ip()));
                hear(&fleet, &message.encode()).0 == Some(NodeOutcome::Told)
            })
            .count();
        // The burst of what a target is told of by those that are not registered.
        assert_eq!(told, 10, "{target}");
    }
}

#[test]
fn more_messages_than_are_looked_at_are_dropped() {
    let fleet = Fleet::new(1);
    let message = ask(1, B, Target::Ip(addr(C).ip())).encode();
    let dropped = (0..30_000).filter(|_| hear(&fleet, &message).0 == Some(NodeOutcome::Flood)).count();
    assert_eq!(dropped, 10_000);
}

#[test]
fn asks_are_bounded_and_their_memory_is_given_back() {
    let mut fleet = Fleet::new(1);
    fleet.loses = true;
    let there: Owner = id(200).into();
    fleet.homes.insert(there, vec![HomeAt { node: node(9), kind: HomeKind::IdV4 }]);
    let (mut sought, mut limited) = (0, 0);
    for peer in 0..60_u8 {
        let from = format!("198.51.100.{peer}:7");
        let token = fleet.join(0, &from, 0);
        for _ in 0..200 {
            match fleet.connect(0, &from, token, Target::Id(id(200))).0 {
                Outcome::V2Sought => sought += 1,
                Outcome::V2PairLimit => limited += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((sought, limited), (60 * 8, 60 * 192), "the burst of a pair");
    assert_eq!(fleet.engines[0].asks_len(), sought);
    fleet.loses = false;
    assert_eq!(fleet.wait_ms(1_000).len(), sought, "each is told that nobody was found");
    assert_eq!(fleet.engines[0].asks_len(), 0);
}

#[test]
fn a_peer_is_not_told_of_itself() {
    let mut fleet = Fleet::new(1);
    fleet.legacy(0, B, r#"{"type":"register"}"#);
    assert_eq!(hear(&fleet, &ask(1, B, Target::Ip(addr(B).ip())).encode()), (Some(NodeOutcome::Refused), 0));
}
