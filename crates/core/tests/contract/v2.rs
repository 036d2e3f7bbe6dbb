use std::net::SocketAddr;

use peer_core::datagram::v2::{
    AddressList, Connect, Decoded, ErrorCode, Introduction, LanAddrs, NatKind, PairId, Path, PunchKey,
    Register, Reply, Request, Status, Target, Tid, Token, Verdict, YourAddr,
};
use peer_core::{PeerId, PeerSignature};

use super::sample::Sample;

pub(crate) const KINDS: &[&str] = &[
    "register",
    "connect",
    "ack",
    "result",
    "unregister",
    "probe",
    "your_addr",
    "peer",
    "nat",
    "unregistered",
    "error",
    "move",
];

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

fn request(title: &str, request: Request) -> Sample {
    let mut bytes = Vec::new();
    request.encode(&mut bytes);
    Sample::new(title, bytes, move |datagram| {
        assert_eq!(Request::decode(datagram), Decoded::Request(request));
    })
}

fn reply(title: &str, reply: Reply) -> Sample {
    let mut bytes = Vec::new();
    reply.encode(&mut bytes);
    Sample::new(title, bytes, move |datagram| assert_eq!(Reply::decode(datagram), Ok(reply)))
}

pub(crate) fn requests() -> Vec<Sample> {
    let register = |token, id, sig, lan: &[&str]| {
        Request::Register(Register { tid: tid(), token, id, sig, lan: addrs(lan) })
    };
    let connect = |target| Request::Connect(Connect { tid: tid(), token: token(), target });
    let sig = PeerSignature::from_bytes([7; 64]);
    let local = ["192.168.1.5:40001", "[fd00::5]:40001"];
    let result = |reached| Request::Result(Verdict { pair: pair(), reached });
    vec![
        request("register, the first one, padded", register(None, None, None, &[])),
        request(
            "register, with a token, an id and its signature",
            register(Some(token()), Some(id()), Some(sig), &local),
        ),
        request("register, the keepalive", register(Some(token()), Some(id()), None, &local)),
        request("connect, to an id", connect(Target::Id(id()))),
        request("connect, to an IP", connect(Target::Ip(addr("203.0.113.22:1").ip()))),
        request("connect, to an address", connect(Target::Addr(addr("203.0.113.22:41002")))),
        request("ack", Request::Ack { pair: pair() }),
        request("result, reached", result(Some((Path::Observed, 62)))),
        request("result, not reached", result(None)),
        request("unregister", Request::Unregister { tid: tid(), token: token() }),
        request(
            "probe, padded",
            Request::Probe { tid: tid(), token: token(), addr: addr("203.0.113.21:41001") },
        ),
    ]
}

pub(crate) fn replies() -> Vec<Sample> {
    let your_addr = |status| {
        Reply::YourAddr(YourAddr { tid: tid(), addr: addr("203.0.113.21:41001"), status, token: token() })
    };
    let ok = Status::Ok { ttl_secs: 120, keepalive_secs: 20, alt_port: Some(12_346) };
    let asked = Introduction {
        tid: Some(tid()),
        pair: pair(),
        peer: addr("203.0.113.22:41002"),
        id: Some(id()),
        lan: addrs(&["192.168.1.7:40001"]),
        nat: NatKind::Easy,
        punch: true,
        start_ms: 35,
        interval_ms: 100,
        key: Some(PunchKey::from_bytes([0xab; 16])),
        cold: false,
    };
    let target = Introduction { tid: None, id: None, lan: LanAddrs::EMPTY, cold: true, ..asked };
    let legacy = Introduction { id: None, lan: LanAddrs::EMPTY, nat: NatKind::Unknown, key: None, ..asked };
    let mut samples = vec![
        reply("your_addr, nothing is registered yet", your_addr(Status::Verify)),
        reply("your_addr, registered", your_addr(ok)),
        reply("peer, to the side that asked", Reply::Peer(asked)),
        reply("peer, to the target, about one without an id that was silent", Reply::Peer(target)),
        reply("peer, about a legacy peer", Reply::Peer(legacy)),
        reply("nat", Reply::Nat { tid: tid(), addr: addr("203.0.113.21:52"), nat: NatKind::Hard }),
        reply("unregistered", Reply::Unregistered { tid: tid() }),
        reply("error, without a tid", Reply::error(None, ErrorCode::BadRequest)),
        reply(
            "move",
            Reply::Move { to: addrs(&["203.0.113.2:12345", "[2001:db8::2]:12345"]), within_secs: 20 },
        ),
    ];
    // `other` is what a client makes of a code that it does not know; no server says it.
    let codes = ErrorCode::ALL.iter().copied().filter(|code| *code != ErrorCode::Other);
    samples.extend(
        codes.map(|code| reply(&format!("error, {}", code.as_str()), Reply::error(Some(tid()), code))),
    );
    let unreachable = Reply::Error { tid: Some(tid()), code: ErrorCode::NotFound, retry_ms: Some(500) };
    samples.push(reply("error, not_found while other nodes cannot be reached", unreachable));
    samples
}
