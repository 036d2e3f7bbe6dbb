use peer_core::datagram::v2::{Path, Verdict};

use super::*;

fn ack(bench: &mut Bench, from: &str, pair: PairId) -> Outcome {
    let (outcome, sent) = bench.send(from, &Request::Ack { pair });
    assert!(sent.is_empty());
    outcome
}

fn result(bench: &mut Bench, from: &str, pair: PairId, reached: Option<(Path, u32)>) -> Outcome {
    let (outcome, sent) = bench.send(from, &Request::Result(Verdict { pair, reached }));
    assert!(sent.is_empty());
    outcome
}

/// Two peers, and the token of the first.
fn two() -> (Bench, Token) {
    let mut bench = Bench::new();
    let token = bench.join(A, 1, &[]);
    bench.join(B, 2, &[]);
    (bench, token)
}

#[test]
fn a_side_that_does_not_acknowledge_is_told_three_times_more_within_a_second() {
    let (mut bench, token) = two();
    assert_eq!(bench.engine.resend_due_us(), None);
    let start_us = bench.now_us;
    let [_, to_b] = bench.meet(A, token, Target::Id(id(2)));
    assert_eq!(ack(&mut bench, A, to_b.pair), Outcome::V2Acked);
    let mut times_ms = Vec::new();
    while let Some(due_us) = bench.engine.resend_due_us() {
        assert!(due_us > bench.now_us);
        bench.now_us = due_us;
        for sent in bench.resent() {
            assert_eq!((sent.to, introduction(&sent).pair), (addr(B), to_b.pair));
            times_ms.push((bench.now_us - start_us) / 1_000);
        }
    }
    assert_eq!(times_ms, [200, 500, 1_000]);
}

#[test]
fn what_is_told_again_says_what_is_left_to_wait() {
    let mut bench = Bench::new();
    let token = bench.join(A, 1, &[]);
    let of_b = bench.token(B);
    bench.wait_ms(1_000);
    bench.join_with(B, 2, &[], of_b);
    let [to_a, to_b] = bench.meet(A, token, Target::Id(id(2)));
    assert_eq!((to_a.start_ms, to_b.start_ms), (500, 0));
    bench.wait_ms(200);
    let resent: Vec<_> = bench.resent().iter().map(introduction).collect();
    assert_eq!(resent, [Introduction { start_ms: 300, ..to_a }, to_b]);
}

#[test]
fn after_both_have_acknowledged_nothing_is_sent() {
    let (mut bench, token) = two();
    let [to_a, to_b] = bench.meet(A, token, Target::Id(id(2)));
    for (from, told) in [(A, to_a), (B, to_b)] {
        assert_eq!(ack(&mut bench, from, told.pair), Outcome::V2Acked);
    }
    bench.wait_ms(5_000);
    assert_eq!(bench.resent(), []);
    assert_eq!(bench.engine.resend_due_us(), None);
}

#[test]
fn a_stranger_acknowledges_nothing() {
    let (mut bench, token) = two();
    let [to_a, _] = bench.meet(A, token, Target::Id(id(2)));
    assert_eq!(ack(&mut bench, C, to_a.pair), Outcome::V2Stray);
    assert_eq!(ack(&mut bench, A, PairId::from_bits(to_a.pair.to_bits() ^ 1)), Outcome::V2Stray);
    bench.wait_ms(200);
    assert_eq!(bench.resent().len(), 2);
}

#[test]
fn a_result_counts_once_for_each_side_and_within_30_seconds() {
    let (mut bench, token) = two();
    let pair = bench.meet(A, token, Target::Id(id(2)))[0].pair;
    assert_eq!(result(&mut bench, C, pair, None), Outcome::V2Stray);
    assert_eq!(result(&mut bench, A, pair, Some((Path::Mapped, 62))), Outcome::V2ReachedMapped);
    assert_eq!(result(&mut bench, A, pair, Some((Path::Mapped, 62))), Outcome::V2Stray);
    bench.wait_ms(29_999);
    assert_eq!(result(&mut bench, B, pair, None), Outcome::V2NotReached);
    let pair = bench.meet(A, token, Target::Id(id(2)))[0].pair;
    bench.wait_ms(30_000);
    assert_eq!(result(&mut bench, A, pair, Some((Path::Lan, 1))), Outcome::V2Stray);
}

#[test]
fn a_connect_that_comes_again_has_no_second_effect() {
    let (mut bench, token) = two();
    let connect = Request::Connect(Connect { tid: tid("same"), token, target: Target::Id(id(2)) });
    let (_, first) = bench.send(A, &connect);
    assert_eq!(first.len(), 2);
    bench.wait_ms(4_999);
    for _ in 0..3 {
        assert_eq!(bench.send(A, &connect), (Outcome::V2Repeated, vec![first[0].clone()]));
    }
    // The name is the sender's own.
    let of_c = bench.join(C, 0, &[]);
    let other = Request::Connect(Connect { tid: tid("same"), token: of_c, target: Target::Id(id(2)) });
    assert_eq!(bench.send(C, &other).0, Outcome::V2Matched);
    bench.wait_ms(1);
    let (outcome, second) = bench.send(A, &connect);
    assert_eq!((outcome, second.len()), (Outcome::V2Matched, 2));
    assert_ne!(introduction(&first[0]).pair, introduction(&second[0]).pair);
}
