use super::*;

fn numbered(number: u32, port: u16) -> String {
    format!("{}:{port}", std::net::Ipv4Addr::from_bits(0x0a00_0001 + number))
}

#[test]
fn a_full_table_keeps_who_is_live_and_takes_the_place_of_who_was_silent_for_30_seconds() {
    let mut bench = Bench::with(10, Legacy::Limited(LegacyLimits::default()));
    for number in 0..10 {
        bench.join(&numbered(number, 5), u8::try_from(number + 1).unwrap(), &[]);
    }
    bench.wait_ms(29_999);
    let token = bench.token(A);
    let full = bench.register_with(A, |register| register.token = Some(token));
    assert!(matches!(full, (Outcome::V2Full, Some(Reply::Error { code: ErrorCode::Full, .. }))));
    bench.join(&numbered(0, 5), 1, &[]);
    bench.wait_ms(1);
    let token = bench.join(A, 0, &[]);
    assert_eq!(bench.engine.v2_len(), 10);
    assert_eq!(bench.connect(A, token, Target::Id(id(2))).0, Outcome::V2NotFound);
    bench.meet(A, token, Target::Id(id(1)));
    assert_eq!(bench.engine.v2.as_ref().unwrap().peers.ids_len(), 9);
}

#[test]
fn a_newcomer_for_whom_there_is_no_room_leaves_nothing_behind() {
    let mut bench = Bench::with(1, Legacy::Limited(LegacyLimits::default()));
    bench.join(A, 1, &[]);
    let token = bench.token(B);
    let (outcome, _) = bench.register_with(B, |register| {
        (register.token, register.id) = (Some(token), Some(id(2)));
        register.sig = Some(sign(2, token, addr(B)));
    });
    let v2 = bench.engine.v2.as_ref().unwrap();
    assert_eq!((outcome, v2.peers.len(), v2.peers.ids_len()), (Outcome::V2Full, 1, 1));
}

#[test]
fn one_address_has_1024_registrations_and_then_loses_its_own_longest_silent() {
    let mut bench = Bench::with(100_000, Legacy::Limited(LegacyLimits::default()));
    bench.join(B, 0, &[]);
    for port in 1..=1_030 {
        bench.join(&numbered(0, port), 0, &[]);
        bench.wait_ms(10);
    }
    assert_eq!(bench.engine.v2_len(), 1_025);
    let token = bench.join(C, 0, &[]);
    let mut outcome = |port| bench.connect(C, token, Target::Addr(addr(&numbered(0, port)))).0;
    assert_eq!((outcome(6), outcome(7)), (Outcome::V2NotFound, Outcome::V2Matched));
}

#[test]
fn a_target_and_a_pair_have_their_rates() {
    let mut bench = Bench::new();
    let token = bench.join(A, 1, &[]);
    bench.join(B, 2, &[]);
    let outcomes: Vec<_> = (0..10).map(|_| bench.connect(A, token, Target::Id(id(2)))).collect();
    assert_eq!(outcomes.iter().filter(|(outcome, _)| *outcome == Outcome::V2Matched).count(), 8);
    assert_eq!((outcomes[9].0, code(&outcomes[9].1)), (Outcome::V2PairLimit, Some(ErrorCode::Rate)));
    let mut told = 8;
    for number in 0..200 {
        let from = numbered(number, 5);
        let token = bench.join(&from, 0, &[]);
        let (outcome, sent) = bench.connect(&from, token, Target::Id(id(2)));
        match outcome {
            Outcome::V2Matched => told += 1,
            _ => assert_eq!((outcome, code(&sent)), (Outcome::V2TargetLimit, Some(ErrorCode::Rate))),
        }
    }
    assert_eq!(told, 100);
}

#[test]
fn signatures_of_one_source_are_checked_within_its_rate_and_not_where_the_id_is_known() {
    let mut bench = Bench::new();
    let mut checked = 0;
    for port in 1..=150 {
        let from = format!("203.0.113.10:{port}");
        let token = bench.token(&from);
        let (outcome, _) = bench.register_with(&from, |register| {
            (register.token, register.id) = (Some(token), Some(id(1)));
            register.sig = Some(sign(2, token, addr(&from)));
        });
        match outcome {
            Outcome::V2BadSignature => checked += 1,
            _ => assert_eq!(outcome, Outcome::V2SignatureLimit),
        }
    }
    assert_eq!(checked, 100);
    bench.wait_ms(1_000);
    // Twenty more, and afterwards the token is enough, whatever the signature says.
    let mut token = bench.join("203.0.113.10:1", 1, &[]);
    for _ in 0..100 {
        let sig = sign(2, token, addr(A));
        let (outcome, reply) = bench.register_with("203.0.113.10:1", |register| {
            (register.token, register.id, register.sig) = (Some(token), Some(id(1)), Some(sig));
        });
        assert_eq!(outcome, Outcome::V2Registered);
        token = your_addr(reply.as_ref()).token;
    }
}

#[test]
fn a_registered_address_has_its_own_rate_of_answers() {
    let mut bench = Bench::new();
    let token = bench.join(A, 0, &[]);
    let neighbour = bench.join("203.0.113.10:2", 0, &[]);
    let keep = |bench: &mut Bench, from: &str, token| {
        bench.register_with(from, |register| register.token = Some(token)).0
    };
    let answered = (0..1_100).filter(|_| keep(&mut bench, A, token) == Outcome::V2Registered).count();
    assert_eq!(answered, 1_000);
    assert_eq!(keep(&mut bench, A, token), Outcome::SourceLimit);
    assert_eq!(keep(&mut bench, "203.0.113.10:2", neighbour), Outcome::V2Registered);
    bench.wait_ms(1_000);
    assert_eq!(keep(&mut bench, A, token), Outcome::V2Registered);
}

#[test]
fn without_limits_there_are_none() {
    let mut bench = Bench::with(1_000, Legacy::On);
    let token = bench.join(A, 1, &[]);
    bench.join(B, 2, &[]);
    let target = Target::Id(id(2));
    for _ in 0..2_000 {
        bench.meet(A, token, target);
    }
}

#[test]
fn pairs_are_bounded_and_the_oldest_is_forgotten() {
    let mut bench = Bench::with(1_000, Legacy::On);
    let token = bench.join(A, 1, &[]);
    bench.join(B, 2, &[]);
    let target = Target::Id(id(2));
    let first = bench.meet(A, token, target)[0].pair;
    for _ in 0..20_000 {
        bench.meet(A, token, target);
    }
    assert_eq!(bench.send(A, &Request::Ack { pair: first }).0, Outcome::V2Stray);
    // Those that are left are told again, in steps.
    bench.wait_ms(200);
    let mut resent = 0;
    while bench.engine.resend_due_us().is_some_and(|due_us| due_us <= bench.now_us) {
        let step = bench.resent().len();
        assert!(step <= 256);
        resent += step;
    }
    assert_eq!(resent, 32_768);
}
