use std::hash::{BuildHasher as _, RandomState};

use proptest::prelude::*;

use super::*;

const VIA: Via = Via { socket: 0, local: None };
const SECOND_US: u64 = 1_000_000;
const NOBODY: [u8; 0] = [];
const TTL_US: u64 = 120 * SECOND_US;

fn room(most: u32, newcomers: u32) -> Room {
    Room { most, newcomers, ttl_us: TTL_US }
}

fn addr(id: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, id], port))
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Register(u8, u16),
    Touch(u8, u16),
    Expire(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..24_u8, 1..4_u16).prop_map(|(id, port)| Step::Register(id, port)),
        3 => (0..24_u8, 1..4_u16).prop_map(|(id, port)| Step::Touch(id, port)),
        1 => (0..3_usize).prop_map(Step::Expire),
        3 => (0..20 * SECOND_US).prop_map(Step::Wait),
    ]
}

#[derive(Debug, Clone, Copy)]
struct Peer {
    addr: SocketAddr,
    heard_us: u64,
    standing: Standing,
}

/// The promise in its plainest form: everybody in the order in which they were heard.
struct Model {
    peers: Vec<Peer>,
    room: Room,
}

impl Model {
    fn find(&self, ip: IpAddr, now_us: u64) -> Option<Peer> {
        let found = self.peers.iter().find(|peer| peer.addr.ip() == ip).copied();
        found.filter(|peer| now_us - peer.heard_us < TTL_US)
    }

    fn count(&self, standing: Standing) -> u32 {
        self.peers.iter().map(|peer| u32::from(peer.standing == standing)).sum()
    }

    fn hear(&mut self, addr: SocketAddr, now_us: u64, standing: Standing) {
        self.peers.retain(|peer| peer.addr.ip() != addr.ip());
        self.peers.push(Peer { addr, heard_us: now_us, standing });
    }

    /// As many as were taken away must have expired.
    fn expire(&mut self, expired: usize, now_us: u64) {
        for _ in 0..expired {
            let oldest = self.oldest(now_us, TTL_US, Standing::Known);
            let oldest = oldest.or_else(|| self.oldest(now_us, TTL_US, Standing::Settled));
            let oldest = oldest.or_else(|| self.oldest(now_us, TTL_US, Standing::Fresh));
            if let Some(ip) = oldest {
                self.remove(ip);
            }
        }
    }

    fn remove(&mut self, ip: IpAddr) {
        self.peers.retain(|peer| peer.addr.ip() != ip);
    }

    fn oldest(&self, now_us: u64, silent_us: u64, standing: Standing) -> Option<IpAddr> {
        let mut peers = self.peers.iter().filter(|peer| peer.standing == standing);
        peers.next().filter(|peer| now_us - peer.heard_us >= silent_us).map(|peer| peer.addr.ip())
    }

    fn register(&mut self, addr: SocketAddr, now_us: u64) -> bool {
        if self.find(addr.ip(), now_us).is_some() {
            self.hear(addr, now_us, Standing::Known);
            return true;
        }
        self.remove(addr.ip());
        if self.peers.len() == self.room.most as usize {
            let few =
                self.count(Standing::Fresh) < (self.room.newcomers / 5 * 4).clamp(1, self.room.most / 2);
            let rules = [
                (TTL_US, Standing::Known, true),
                (TTL_US, Standing::Settled, true),
                (TTL_US, Standing::Fresh, true),
                (LIVE_US, Standing::Settled, true),
                (LIVE_US, Standing::Known, few),
                (0, Standing::Fresh, true),
            ];
            let mut rules = rules.into_iter().filter(|(.., holds)| *holds);
            match rules.find_map(|(silent_us, standing, _)| self.oldest(now_us, silent_us, standing)) {
                Some(victim) => self.remove(victim),
                None => return false,
            }
        }
        let stay = self.count(Standing::Known) + self.count(Standing::Settled);
        let calm = stay + self.room.newcomers < self.room.most;
        self.hear(addr, now_us, if calm { Standing::Settled } else { Standing::Fresh });
        true
    }
}

proptest! {
    #[test]
    fn it_answers_like_the_model_after_any_steps(
        newcomers in prop::sample::select(vec![3_u32, 5, 10]),
        steps in prop::collection::vec(step(), 1..400),
    ) {
        const MOST: u32 = 10;
        let hasher = RandomState::new();
        let hash = |ip: IpAddr| hasher.hash_one(ip);
        let mut table = Registrations::new(room(MOST, newcomers));
        let mut model = Model { peers: Vec::new(), room: room(MOST, newcomers) };
        let mut now_us = 1_000;
        for step in steps {
            match step {
                Step::Register(id, port) => {
                    let from = addr(id, port);
                    let kept = table.register(hash(from.ip()), from, VIA, now_us, hash);
                    prop_assert_eq!(kept != Kept::No, model.register(from, now_us));
                }
                Step::Touch(id, port) => {
                    let from = addr(id, port);
                    let known = table.touch(hash(from.ip()), from, VIA, now_us);
                    prop_assert_eq!(known, model.find(from.ip(), now_us).is_some());
                    if known {
                        model.hear(from, now_us, Standing::Known);
                    }
                }
                Step::Expire(most) => {
                    let expired = table.expire(most, now_us, hash);
                    prop_assert!(expired <= most);
                    model.expire(expired, now_us);
                }
                Step::Wait(us) => now_us += us,
            }
            prop_assert_eq!(table.len(), model.peers.len());
            for standing in [Standing::Known, Standing::Settled, Standing::Fresh] {
                prop_assert_eq!(table.records.len(standing), model.count(standing));
            }
            for id in 0..24 {
                let ip = addr(id, 0).ip();
                let found = table.find(hash(ip), ip, now_us).map(|target| target.addr);
                prop_assert_eq!(found, model.find(ip, now_us).map(|peer| peer.addr));
            }
        }
        while table.expire(3, now_us + TTL_US, hash) > 0 {}
        prop_assert_eq!(table.len(), 0);
        prop_assert!(table.records.places() <= MOST as usize);
    }
}

#[test]
fn a_peer_is_talked_to_from_the_address_that_it_talked_to() {
    let mut table = Registrations::new(room(8, 8));
    let via = |socket, last| Via { socket, local: Some(IpAddr::from([192, 0, 2, last])) };
    for (id, way) in [(1, via(0, 1)), (2, via(0, 2)), (3, via(1, 1)), (4, VIA)] {
        table.register(u64::from(id), addr(id, 5), way, 0, |_| 0);
        let found = table.find(u64::from(id), addr(id, 5).ip(), 0);
        assert_eq!(found, Some(Target { addr: addr(id, 5), via: way }));
    }
}

/// A table with a hash that is the peer's number, at a time that the test sets.
struct Numbered {
    table: Registrations,
    now_us: u64,
}

impl Numbered {
    fn new(most: u32, newcomers: u32) -> Self {
        Self { table: Registrations::new(room(most, newcomers)), now_us: 0 }
    }

    fn register(&mut self, ids: std::ops::Range<u8>) -> Vec<bool> {
        let rehash = |ip| match ip {
            IpAddr::V4(ip) => u64::from(ip.octets()[3]),
            IpAddr::V6(_) => 0,
        };
        ids.map(|id| self.table.register(u64::from(id), addr(id, 5), VIA, self.now_us, rehash) != Kept::No)
            .collect()
    }

    fn missing(&self, ids: std::ops::Range<u8>) -> Vec<u8> {
        ids.filter(|id| self.table.find(u64::from(*id), addr(*id, 0).ip(), self.now_us).is_none()).collect()
    }
}

#[test]
fn a_small_table_keeps_those_that_were_heard_again_and_the_newest_newcomer() {
    let mut peers = Numbered::new(100, 100);
    peers.register(0..99);
    peers.register(0..99);
    for newcomer in 100..200 {
        peers.register(newcomer..newcomer + 1);
        assert_eq!(peers.missing(newcomer..newcomer + 1), NOBODY);
    }
    assert_eq!(peers.missing(0..99), NOBODY);
}

#[test]
fn a_table_of_live_peers_keeps_no_newcomer_until_one_is_silent() {
    let mut peers = Numbered::new(4, 4);
    peers.register(0..4);
    peers.register(0..4);
    peers.now_us = LIVE_US - 1;
    peers.register(1..4);
    assert_eq!(peers.register(4..5), [false]);
    assert_eq!(peers.missing(0..5), [4]);
    peers.now_us = LIVE_US;
    assert_eq!(peers.register(4..5), [true]);
    assert_eq!(peers.missing(0..5), [0]);
}

#[test]
fn those_that_sent_twice_and_are_silent_leave_room_for_more_than_one_newcomer() {
    let mut peers = Numbered::new(100, 50);
    peers.register(0..100);
    peers.register(0..100);
    peers.now_us = LIVE_US;
    peers.register(100..200);
    // Of a hundred newcomers the last 40 are there, and 60 of the others.
    assert_eq!(peers.missing(160..200), NOBODY);
    assert_eq!(peers.missing(0..100).len(), 40);
}

#[test]
fn who_settled_before_the_flood_has_thirty_seconds_to_speak_again() {
    let mut peers = Numbered::new(100, 40);
    peers.register(0..60);
    peers.now_us = LIVE_US - 1;
    peers.register(0..30);
    peers.register(60..200);
    assert_eq!(peers.missing(0..60), NOBODY);
    peers.now_us = LIVE_US;
    peers.register(200..230);
    assert_eq!(peers.missing(0..60), (30..60).collect::<Vec<_>>());
}

#[test]
fn a_table_of_one_has_the_newest_unless_the_other_was_heard_again() {
    let mut peers = Numbered::new(1, 1);
    assert_eq!(peers.register(0..2), [true, true]);
    assert_eq!(peers.register(1..3), [true, false]);
    peers.now_us = LIVE_US;
    assert_eq!(peers.register(2..3), [true]);
}
