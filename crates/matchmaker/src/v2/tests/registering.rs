use peer_core::limits::V2_KEEPALIVE_SECS;

use super::*;

#[test]
fn a_peer_is_verified_registers_and_keeps_alive_with_one_signature() {
    let mut bench = Bench::new();
    let token = bench.token(A);
    assert_eq!(bench.engine.v2_len(), 0);
    let mut token = bench.join_with(A, 1, &[], token);
    for _ in 0..50 {
        bench.wait_ms(u64::from(V2_KEEPALIVE_SECS) * 1_000);
        let (outcome, reply) =
            bench.register_with(A, |register| (register.token, register.id) = (Some(token), Some(id(1))));
        assert_eq!(outcome, Outcome::V2Registered);
        let your_addr = your_addr(reply.as_ref());
        assert_eq!(your_addr.addr, addr(A));
        let status = Status::Ok { ttl_secs: 120, keepalive_secs: 20, alt_port: Some(ALT_PORT) };
        assert_eq!(your_addr.status, status);
        token = your_addr.token;
    }
    assert_eq!(bench.engine.v2_len(), 1);
}

#[test]
fn an_id_is_taken_only_by_the_holder_of_its_key() {
    let mut bench = Bench::new();
    bench.join(A, 1, &[]);
    let token = bench.token(B);
    let forged = [sign(2, token, addr(B)), sign(1, token, addr(A)), sign(1, bench.token(C), addr(B))];
    for sig in forged {
        let (outcome, reply) = bench.register_with(B, |register| {
            *register = Register { token: Some(token), id: Some(id(1)), sig: Some(sig), ..*register };
        });
        assert_eq!(outcome, Outcome::V2BadSignature);
        assert!(matches!(reply, Some(Reply::Error { code: ErrorCode::BadSignature, .. })));
    }
    // Without a signature it is asked for one.
    let (outcome, reply) =
        bench.register_with(B, |register| (register.token, register.id) = (Some(token), Some(id(1))));
    assert_eq!((outcome, your_addr(reply.as_ref()).status), (Outcome::V2Verify, Status::Verify));
    let token = bench.join(C, 0, &[]);
    assert_eq!(bench.meet(C, token, Target::Id(id(1)))[0].peer, addr(A));
}

#[test]
fn a_registration_cannot_be_replayed_from_another_address_or_at_another_time() {
    let mut bench = Bench::new();
    let token = bench.token(A);
    let sig = sign(1, token, addr(A));
    let replay = |bench: &mut Bench, from: &str| {
        bench
            .register_with(from, |register| {
                *register = Register { token: Some(token), id: Some(id(1)), sig: Some(sig), ..*register };
            })
            .0
    };
    assert_eq!(replay(&mut bench, A), Outcome::V2Registered);
    assert_eq!(replay(&mut bench, B), Outcome::V2BadToken);
    // The peer goes elsewhere. What it said before does not bring its id back.
    bench.wait_ms(10_000);
    bench.join(B, 1, &[]);
    assert_eq!(replay(&mut bench, A), Outcome::V2Verify);
    let asker = bench.join(C, 0, &[]);
    assert_eq!(bench.meet(C, asker, Target::Id(id(1)))[0].peer, addr(B));
    bench.wait_ms(180_000);
    assert_eq!(replay(&mut bench, A), Outcome::V2BadToken);
}

#[test]
fn a_peer_that_has_moved_is_found_where_it_is_and_may_come_back() {
    let mut bench = Bench::new();
    bench.join(A, 1, &[]);
    bench.wait_ms(1_000);
    bench.join(B, 1, &[]);
    let asker = bench.join(C, 0, &[]);
    assert_eq!(bench.meet(C, asker, Target::Id(id(1)))[0].peer, addr(B));
    bench.wait_ms(1_000);
    bench.join(A, 1, &[]);
    assert_eq!(bench.meet(C, asker, Target::Id(id(1)))[0].peer, addr(A));
    let v2 = bench.engine.v2.as_ref().unwrap();
    assert_eq!((v2.peers.len(), v2.peers.ids_len()), (3, 1));
}

#[test]
fn an_id_is_at_one_address_of_each_family() {
    let mut bench = Bench::new();
    let six = ["[2001:db8::1]:5", "[2001:db8:1::1]:5"];
    bench.join(A, 1, &[]);
    bench.join(six[0], 1, &[]);
    let (of_four, of_six) = (bench.join(C, 0, &[]), bench.join(six[1], 0, &[]));
    assert_eq!(bench.meet(C, of_four, Target::Id(id(1)))[0].peer, addr(A));
    assert_eq!(bench.meet(six[1], of_six, Target::Id(id(1)))[0].peer, addr(six[0]));
}

#[test]
fn a_registration_is_what_the_last_register_says() {
    let mut bench = Bench::new();
    let token = bench.join(A, 1, &["192.168.1.5:1"]);
    // Another peer, who has got the port of the first.
    let (outcome, reply) = bench.register_with(A, |register| register.token = Some(token));
    assert_eq!(outcome, Outcome::V2Registered);
    let token = your_addr(reply.as_ref()).token;
    // He cannot keep the id of the first alive, with the token that he got.
    let (outcome, _) =
        bench.register_with(A, |register| (register.token, register.id) = (Some(token), Some(id(1))));
    assert_eq!(outcome, Outcome::V2Verify);
    let asker = bench.join(B, 0, &[]);
    assert_eq!(bench.connect(B, asker, Target::Id(id(1))).0, Outcome::V2NotFound);
    assert_eq!(bench.meet(B, asker, Target::Addr(addr(A)))[0].id, None);
    bench.join_with(A, 2, &[], token);
    assert_eq!(bench.meet(B, asker, Target::Id(id(2)))[0].peer, addr(A));
    assert_eq!(bench.engine.v2.as_ref().unwrap().peers.ids_len(), 1);
}

#[test]
fn a_registration_lives_120_seconds_and_takes_its_id_with_it() {
    let mut bench = Bench::new();
    bench.join(A, 1, &[]);
    bench.wait_ms(119_999);
    let asker = bench.join(B, 0, &[]);
    assert_eq!(bench.meet(B, asker, Target::Id(id(1)))[0].peer, addr(A));
    bench.wait_ms(1);
    for target in [Target::Id(id(1)), Target::Addr(addr(A)), Target::Ip(addr(A).ip())] {
        let (outcome, sent) = bench.connect(B, asker, target);
        assert_eq!((outcome, code(&sent)), (Outcome::V2NotFound, Some(ErrorCode::NotFound)));
    }
    bench.engine.tick(bench.now_us);
    assert_eq!(bench.engine.v2_len(), 1);
    assert_eq!(bench.engine.v2.as_ref().unwrap().peers.ids_len(), 0);
    // Its token is still good, and shows that it holds the id.
    bench.wait_ms(300_000);
    bench.engine.tick(bench.now_us);
    assert_eq!(bench.engine.v2_len(), 0);
    assert!(bench.engine.v2_nats().all(|(_, count)| count == 0));
}

#[test]
fn a_peer_that_was_forgotten_comes_back_without_a_signature_while_its_token_is_good() {
    let mut bench = Bench::new();
    let token = bench.join(A, 1, &[]);
    bench.wait_ms(150_000);
    bench.engine.tick(bench.now_us);
    let (outcome, _) =
        bench.register_with(A, |register| (register.token, register.id) = (Some(token), Some(id(1))));
    assert_eq!(outcome, Outcome::V2Registered);
    let asker = bench.join(B, 0, &[]);
    assert_eq!(bench.meet(B, asker, Target::Id(id(1)))[0].peer, addr(A));
}

#[test]
fn a_peer_unregisters_itself_and_nobody_else() {
    let mut bench = Bench::new();
    let (of_a, of_b) = (bench.join(A, 1, &[]), bench.join(B, 2, &[]));
    let unregister = |bench: &mut Bench, from: &str, token| {
        let request = Request::Unregister { tid: tid("u"), token };
        bench.send(from, &request)
    };
    // A stranger who shows his own token, or a forged source that shows another's.
    for (from, token) in [(B, of_a), (A, of_b)] {
        let (outcome, sent) = unregister(&mut bench, from, token);
        assert_eq!((outcome, code(&sent)), (Outcome::V2BadToken, Some(ErrorCode::BadToken)));
    }
    assert_eq!(bench.engine.v2_len(), 2);
    for expected in [Outcome::V2Left, Outcome::V2Repeated] {
        let (outcome, sent) = unregister(&mut bench, A, of_a);
        assert_eq!((outcome, sent[0].reply()), (expected, Reply::Unregistered { tid: tid("u") }));
    }
    bench.wait_ms(5_000);
    assert_eq!(unregister(&mut bench, A, of_a).0, Outcome::V2BadToken);
    assert_eq!(bench.engine.v2_len(), 1);
    assert_eq!(bench.connect(B, of_b, Target::Id(id(1))).0, Outcome::V2NotFound);
}
