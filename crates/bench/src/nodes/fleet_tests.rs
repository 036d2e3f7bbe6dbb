#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use peer_core::datagram::v2::Reply;

use super::*;
use crate::figures::float;
use crate::nodes::expected::Expected;

/// Whether a datagram is what tells of a pair.
fn is_introduction(bytes: &[u8]) -> bool {
    matches!(Reply::decode(bytes), Ok(Reply::Peer(_)))
}

fn scene(nodes: usize, peers: usize, connects_per_second: f64) -> Scene {
    Scene { nodes, peers, connects_per_second, room: 1_000, joining_us: 5 * SECOND_US, seed: 7 }
}

/// Rates of a whole walk, after everybody came.
fn settled(scene: &Scene) -> (Fleet, Load) {
    let mut fleet = Fleet::new(scene);
    let start_us = scene.joining_us + 60 * SECOND_US;
    fleet.run_until(start_us).unwrap();
    let load = fleet.run_until(start_us + WALK_US).unwrap();
    (fleet, load)
}

#[track_caller]
fn assert_near(what: &str, found: f64, expected: f64, within: f64) {
    assert!((found - expected).abs() <= expected * within, "{what}: {found} and not {expected}");
}

#[test]
fn the_sums_of_the_plan_are_what_the_engines_do() {
    for (nodes, peers, connects) in [(1, 60, 4.0), (3, 90, 10.0), (20, 400, 50.0)] {
        let scene = scene(nodes, peers, connects);
        let (fleet, load) = settled(&scene);
        let seconds = float(WALK_US) / 1e6;
        let expected = Expected::of(float(nodes as u64), float(peers as u64), 2.0, connects);
        assert_near("heard", float(load.done.heard) / seconds, expected.heard, 0.03);
        assert_near("beats", float(load.done.beats) / seconds, expected.beats, 0.03);
        assert_near("finds", float(load.done.finds) / seconds, expected.finds, 0.15);
        assert_near("messages", float(load.done.messages) / seconds, expected.messages, 0.15);
        assert_eq!(fleet.missed, 0, "every ask is met");
        assert_eq!(fleet.ledger.homes(), 2 * peers, "an address and an id each");
    }
}

#[test]
fn a_keepalive_writes_nothing() {
    let with = settled(&scene(2, 100, 0.0)).1;
    let evalsha = with.calls.get("evalsha").copied().unwrap();
    assert_eq!(evalsha, with.done.heard + with.done.beats);
    // 100 peers of two homes in 40 s, and two nodes of a beat in 2 s: not the 200 keepalives of that time.
    assert_near("calls", float(evalsha), 200.0 + 40.0, 0.05);
}

#[test]
fn beats_grow_with_the_square_of_the_nodes() {
    let bytes = |nodes| {
        let load = settled(&scene(nodes, 1, 0.0)).1;
        float(load.out_bytes)
    };
    let (few, many) = (bytes(20), bytes(200));
    assert!((70.0..110.0).contains(&(many / few)), "{few} and {many}");
}

#[test]
fn both_sides_of_a_pair_are_told_by_their_own_nodes() {
    let scene = scene(2, 2, 0.0);
    let mut fleet = Fleet::new(&scene);
    fleet.run_until(20 * SECOND_US).unwrap();
    let id = fleet.peers.get(1).unwrap().speaker.id();
    let asker = fleet.peers.get_mut(0).unwrap();
    let datagram = asker.speaker.connect(Target::Id(id)).unwrap();
    let addr = asker.addr;
    let mut out = fleet.hand_over(0, addr, &datagram).unwrap();
    assert!(!out.iter().any(|sent| is_introduction(sent.bytes)), "its node has to ask first");
    fleet.settle(0, &mut out);
    assert_eq!((fleet.matched, fleet.missed), (1, 0));
    assert_eq!((fleet.ledger.load.done.finds, fleet.ledger.load.done.messages), (1, 2));
}
