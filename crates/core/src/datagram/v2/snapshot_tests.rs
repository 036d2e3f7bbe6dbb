//! Every message in bytes, as docs/PROTOCOL.md has it.
#![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

use std::net::SocketAddr;

use super::*;
use crate::limits::{V2_DATAGRAM_MAX_BYTES, V2_INTERVAL_MS, V2_PADDED_BYTES, V2_START_MAX_MS};
use crate::{PeerId, PeerSignature};

fn tid() -> Tid {
    "9f2c".parse().unwrap()
}

fn token() -> Token {
    Token::from_bytes(std::array::from_fn(|index| u8::try_from(index).unwrap()))
}

fn id() -> PeerId {
    "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw".parse().unwrap()
}

fn pair() -> PairId {
    PairId::from_bits(0x00c4_d1e2_9a00_ff07)
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn addrs<const MAX: usize>(texts: &[&str]) -> AddressList<MAX> {
    texts.iter().map(|text| addr(text)).collect()
}

fn register(token: Option<Token>, sig: Option<PeerSignature>, lan: &[&str]) -> Request {
    Request::Register(Register { tid: tid(), token, id: Some(id()), sig, lan: addrs(lan) })
}

fn connect(target: Target) -> Request {
    Request::Connect(Connect { tid: tid(), token: token(), target })
}

#[test]
fn requests() {
    let sig = PeerSignature::from_bytes([7; 64]);
    let seven = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw";
    let pad = "0".repeat(94);
    let rows: [(Request, String); 10] = [
        (
            register(None, None, &[]),
            format!(
                r#"{{"type":"register","v":2,"tid":"9f2c","id":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw","pad":"{pad}"}}"#
            ),
        ),
        (
            register(Some(token()), Some(sig), &["192.168.1.5:40001", "[fd00::5]:40001"]),
            format!(
                r#"{{"type":"register","v":2,"tid":"9f2c","token":"AAECAwQFBgcICQoLDA0ODw","id":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw","lan":[["192.168.1.5",40001],["fd00::5",40001]],"sig":"{seven}"}}"#
            ),
        ),
        (
            register(Some(token()), None, &[]),
            r#"{"type":"register","v":2,"tid":"9f2c","token":"AAECAwQFBgcICQoLDA0ODw","id":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"}"#.to_owned(),
        ),
        (
            connect(Target::Id(id())),
            r#"{"type":"connect","v":2,"tid":"9f2c","token":"AAECAwQFBgcICQoLDA0ODw","target_id":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"}"#.to_owned(),
        ),
        (
            connect(Target::Ip(addr("203.0.113.22:1").ip())),
            r#"{"type":"connect","v":2,"tid":"9f2c","token":"AAECAwQFBgcICQoLDA0ODw","target_ip":"203.0.113.22"}"#.to_owned(),
        ),
        (
            connect(Target::Addr(addr("[2001:db8::5]:9"))),
            r#"{"type":"connect","v":2,"tid":"9f2c","token":"AAECAwQFBgcICQoLDA0ODw","target_ip":"2001:db8::5","target_port":9}"#.to_owned(),
        ),
        (Request::Ack { pair: pair() }, r#"{"type":"ack","v":2,"pair":"00c4d1e29a00ff07"}"#.to_owned()),
        (
            Request::Result(Verdict { pair: pair(), reached: Some((Path::Observed, 62)) }),
            r#"{"type":"result","v":2,"pair":"00c4d1e29a00ff07","ok":true,"via":"observed","ms":62}"#.to_owned(),
        ),
        (
            Request::Result(Verdict { pair: pair(), reached: None }),
            r#"{"type":"result","v":2,"pair":"00c4d1e29a00ff07","ok":false}"#.to_owned(),
        ),
        (
            Request::Unregister { tid: tid(), token: token() },
            r#"{"type":"unregister","v":2,"tid":"9f2c","token":"AAECAwQFBgcICQoLDA0ODw"}"#.to_owned(),
        ),
    ];
    for (request, bytes) in rows {
        let mut out = Vec::new();
        request.encode(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), bytes);
        assert_eq!(Request::decode(bytes.as_bytes()), Decoded::Request(request), "{bytes}");
    }
}

#[test]
fn what_asks_before_it_is_known_is_padded() {
    let probe = Request::Probe { tid: tid(), token: token(), addr: addr("203.0.113.21:41001") };
    for (request, start) in [
        (register(None, None, &[]), r#"{"type":"register","v":2,"tid":"9f2c","id":""#),
        (
            probe,
            r#"{"type":"probe","v":2,"tid":"9f2c","token":"AAECAwQFBgcICQoLDA0ODw","addr":["203.0.113.21",41001],"pad":"0"#,
        ),
    ] {
        // Behind something that is there already, which does not count.
        let mut out = b"before".to_vec();
        request.encode(&mut out);
        let text = String::from_utf8(out.split_off(6)).unwrap();
        assert_eq!(text.len(), V2_PADDED_BYTES, "{text}");
        assert!(text.starts_with(start), "{text}");
        assert_eq!(Request::decode(text.as_bytes()), Decoded::Request(request));
    }
}

fn introduction() -> Introduction {
    Introduction {
        tid: Some(tid()),
        pair: pair(),
        peer: addr("203.0.113.22:41002"),
        id: Some(id()),
        lan: addrs(&["192.168.1.7:40001"]),
        nat: NatKind::Easy,
        punch: true,
        start_ms: 35,
        interval_ms: 100,
        key: Some(PunchKey::from_bytes([255; 16])),
        cold: true,
    }
}

#[test]
fn replies() {
    let ok = Status::Ok { ttl_secs: 120, keepalive_secs: 20, alt_port: Some(12_346) };
    let your_addr = |status| {
        Reply::YourAddr(YourAddr { tid: tid(), addr: addr("203.0.113.21:41001"), status, token: token() })
    };
    let legacy = Introduction {
        tid: None,
        id: None,
        lan: LanAddrs::EMPTY,
        nat: NatKind::Unknown,
        punch: false,
        start_ms: 0,
        key: None,
        cold: false,
        ..introduction()
    };
    let rows = [
        (
            your_addr(Status::Verify),
            r#"{"type":"your_addr","v":2,"tid":"9f2c","addr":["203.0.113.21",41001],"status":"verify","token":"AAECAwQFBgcICQoLDA0ODw"}"#,
        ),
        (
            your_addr(ok),
            r#"{"type":"your_addr","v":2,"tid":"9f2c","addr":["203.0.113.21",41001],"status":"ok","token":"AAECAwQFBgcICQoLDA0ODw","ttl":120,"keepalive":20,"alt":12346}"#,
        ),
        (
            Reply::Peer(introduction()),
            r#"{"type":"peer","v":2,"tid":"9f2c","pair":"00c4d1e29a00ff07","peer":["203.0.113.22",41002],"id":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw","candidates":[["192.168.1.7",40001,"lan"],["203.0.113.22",41002,"mapped"]],"nat":"easy","punch":true,"start_ms":35,"interval_ms":100,"key":"_____________________w","cold":true}"#,
        ),
        (
            Reply::Peer(legacy),
            r#"{"type":"peer","v":2,"pair":"00c4d1e29a00ff07","peer":["203.0.113.22",41002],"candidates":[["203.0.113.22",41002,"mapped"]],"nat":"unknown","punch":false,"start_ms":0,"interval_ms":100}"#,
        ),
        (
            Reply::Nat { tid: tid(), addr: addr("203.0.113.21:52"), nat: NatKind::Hard },
            r#"{"type":"nat","v":2,"tid":"9f2c","addr":["203.0.113.21",52],"nat":"hard"}"#,
        ),
        (Reply::Unregistered { tid: tid() }, r#"{"type":"unregistered","v":2,"tid":"9f2c"}"#),
        (
            Reply::error(Some(tid()), ErrorCode::NotFound),
            r#"{"type":"error","v":2,"tid":"9f2c","code":"not_found"}"#,
        ),
        (
            Reply::Error { tid: Some(tid()), code: ErrorCode::NotFound, retry_ms: Some(500) },
            r#"{"type":"error","v":2,"tid":"9f2c","code":"not_found","retry":500}"#,
        ),
        (Reply::error(None, ErrorCode::BadRequest), r#"{"type":"error","v":2,"code":"bad_request"}"#),
        (
            Reply::Move { to: addrs(&["203.0.113.2:12345", "[2001:db8::2]:12345"]), within_secs: 20 },
            r#"{"type":"move","v":2,"to":[["203.0.113.2",12345],["2001:db8::2",12345]],"within":20}"#,
        ),
    ];
    for (reply, bytes) in rows {
        let mut out = Vec::new();
        reply.encode(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), bytes);
        assert_eq!(Reply::decode(bytes.as_bytes()), Ok(reply), "{bytes}");
        // Two servers that answer each other would never end.
        assert_eq!(Request::decode(bytes.as_bytes()), Decoded::ServersWord, "{bytes}");
    }
}

#[test]
fn the_largest_replies_keep_their_bounds() {
    let longest = addr("[2001:1111:2222:3333:4444:5555:6666:7777]:65535");
    let tid: Tid = "0123456789abcdef".parse().unwrap();
    let size = |reply: Reply| {
        let mut out = Vec::new();
        reply.encode(&mut out);
        out.len()
    };
    let verify = YourAddr { tid, addr: longest, status: Status::Verify, token: token() };
    assert!(size(Reply::YourAddr(verify)) <= V2_PADDED_BYTES);
    assert!(size(Reply::Nat { tid, addr: longest, nat: NatKind::Unknown }) <= V2_PADDED_BYTES);
    let largest = Introduction {
        tid: Some(tid),
        peer: longest,
        lan: std::iter::repeat(longest).collect(),
        nat: NatKind::Unknown,
        punch: false,
        start_ms: V2_START_MAX_MS,
        interval_ms: V2_INTERVAL_MS,
        ..introduction()
    };
    assert!(size(Reply::Peer(largest)) <= V2_DATAGRAM_MAX_BYTES);
    // What refuses a token is smaller than what came with it.
    let mut unregister = Vec::new();
    Request::Unregister { tid, token: token() }.encode(&mut unregister);
    assert!(size(Reply::error(Some(tid), ErrorCode::BadToken)) <= unregister.len());
}
