#![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;

use super::*;
use crate::limits::{V2_DATAGRAM_MAX_BYTES, V2_LAN_MAX, V2_TID_MAX_CHARS};
use crate::{Peer, PeerId, PeerSignature};

const TOKEN: &str = "AAECAwQFBgcICQoLDA0ODw";
const ID: &str = "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";

fn tid(text: &str) -> Tid {
    text.parse().unwrap()
}

#[test]
fn what_does_not_say_version_2_is_of_another_version() {
    for datagram in [
        r#"{"type":"register"}"#,
        r#"{"type":"register","v":1}"#,
        r#"{"type":"register","v":3,"tid":"a"}"#,
        r#"{"type":"register","v":"2"}"#,
        r#"{"type":"register","v":2.0}"#,
        r#"{"type":"register","v":-2}"#,
        r#"{"type":"register","v":null}"#,
        r#"{"type":"register","v":1,"lan":5}"#,
        r#"{"type":"register","lan":"x","id":[],"x":{"v":2}}"#,
        r#"{"type":"register","x":"\"v\":2"}"#,
        // Nobody can say which is meant.
        r#"{"type":"register","v":2,"v":1}"#,
        r#"{"type":"register","v":2,"v":2}"#,
        r#"["v",2]"#,
        r#""v""#,
        r#"{"v":2"#,
        r#"{"v":2} x"#,
        "",
    ] {
        assert_eq!(Request::decode(datagram.as_bytes()), Decoded::Other, "{datagram}");
    }
}

#[test]
fn what_is_of_version_2_and_of_no_form_says_so() {
    let token = format!(r#""tid":"a","token":"{TOKEN}""#);
    let many = [r#"["10.0.0.1",1]"#; V2_LAN_MAX + 1].join(",");
    for rest in [
        r#""type":"dance","tid":"a""#.to_owned(),
        r#""tid":"a""#.to_owned(),
        r#""type":5,"tid":"a""#.to_owned(),
        r#""type":"register","tid":"a","token":"short""#.to_owned(),
        r#""type":"register","tid":"a","token":5"#.to_owned(),
        r#""type":"register","tid":"a","id":"x""#.to_owned(),
        format!(r#""type":"register",{token},"id":"{ID}","sig":"x""#),
        format!(r#""type":"register",{token},"sig":"{}""#, PeerSignature::from_bytes([1; 64])),
        format!(r#""type":"register","tid":"a","id":"{ID}","sig":"{}""#, PeerSignature::from_bytes([1; 64])),
        r#""type":"register","tid":"a","lan":{}"#.to_owned(),
        r#""type":"register","tid":"a","lan":[["10.0.0.1"]]"#.to_owned(),
        r#""type":"register","tid":"a","lan":[["10.0.0.1",1,2]]"#.to_owned(),
        r#""type":"register","tid":"a","lan":[["10.0.0.1",65536]]"#.to_owned(),
        r#""type":"register","tid":"a","lan":[["host",1]]"#.to_owned(),
        format!(r#""type":"register","tid":"a","lan":[{many}]"#),
        r#""type":"connect","tid":"a","target_ip":"203.0.113.1""#.to_owned(),
        format!(r#""type":"connect",{token}"#),
        format!(r#""type":"connect",{token},"target_port":5"#),
        format!(r#""type":"connect",{token},"target_ip":"host""#),
        format!(r#""type":"connect",{token},"target_ip":"0.0.0.0""#),
        format!(r#""type":"connect",{token},"target_ip":"203.0.113.1","target_id":"{ID}""#),
        format!(r#""type":"connect",{token},"target_id":"{ID}","target_port":5"#),
        r#""type":"unregister","tid":"a""#.to_owned(),
        format!(r#""type":"probe",{token}"#),
        format!(r#""type":"probe",{token},"addr":["x",1]"#),
        r#""type":"ack","tid":"a","pair":"00C4D1E29A00FF07""#.to_owned(),
        r#""type":"ack","tid":"a","pair":"+0c4d1e29a00ff07""#.to_owned(),
        r#""type":"ack","tid":"a","pair":"1""#.to_owned(),
        r#""type":"result","tid":"a","pair":"00c4d1e29a00ff07","ok":true"#.to_owned(),
        r#""type":"result","tid":"a","pair":"00c4d1e29a00ff07","ok":true,"via":"tunnel","ms":1"#.to_owned(),
        r#""type":"result","tid":"a","pair":"00c4d1e29a00ff07","ok":true,"via":"lan","ms":-1"#.to_owned(),
        // A text that is written with escapes.
        r#""type":"register","tid":"a","id":"\u0061""#.to_owned(),
        r#""type":"register","type":"register","tid":"a""#.to_owned(),
    ] {
        let datagram = format!(r#"{{{rest},"v":2}}"#);
        assert_eq!(Request::decode(datagram.as_bytes()), Decoded::Bad(Some(tid("a"))), "{datagram}");
    }
    for bad in ["", "a b", "01234567890123456", "\u{e4}", "a\\n"] {
        let datagram = format!(r#"{{"type":"register","v":2,"tid":"{bad}"}}"#);
        assert_eq!(Request::decode(datagram.as_bytes()), Decoded::Bad(None), "{datagram}");
    }
    let twice = br#"{"type":"register","v":2,"tid":"a","tid":"b"}"#;
    assert_eq!(Request::decode(twice), Decoded::Bad(None));
    assert_eq!(Request::decode(br#"{"type":"register","v":2}"#), Decoded::Bad(None));
}

#[test]
fn blanks_order_and_further_keys_are_free() {
    let datagram = format!(
        " {{\n\"pad\" : [1, {{\"v\":1}}], \"token\":\"{TOKEN}\", \"id\":null, \"v\" : 2,\"tid\":\"A-z_9\",\t\"type\":\"register\" }} "
    );
    let Decoded::Request(Request::Register(register)) = Request::decode(datagram.as_bytes()) else {
        unreachable!("{datagram}")
    };
    assert_eq!((register.tid, register.token), (tid("A-z_9"), Some(TOKEN.parse().unwrap())));
}

#[test]
fn a_request_has_at_most_1200_bytes() {
    let padded = |bytes: usize| {
        let mut datagram = br#"{"type":"register","v":2,"tid":"a"}"#.to_vec();
        datagram.resize(bytes, b' ');
        datagram
    };
    assert!(matches!(Request::decode(&padded(V2_DATAGRAM_MAX_BYTES)), Decoded::Request(_)));
    assert_eq!(Request::decode(&padded(V2_DATAGRAM_MAX_BYTES + 1)), Decoded::TooBig(Some(tid("a"))));
}

#[test]
fn a_client_skips_what_it_does_not_know() {
    let error = br#"{"type":"error","v":2,"tid":"a","code":"too_lovely","msg":"x"}"#;
    assert_eq!(Reply::decode(error), Ok(Reply::error(Some(tid("a")), ErrorCode::Other)));
    let peer = br#"{"type":"peer","v":2,"pair":"00c4d1e29a00ff07","peer":["203.0.113.22",41002],"candidates":[["203.0.113.9",1,"relay"],["10.0.0.1",2,"lan"]],"nat":"moody","punch":true,"start_ms":0,"interval_ms":100}"#;
    let Ok(Reply::Peer(introduction)) = Reply::decode(peer) else { unreachable!() };
    assert_eq!(introduction.lan.as_slice(), ["10.0.0.1:2".parse().unwrap()]);
    assert_eq!(introduction.nat, NatKind::Unknown);
    for (datagram, error) in [
        (&br#"{"type":"song","v":2}"#[..], NotAReply::UnknownType),
        (br#"{"type":"your_addr","addr":["203.0.113.10",41567]}"#, NotAReply::OtherVersion),
        (br#"{"type":"your_addr","v":3}"#, NotAReply::OtherVersion),
        (br#"{"type":"your_addr","v":2}"#, NotAReply::Malformed),
        (b"punch", NotAReply::OtherVersion),
    ] {
        assert_eq!(Reply::decode(datagram), Err(error));
    }
}

fn any_tid() -> impl Strategy<Value = Tid> {
    prop::string::string_regex(&format!("[A-Za-z0-9_-]{{1,{V2_TID_MAX_CHARS}}}"))
        .unwrap()
        .prop_map(|text| text.parse().unwrap())
}

/// In canonical form, as every address that is on the wire.
fn any_addr() -> impl Strategy<Value = SocketAddr> {
    any::<(IpAddr, u16)>().prop_map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port))
}

fn any_list<const MAX: usize>() -> impl Strategy<Value = AddressList<MAX>> {
    prop::collection::vec(any_addr(), 0..=MAX).prop_map(|addrs| addrs.into_iter().collect())
}

fn any_token() -> impl Strategy<Value = Token> {
    any::<[u8; 16]>().prop_map(Token::from_bytes)
}

fn any_id() -> impl Strategy<Value = PeerId> {
    any::<[u8; 32]>().prop_map(PeerId::from_bytes)
}

fn any_target() -> impl Strategy<Value = Target> {
    let host = || any_addr().prop_filter("a host", |addr| Peer::new(addr.ip()).is_ok());
    prop_oneof![
        any_id().prop_map(Target::Id),
        host().prop_map(|addr| Target::Ip(addr.ip())),
        host().prop_map(Target::Addr),
    ]
}

fn any_request() -> impl Strategy<Value = Request> {
    let pair = || any::<u64>().prop_map(PairId::from_bits);
    let claim = (any_token(), prop::option::of((any_id(), any::<Option<u8>>())));
    prop_oneof![
        (any_tid(), prop::option::of(claim), any_list()).prop_map(|(tid, claim, lan)| {
            let id = claim.and_then(|(_, id)| id);
            let sig = id
                .and_then(|(_, sig)| sig)
                .map(|byte| PeerSignature::from_bytes([byte; PeerSignature::BYTES]));
            let token = claim.map(|(token, _)| token);
            Request::Register(Register { tid, token, id: id.map(|(id, _)| id), sig, lan })
        }),
        (any_tid(), any_token(), any_target()).prop_map(|(tid, token, target)| Request::Connect(Connect {
            tid,
            token,
            target
        })),
        pair().prop_map(|pair| Request::Ack { pair }),
        (pair(), prop::option::of((prop::sample::select(Path::ALL), any::<u32>())))
            .prop_map(|(pair, reached)| Request::Result(Verdict { pair, reached })),
        (any_tid(), any_token()).prop_map(|(tid, token)| Request::Unregister { tid, token }),
        (any_tid(), any_token(), any_addr()).prop_map(|(tid, token, addr)| Request::Probe {
            tid,
            token,
            addr
        }),
    ]
}

fn any_introduction() -> impl Strategy<Value = Introduction> {
    let names = (prop::option::of(any_tid()), any::<u64>(), any_addr(), prop::option::of(any_id()));
    let ways = (any_list(), prop::sample::select(NatKind::ALL), any::<(bool, u16, u16, bool)>());
    (names, ways, any::<Option<[u8; 16]>>()).prop_map(|((tid, pair, peer, id), (lan, nat, more), key)| {
        let (punch, start_ms, interval_ms, cold) = more;
        let (pair, key) = (PairId::from_bits(pair), key.map(PunchKey::from_bytes));
        Introduction { tid, pair, peer, id, lan, nat, punch, start_ms, interval_ms, key, cold }
    })
}

fn any_reply() -> impl Strategy<Value = Reply> {
    let ok = any::<(u32, u32, Option<u16>)>().prop_map(|(ttl_secs, keepalive_secs, alt_port)| Status::Ok {
        ttl_secs,
        keepalive_secs,
        alt_port,
    });
    let status = prop_oneof![Just(Status::Verify), ok];
    prop_oneof![
        (any_tid(), any_addr(), status, any_token())
            .prop_map(|(tid, addr, status, token)| Reply::YourAddr(YourAddr { tid, addr, status, token })),
        any_introduction().prop_map(Reply::Peer),
        (any_tid(), any_addr(), prop::sample::select(NatKind::ALL)).prop_map(|(tid, addr, nat)| Reply::Nat {
            tid,
            addr,
            nat
        }),
        any_tid().prop_map(|tid| Reply::Unregistered { tid }),
        (prop::option::of(any_tid()), prop::sample::select(ErrorCode::ALL), any::<Option<u32>>())
            .prop_map(|(tid, code, retry_ms)| Reply::Error { tid, code, retry_ms }),
        (any_list(), any::<u32>()).prop_map(|(to, within_secs)| Reply::Move { to, within_secs }),
    ]
}

proptest! {
    #[test]
    fn a_request_comes_through_as_it_was_sent(request in any_request()) {
        let mut out = Vec::new();
        request.encode(&mut out);
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).unwrap().is_object());
        prop_assert_eq!(Request::decode(&out), Decoded::Request(request));
    }

    #[test]
    fn a_reply_comes_through_as_it_was_sent_and_fits(reply in any_reply()) {
        let mut out = Vec::new();
        reply.encode(&mut out);
        prop_assert!(out.len() <= V2_DATAGRAM_MAX_BYTES);
        prop_assert_eq!(Reply::decode(&out), Ok(reply));
    }

    #[test]
    fn any_bytes_get_a_verdict(bytes in prop::collection::vec(any::<u8>(), 0..200), request in any_request(), at: usize, byte: u8) {
        let _ = (Request::decode(&bytes), Reply::decode(&bytes));
        // One that is nearly right.
        let mut out = Vec::new();
        request.encode(&mut out);
        let at = at % out.len();
        *out.get_mut(at).unwrap() = byte;
        let _ = (Request::decode(&out), Reply::decode(&out));
    }
}
