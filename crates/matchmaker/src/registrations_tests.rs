use std::hash::{BuildHasher as _, RandomState};

use proptest::prelude::*;

use super::*;

const VIA: Via = Via { socket: 0, local: None };
const TTL_US: u64 = 100;

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
        4 => (0..12_u8, 1..4_u16).prop_map(|(id, port)| Step::Register(id, port)),
        4 => (0..12_u8, 1..4_u16).prop_map(|(id, port)| Step::Touch(id, port)),
        1 => (0..3_usize).prop_map(Step::Expire),
        2 => (0..60_u64).prop_map(Step::Wait),
    ]
}

/// The promise in its plainest form: a list from the longest silent to the last heard.
#[derive(Default)]
struct Model(Vec<(SocketAddr, u64)>);

impl Model {
    fn find(&self, id: u8, now_us: u64) -> Option<SocketAddr> {
        let found = self.0.iter().find(|(known, _)| known.ip() == addr(id, 0).ip());
        found.filter(|(_, heard_us)| now_us - heard_us < TTL_US).map(|(known, _)| *known)
    }

    fn hear(&mut self, from: SocketAddr, now_us: u64, most: usize) {
        self.0.retain(|(known, _)| known.ip() != from.ip());
        if self.0.len() == most {
            self.0.remove(0);
        }
        self.0.push((from, now_us));
    }
}

proptest! {
    #[test]
    fn it_answers_like_the_model_after_any_steps(steps in prop::collection::vec(step(), 1..300)) {
        let hasher = RandomState::new();
        let hash = |ip: IpAddr| hasher.hash_one(ip);
        let (mut table, mut model, mut now_us) = (Registrations::new(8, TTL_US), Model::default(), 1_000);
        for step in steps {
            match step {
                Step::Register(id, port) => {
                    let from = addr(id, port);
                    table.register(hash(from.ip()), from, VIA, now_us, hash);
                    model.hear(from, now_us, 8);
                }
                Step::Touch(id, port) => {
                    let from = addr(id, port);
                    let known = table.touch(hash(from.ip()), from, VIA, now_us);
                    prop_assert_eq!(known, model.find(id, now_us).is_some());
                    if known {
                        model.hear(from, now_us, 8);
                    }
                }
                Step::Expire(most) => {
                    let expired = table.expire(most, now_us, hash);
                    prop_assert!(expired <= most);
                    model.0.drain(..expired);
                }
                Step::Wait(us) => now_us += us,
            }
            prop_assert_eq!(table.len(), model.0.len());
            for id in 0..12 {
                let ip = addr(id, 0).ip();
                let found = table.find(hash(ip), ip, now_us).map(|target| target.addr);
                prop_assert_eq!(found, model.find(id, now_us));
            }
        }
        while table.expire(3, now_us + TTL_US, hash) > 0 {}
        prop_assert_eq!(table.len(), 0);
        prop_assert!(table.records.len() <= 8);
    }
}

#[test]
fn a_peer_is_talked_to_from_the_address_that_it_talked_to() {
    let mut table = Registrations::new(8, TTL_US);
    let via = |socket, last| Via { socket, local: Some(IpAddr::from([192, 0, 2, last])) };
    for (id, way) in [(1, via(0, 1)), (2, via(0, 2)), (3, via(1, 1)), (4, VIA)] {
        table.register(u64::from(id), addr(id, 5), way, 0, |_| 0);
        let found = table.find(u64::from(id), addr(id, 5).ip(), 0);
        assert_eq!(found, Some(Target { addr: addr(id, 5), via: way }));
    }
}
