use super::*;

/// How long an ask waits for Redis, in ms.
const ASK_MS: u64 = 1_000;
const TICK_MS: u64 = 100;

#[test]
fn an_ask_that_redis_does_not_take_is_met_as_soon_as_it_does() {
    let mut fleet = Fleet::new(2);
    let token = fleet.join(0, A, 1);
    fleet.join(1, B, 2);
    fleet.is_away = true;
    let (outcome, sent) = fleet.connect(0, A, token, Target::Id(id(2)));
    assert_eq!((outcome, sent.len()), (Outcome::V2Sought, 0));
    for _ in 0..8 {
        assert!(fleet.wait_ms(TICK_MS).is_empty());
    }
    fleet.is_away = false;
    let sent = fleet.wait_ms(TICK_MS);
    assert_eq!((to(&sent, A).introduction().peer, to(&sent, B).introduction().peer), (addr(B), addr(A)));
    assert!(fleet.wait_ms(ASK_MS).is_empty() && fleet.engines[0].asks_len() == 0);
}

#[test]
fn an_ask_that_comes_without_a_link_or_before_it_ends_waits_for_the_next() {
    let mut fleet = Fleet::new(2);
    let token = fleet.join(0, A, 1);
    fleet.join(1, B, 2);
    fleet.engines[0].set_linked(false);
    fleet.connect(0, A, token, Target::Id(id(2)));
    assert!(fleet.wait_ms(TICK_MS).is_empty());
    fleet.engines[0].set_linked(true);
    assert_eq!(to(&fleet.wait_ms(TICK_MS), A).introduction().peer, addr(B));
    // The answer to one that is under way is lost with the link.
    fleet.loses = true;
    fleet.connect(0, A, token, Target::Addr(addr(B)));
    fleet.engines[0].set_linked(false);
    fleet.loses = false;
    fleet.engines[0].set_linked(true);
    assert_eq!(to(&fleet.wait_ms(TICK_MS), A).introduction().peer, addr(B));
}

#[test]
fn whoever_asked_in_vain_while_redis_was_away_is_to_ask_again() {
    let mut fleet = Fleet::new(2);
    let token = fleet.join(0, A, 1);
    fleet.join(1, B, 2);
    let nobody = Target::Id(id(3));
    fleet.is_away = true;
    for target in [Target::Id(id(2)), nobody] {
        fleet.connect(0, A, token, target);
        assert_eq!(retry_ms(&fleet.wait_ms(ASK_MS)), Some(500));
    }
    fleet.engines[0].set_linked(false);
    fleet.connect(0, A, token, nobody);
    assert_eq!(retry_ms(&fleet.wait_ms(ASK_MS)), Some(500));
    assert_eq!(fleet.outcomes, [NodeOutcome::Unreachable; 3]);
    fleet.engines[0].set_linked(true);
    fleet.is_away = false;
    let (_, sent) = fleet.connect(0, A, token, nobody);
    assert_eq!(retry_ms(&sent), None, "Redis says that nobody hears it");
}

#[test]
fn just_after_an_outage_a_peer_that_nobody_hears_may_be_there_all_the_same() {
    let mut fleet = Fleet::new(2);
    let token = fleet.join(0, A, 1);
    fleet.engines[0].doubt_nodes_until(fleet.now_us + 3_000_000);
    fleet.engines[0].doubt_nodes_until(fleet.now_us);
    let (_, sent) = fleet.connect(0, A, token, Target::Id(id(2)));
    assert_eq!(retry_ms(&sent), Some(500));
    fleet.wait_ms(3_000);
    let (_, sent) = fleet.connect(0, A, token, Target::Id(id(2)));
    assert_eq!(retry_ms(&sent), None);
}

#[test]
fn a_legacy_peer_hears_nothing_where_it_is_not_known_whether_the_target_is_there() {
    let mut fleet = Fleet::new(2);
    fleet.legacy(0, A, r#"{"type":"register"}"#);
    fleet.is_away = true;
    let connect = r#"{"type":"connect","target_ip":"198.51.100.7"}"#;
    assert!(fleet.legacy(0, A, connect).is_empty());
    assert!(fleet.wait_ms(ASK_MS).is_empty());
    fleet.is_away = false;
    let sent = fleet.legacy(0, A, connect);
    assert_eq!(
        to(&sent, A).text(),
        r#"{"type": "error", "msg": "target 198.51.100.7 not found or offline"}"#
    );
}
