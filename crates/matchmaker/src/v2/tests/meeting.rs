use peer_core::datagram::v2::{NatKind, Path, Verdict};

use super::*;

/// Two peers behind one NAT, and a third elsewhere.
const A2: &str = "203.0.113.10:41002";

fn probe(bench: &mut Bench, from: &str, port: u16, token: Token, of: &str) -> (Outcome, Option<Reply>) {
    let mut datagram = Vec::new();
    Request::Probe { tid: tid("p"), token, addr: addr(of) }.encode(&mut datagram);
    let (outcome, sent) = bench.send_bytes(from, port, &datagram);
    assert!(sent.iter().all(|sent| sent.to == addr(from)));
    (outcome, sent.first().map(Sent::reply))
}

#[test]
fn both_sides_are_told_of_each_other_with_one_pair_and_one_key() {
    let mut bench = Bench::new();
    let of_a = bench.join(A, 1, &["192.168.1.5:1"]);
    bench.join(B, 2, &["10.0.0.2:1"]);
    for target in [Target::Id(id(2)), Target::Addr(addr(B)), Target::Ip(addr(B).ip())] {
        let [to_a, to_b] = bench.meet(A, of_a, target);
        assert!(to_a.tid.is_some() && to_b.tid.is_none());
        assert_eq!((to_a.pair, to_a.key), (to_b.pair, to_b.key));
        assert!(to_a.key.is_some());
        assert_eq!((to_a.peer, to_a.id), (addr(B), Some(id(2))));
        assert_eq!((to_b.peer, to_b.id), (addr(A), Some(id(1))));
        for told in [to_a, to_b] {
            assert_eq!((told.nat, told.punch, told.cold), (NatKind::Unknown, true, false));
            assert!(told.lan.is_empty(), "their networks are not one");
        }
    }
}

#[test]
fn several_peers_behind_one_nat_stay_apart() {
    let mut bench = Bench::new();
    let of_a = bench.join(A, 1, &[]);
    bench.join(A2, 2, &[]);
    let of_b = bench.join(B, 0, &[]);
    let (outcome, sent) = bench.connect(B, of_b, Target::Ip(addr(A).ip()));
    assert_eq!((outcome, code(&sent)), (Outcome::V2Ambiguous, Some(ErrorCode::Ambiguous)));
    assert_eq!(bench.meet(B, of_b, Target::Addr(addr(A)))[0].id, Some(id(1)));
    assert_eq!(bench.meet(B, of_b, Target::Addr(addr(A2)))[0].id, Some(id(2)));
    assert_eq!(bench.meet(B, of_b, Target::Id(id(2)))[0].peer, addr(A2));
    // For one of them the other is the only one.
    assert_eq!(bench.meet(A, of_a, Target::Ip(addr(A).ip()))[0].peer, addr(A2));
    // One that expired makes nothing ambiguous.
    bench.wait_ms(100_000);
    let of_a = bench.join(A, 1, &[]);
    bench.wait_ms(20_000);
    let of_b = bench.join(B, 0, &[]);
    assert_eq!(bench.meet(B, of_b, Target::Ip(addr(A).ip()))[0].peer, addr(A));
    assert_eq!(bench.connect(A, of_a, Target::Ip(addr(A).ip())).0, Outcome::V2NotFound);
}

#[test]
fn nobody_is_told_of_himself() {
    let mut bench = Bench::new();
    let token = bench.join(A, 1, &[]);
    for target in [Target::Id(id(1)), Target::Addr(addr(A)), Target::Ip(addr(A).ip())] {
        assert_eq!(bench.connect(A, token, target).0, Outcome::V2NotFound);
    }
}

#[test]
fn local_addresses_are_told_behind_one_nat_only_and_private_ones_only() {
    let mut bench = Bench::new();
    let given =
        ["192.168.1.5:40001", "203.0.113.9:1", "[fd00::5]:40001", "127.0.0.1:5", "[fe80::1]:4", "10.0.0.1:0"];
    bench.join(A, 1, &given);
    let of_a2 = bench.join(A2, 2, &["192.168.1.7:40001"]);
    let [to_a2, to_a] = bench.meet(A2, of_a2, Target::Id(id(1)));
    let private: LanAddrs = ["192.168.1.5:40001", "[fd00::5]:40001"].into_iter().map(addr).collect();
    assert_eq!((to_a2.lan, to_a.lan.as_slice()), (private, &[addr("192.168.1.7:40001")][..]));
    let of_b = bench.join(B, 0, &["192.168.1.9:40001"]);
    for told in bench.meet(B, of_b, Target::Id(id(1))) {
        assert!(told.lan.is_empty());
    }
}

#[test]
fn who_was_silent_for_over_30_seconds_is_cold_and_tried_all_the_same() {
    let mut bench = Bench::new();
    let of_a = bench.join(A, 1, &[]);
    bench.wait_ms(30_000);
    let of_b = bench.join(B, 2, &[]);
    let [to_b, to_a] = bench.meet(B, of_b, Target::Id(id(1)));
    assert!(!to_b.cold && !to_a.cold);
    bench.wait_ms(1);
    let [to_b, to_a] = bench.meet(B, of_b, Target::Id(id(1)));
    assert!(to_b.cold && !to_a.cold);
    // Whoever asks is there.
    bench.wait_ms(60_000);
    let [_, to_b] = bench.meet(A, of_a, Target::Id(id(2)));
    assert!(!to_b.cold);
}

#[test]
fn both_sides_begin_at_the_same_moment() {
    let mut bench = Bench::new();
    let of_a = {
        let token = bench.token(A);
        bench.wait_ms(20);
        bench.join_with(A, 1, &[], token)
    };
    let token = bench.token(B);
    bench.wait_ms(120);
    bench.join_with(B, 2, &[], token);
    // 10 ms to one and 60 ms to the other.
    let [to_a, to_b] = bench.meet(A, of_a, Target::Id(id(2)));
    assert_eq!((to_a.start_ms, to_b.start_ms), (50, 0));
    bench.wait_ms(10_000);
    // A register that took its time tells of no round trip, and a longer one is no truer.
    let token = bench.token(B);
    bench.wait_ms(500);
    bench.join_with(B, 2, &[], token);
    let [to_a, to_b] = bench.meet(A, of_a, Target::Id(id(2)));
    assert_eq!((to_a.start_ms, to_b.start_ms), (50, 0));
    // Told again after 30 ms, there is less left to wait.
    bench.wait_ms(200);
    let resent: Vec<_> = bench.resent().iter().map(introduction).collect();
    assert!(resent.iter().all(|told| told.start_ms == 0) && resent.len() == 2);
}

#[test]
fn another_attempt_begins_after_both_could_be_told_twice_more() {
    let mut bench = Bench::new();
    let of_a = bench.join(A, 1, &[]);
    bench.join(B, 2, &[]);
    let starts = |told: [Introduction; 2]| told.map(|told| told.start_ms);
    assert_eq!(starts(bench.meet(A, of_a, Target::Id(id(2)))), [0, 0]);
    assert_eq!(starts(bench.meet(A, of_a, Target::Id(id(2)))), [0, 0], "no attempt from a fresh port");
    let of_a2 = bench.join(A2, 0, &[]);
    let again = bench.meet(A2, of_a2, Target::Id(id(2)));
    assert_eq!(starts(again), [600, 600]);
    // Once they have met, the next time is a first time.
    let reached = Request::Result(Verdict { pair: again[1].pair, reached: Some((Path::Mapped, 40)) });
    assert_eq!(bench.send(B, &reached).0, Outcome::V2ReachedMapped);
    assert_eq!(starts(bench.meet(A2, of_a2, Target::Id(id(2)))), [0, 0]);
}

#[test]
fn where_a_round_trip_is_not_known_nobody_waits() {
    let mut bench = Bench::new();
    let of_a = bench.join(A, 1, &[]);
    let token = bench.token(B);
    bench.wait_ms(3_000);
    bench.join_with(B, 2, &[], token);
    for told in bench.meet(A, of_a, Target::Id(id(2))) {
        assert_eq!(told.start_ms, 0);
    }
}

#[test]
fn a_probe_from_the_same_address_is_of_an_easy_nat_and_from_another_of_a_hard_one() {
    let mut bench = Bench::new();
    let (of_a, of_b) = (bench.join(A, 1, &[]), bench.join(B, 2, &[]));
    let nat = |from: &str, nat| Some(Reply::Nat { tid: tid("p"), addr: addr(from), nat });
    assert_eq!(probe(&mut bench, A, ALT_PORT, of_a, A), (Outcome::V2Probed, nat(A, NatKind::Easy)));
    let elsewhere = "198.51.100.7:60000";
    let hard = (Outcome::V2Probed, nat(elsewhere, NatKind::Hard));
    assert_eq!(probe(&mut bench, elsewhere, ALT_PORT, of_b, B), hard);
    let nats: Vec<_> = bench.engine.v2_nats().collect();
    assert_eq!(nats, [(NatKind::Easy, 1), (NatKind::Hard, 1), (NatKind::Unknown, 0)]);
    // What comes to the main port, or by the other family, tells nothing and changes nothing.
    let unknown = (Outcome::V2Probed, nat(A, NatKind::Unknown));
    assert_eq!(probe(&mut bench, A, MAIN_PORT, of_a, A), unknown);
    let six = "[2001:db8::1]:5";
    assert_eq!(probe(&mut bench, six, ALT_PORT, of_a, A).1, nat(six, NatKind::Unknown));
    // Nobody changes what is known of another.
    assert_eq!(probe(&mut bench, C, ALT_PORT, of_b, A).0, Outcome::V2BadToken);
    let [to_a, to_b] = bench.meet(A, of_a, Target::Id(id(2)));
    assert_eq!((to_a.nat, to_b.nat), (NatKind::Hard, NatKind::Easy));
    assert!(to_a.punch && to_b.punch);
}

#[test]
fn two_hard_nats_are_told_so_at_once_on_both_sides() {
    let mut bench = Bench::new();
    let (of_a, of_b) = (bench.join(A, 1, &[]), bench.join(B, 2, &[]));
    probe(&mut bench, "203.0.113.10:1", ALT_PORT, of_a, A);
    probe(&mut bench, "198.51.100.7:1", ALT_PORT, of_b, B);
    let (outcome, sent) = bench.connect(A, of_a, Target::Id(id(2)));
    assert_eq!((outcome, sent.len()), (Outcome::V2Unpunchable, 2));
    for sent in &sent {
        let told = introduction(sent);
        assert_eq!((told.nat, told.punch), (NatKind::Hard, false));
        assert!(told.key.is_some(), "a relay needs it too");
    }
}

#[test]
fn who_is_not_registered_asks_in_vain() {
    let mut bench = Bench::new();
    bench.join(A, 1, &[]);
    let token = bench.token(B);
    let (outcome, sent) = bench.connect(B, token, Target::Id(id(1)));
    assert_eq!((outcome, code(&sent)), (Outcome::V2Unregistered, Some(ErrorCode::Unregistered)));
    let (outcome, sent) = bench.connect(C, token, Target::Id(id(1)));
    assert_eq!((outcome, code(&sent)), (Outcome::V2BadToken, Some(ErrorCode::BadToken)));
}
