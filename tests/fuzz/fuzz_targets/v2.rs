//! Version 2 of the rendezvous. The codec: what is read as a request or a reply is written so that it is read as the same.
//! The engine under any sequence of requests, most of them nearly right, with tokens that it gave and others: whoever shows no
//! token of its own address makes no state, is sent no more than it sent, and nobody else is written to; nobody is told of an
//! id that has not signed; all tables keep their bounds; and in the end everything is forgotten.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use libfuzzer_sys::fuzz_target;
use matchmaker::{Arrival, Endpoints, Engine, Legacy, LegacyLimits, Outbox, TokenKeys, V2Settings};
use peer_core::PeerId;
use peer_core::datagram::v2::{
    Connect, Decoded, LanAddrs, PairId, Register, Reply, Request, Target, Tid, Token,
};

const MOST: u32 = 4;
const PEERS: usize = 6;
const MAIN_PORT: u16 = 12_345;
const ALT_PORT: u16 = 12_346;
/// A peer is told once, and three times more.
const TOLD_MOST: usize = 4;

fuzz_target!(|script: &[u8]| {
    codec(script);
    let Some((first, mut script)) = script.split_first() else { return };
    let limits = LegacyLimits::default();
    let legacy = [Legacy::On, Legacy::Limited(limits), Legacy::Off(limits)][usize::from(first % 3)];
    let main = [SocketAddr::from((Ipv4Addr::UNSPECIFIED, MAIN_PORT))];
    let alt = [SocketAddr::from((Ipv4Addr::UNSPECIFIED, ALT_PORT))];
    let keys = TokenKeys::new([7; 16]);
    let engine = Engine::new(MOST, legacy).with_endpoints(Endpoints::new(&main, &alt)).with_v2(&V2Settings {
        max_clients: MOST,
        legacy,
        keys,
        epoch_ms: 1_764_100_000_000,
    });
    let mut world = World { engine, now_us: 0, tokens: [None; PEERS], pair: 0 };
    // A step is a peer, a pause in eighths of a second, what it says, and of whom.
    while let [peer, pause, what, whom, rest @ ..] = script {
        script = rest;
        world.now_us += u64::from(*pause) * 125_000;
        world.resend();
        let raw = usize::from(*whom).min(rest.len());
        let (raw, after) = rest.split_at(if what % 16 == 0 { raw } else { 0 });
        script = if raw.is_empty() { script } else { after };
        world.step(usize::from(*peer) % PEERS, *what, *whom, raw);
        if pause % 16 == 0 {
            world.engine.tick(world.now_us);
        }
    }
    world.now_us += 130_000_000;
    world.engine.tick(world.now_us);
    assert_eq!((world.engine.v2_len(), world.engine.len()), (0, 0));
    world.resend();
    assert_eq!(world.engine.resend_due_us(), None);
});

fn codec(datagram: &[u8]) {
    let mut out = Vec::new();
    if let Decoded::Request(request) = Request::decode(datagram) {
        request.encode(&mut out);
        assert_eq!(Request::decode(&out), Decoded::Request(request));
    }
    out.clear();
    if let Ok(reply) = Reply::decode(datagram) {
        reply.encode(&mut out);
        assert_eq!(Reply::decode(&out), Ok(reply));
        assert_eq!(Request::decode(&out), Decoded::ServersWord);
    }
}

struct World {
    engine: Engine,
    now_us: u64,
    /// The newest token of each peer.
    tokens: [Option<Token>; PEERS],
    /// The newest pair.
    pair: u64,
}

/// Two peers share each IP.
fn addr(peer: usize) -> SocketAddr {
    let (ip, port) = (peer / 2, 5_000 + peer % 2);
    SocketAddr::new(
        IpAddr::V4(Ipv4Addr::new(203, 0, 113, u8::try_from(ip).expect("few"))),
        u16::try_from(port).expect("small"),
    )
}

impl World {
    fn request(&self, peer: usize, what: u8, whom: u8) -> Request {
        let tid: Tid = if whom % 5 == 0 { "same".parse() } else { format!("t{}", self.now_us).parse() }
            .expect("of its form");
        // Its own as a rule, another's at times, and one that never was.
        let of = if what & 0x80 == 0 { peer } else { usize::from(whom) % PEERS };
        let token = self.tokens[of];
        let sure = token.unwrap_or(Token::from_bytes([9; 16]));
        let target = usize::from(whom) % PEERS;
        match what % 16 {
            1..5 => Request::Register(Register { tid, token, id: None, sig: None, lan: LanAddrs::EMPTY }),
            5 => {
                let id = Some(PeerId::from_bytes([whom; 32]));
                Request::Register(Register { tid, token, id, sig: None, lan: LanAddrs::EMPTY })
            }
            6..9 => Request::Connect(Connect { tid, token: sure, target: Target::Addr(addr(target)) }),
            9 => Request::Connect(Connect { tid, token: sure, target: Target::Ip(addr(target).ip()) }),
            10 => {
                let target = Target::Id(PeerId::from_bytes([whom; 32]));
                Request::Connect(Connect { tid, token: sure, target })
            }
            11 => Request::Unregister { tid, token: sure },
            12 | 13 => Request::Probe { tid, token: sure, addr: addr(target) },
            _ => Request::Ack { pair: PairId::from_bits(self.pair) },
        }
    }

    fn step(&mut self, peer: usize, what: u8, whom: u8, raw: &[u8]) {
        let mut datagram = raw.to_vec();
        let mut shows_its_own = false;
        if what % 16 != 0 {
            let request = self.request(peer, what, whom);
            request.encode(&mut datagram);
            let token = match request {
                Request::Register(register) => register.token,
                Request::Connect(connect) => Some(connect.token),
                Request::Unregister { token, .. } => Some(token),
                _ => None,
            };
            shows_its_own = token.is_some() && token == self.tokens[peer];
        }
        let is_alt = what % 16 == 13;
        let arrival = Arrival {
            from: addr(peer),
            socket: u8::from(is_alt),
            local: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
            local_port: if is_alt { ALT_PORT } else { MAIN_PORT },
        };
        let (before, is_v2) = (self.engine.v2_len(), Request::decode(&datagram) != Decoded::Other);
        let mut out = Outbox::default();
        self.engine.handle(self.now_us, arrival, &datagram, &mut out);
        assert!(out.len() <= 2 && self.engine.v2_len() <= MOST as usize);
        if is_v2 && !shows_its_own && raw.is_empty() {
            assert!(out.len() <= 1 && self.engine.v2_len() == before);
            let sent: usize = out.iter().map(|sent| sent.bytes.len()).sum();
            assert!(sent <= datagram.len(), "{sent} for {}", datagram.len());
            assert!(out.iter().all(|sent| sent.to == addr(peer)));
        }
        self.hear(&out);
    }

    fn resend(&mut self) {
        // As often as there may be something left to say, and once more.
        for _ in 0..2 * TOLD_MOST * 256 {
            if self.engine.resend_due_us().is_none_or(|due_us| due_us > self.now_us) {
                return;
            }
            let mut out = Outbox::default();
            self.engine.resend(self.now_us, &mut out);
            self.hear(&out);
        }
        panic!("resends do not end");
    }

    fn hear(&mut self, out: &Outbox) {
        for sent in out.iter() {
            let Ok(reply) = Reply::decode(sent.bytes) else {
                let legacy: serde_json::Value =
                    serde_json::from_slice(sent.bytes).expect("an answer is JSON");
                assert!(legacy.get("v").is_none());
                continue;
            };
            let to = (0..PEERS).find(|peer| addr(*peer) == sent.to).expect("a peer");
            match reply {
                Reply::YourAddr(your_addr) => {
                    assert_eq!(your_addr.addr, sent.to);
                    self.tokens[to] = Some(your_addr.token);
                }
                Reply::Peer(told) => {
                    assert_eq!(told.id, None, "nobody has signed");
                    assert_ne!(told.peer, sent.to);
                    self.pair = told.pair.to_bits();
                }
                _ => {}
            }
        }
    }
}
