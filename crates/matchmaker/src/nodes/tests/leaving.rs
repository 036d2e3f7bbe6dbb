use super::*;
use crate::PresenceCursor;

#[test]
fn a_peer_that_comes_to_another_node_is_gone_at_the_first() {
    let mut fleet = Fleet::new(2);
    fleet.join(0, B, 2);
    let token = fleet.join(0, A, 1);
    // From the same address, and from another one.
    for at in [B, "198.51.100.8:6000"] {
        // An id comes with a newer token only.
        fleet.now_us += 1_000_000;
        fleet.join(1, at, 2);
        assert_eq!((fleet.engines[0].v2_len(), fleet.engines[1].v2_len() > 0), (1, true));
        let (outcome, sent) = fleet.connect(0, A, token, Target::Id(id(2)));
        assert_eq!((outcome, to(&sent, at).node), (Outcome::V2Sought, 1));
    }
}

#[test]
fn peers_without_an_id_and_legacy_ones_move_too() {
    let mut fleet = Fleet::new(2);
    fleet.join(0, B, 0);
    fleet.join(1, B, 0);
    assert_eq!((fleet.engines[0].v2_len(), fleet.engines[1].v2_len()), (0, 1));
    fleet.legacy(0, C, r#"{"type":"register"}"#);
    fleet.legacy(1, C, r#"{"type":"register"}"#);
    assert_eq!((fleet.engines[0].len(), fleet.engines[1].len()), (0, 1));
}

#[test]
fn a_neighbour_at_the_same_ip_stays_where_it_is() {
    let mut fleet = Fleet::new(2);
    fleet.join(0, "198.51.100.7:5000", 2);
    fleet.join(1, "198.51.100.7:6000", 3);
    assert_eq!((fleet.engines[0].v2_len(), fleet.engines[1].v2_len()), (1, 1));
}

#[test]
fn who_unregisters_is_found_nowhere() {
    let mut fleet = Fleet::new(2);
    let token = fleet.join(0, A, 1);
    let leaver = fleet.join(1, B, 2);
    let tid = fleet.next_tid();
    fleet.send(1, B, &Request::Unregister { tid, token: leaver });
    assert!(fleet.homes[&id(2).into()].is_empty());
    let (_, sent) = fleet.connect(0, A, token, Target::Id(id(2)));
    assert_eq!(code(&sent), ErrorCode::NotFound);
}

#[test]
fn a_node_that_ends_tells_its_peers_where_to_go() {
    let mut fleet = Fleet::new(1);
    let token = fleet.join(0, A, 1);
    for port in 1..=200 {
        fleet.join(0, &format!("198.51.100.7:{port}"), 0);
    }
    let to: Vec<SocketAddr> =
        ["192.0.2.2:1", "192.0.2.3:1", "[2001:db8::3]:1"].iter().map(|text| addr(text)).collect();
    fleet.engines[0].set_moving(&to, fleet.now_us + 19_500_000);
    let mut cursor = PresenceCursor::default();
    let mut out = Outbox::default();
    while fleet.engines[0].move_step(fleet.now_us, &mut cursor, &mut out) {}
    let sent = fleet.settle(0, out);
    assert_eq!(sent.len(), 201);
    let mut first = HashMap::new();
    for sent in &sent {
        let Reply::Move { to, within_secs } = Reply::decode(&sent.bytes).unwrap() else { panic!("{sent:?}") };
        assert_eq!((within_secs, to.as_slice().len()), (20, 2), "those of its family");
        *first.entry(to.as_slice()[0]).or_insert(0) += 1;
    }
    // Spread over both.
    assert!(first.len() == 2 && first.values().all(|count| *count > 50), "{first:?}");
    // Whoever did not hear it is told again with its keepalive.
    let sent = fleet.register(0, A, |register| {
        register.token = Some(token);
        register.id = Some(id(1));
    });
    assert!(matches!(your_addr(&sent).0, Status::Ok { .. }));
    assert!(matches!(Reply::decode(&sent[1].bytes), Ok(Reply::Move { .. })), "{sent:?}");
}

#[test]
fn a_walk_meets_all_that_were_heard_lately_and_no_legacy_peer_that_was_heard_once() {
    let mut fleet = Fleet::new(1);
    for port in 1..=700 {
        let number = u8::try_from(port).ok().filter(|number| *number <= 200).unwrap_or(0);
        fleet.join(0, &format!("198.51.{}.7:{port}", port % 256), number);
    }
    let register = r#"{"type":"register"}"#;
    fleet.legacy(0, C, register);
    for _ in 0..2 {
        fleet.legacy(0, B, register);
    }
    let walk = |fleet: &Fleet| {
        let (mut cursor, mut homes, mut steps) = (PresenceCursor::default(), Vec::new(), 0);
        while fleet.engines[0].presence_step(fleet.now_us, &mut cursor, &mut homes) {
            steps += 1;
        }
        assert_eq!(steps, fleet.engines[0].presence_steps());
        homes
    };
    let homes = walk(&fleet);
    let of = |kind| homes.iter().filter(move |home| home.kind == kind).map(|home| home.owner);
    let ids: std::collections::HashSet<Owner> = of(HomeKind::IdV4).collect();
    let ips: std::collections::HashSet<Owner> = of(HomeKind::Address).collect();
    assert_eq!((ids.len(), ips.len()), (200, 256));
    assert_eq!(of(HomeKind::Legacy).collect::<Vec<_>>(), ["198.51.100.7".parse().unwrap()]);
    fleet.now_us += 60_000_000;
    assert!(walk(&fleet).is_empty(), "who is silent is not said to be here again");
}
