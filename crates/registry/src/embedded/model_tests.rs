//! The table against the plainest form of what it promises, on virtual time.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::samples::{address, file, hash, owner, publisher};
use super::*;
use crate::{FilesQuery, Holder, HoldersQuery};

const TTL_MS: u64 = 8_000;

/// A peer: where it is, how long it lives, when it was heard, what it has.
#[derive(Debug, Clone)]
struct ModelPeer {
    publisher: Publisher,
    seen_ms: u64,
    files: BTreeMap<u16, (u8, Option<u64>)>,
}

impl ModelPeer {
    fn ttl_ms(&self) -> u64 {
        self.publisher.ttl_secs.map_or(TTL_MS, |secs| TTL_MS.min(u64::from(secs) * 1_000))
    }

    fn is_alive(&self, now_ms: u64) -> bool {
        now_ms < self.seen_ms + self.ttl_ms()
    }
}

#[derive(Default)]
struct Model {
    peers: BTreeMap<u16, ModelPeer>,
}

impl Model {
    fn alive(&mut self, id: u16, now_ms: u64) -> Option<&mut ModelPeer> {
        self.peers.get_mut(&id).filter(|peer| peer.is_alive(now_ms))
    }

    fn holders(&self, name: u16, now_ms: u64) -> BTreeMap<Owner, Holder> {
        let alive = self.peers.values().filter(|peer| peer.is_alive(now_ms));
        let holders = alive.filter_map(|peer| {
            let (value, size) = peer.files.get(&name)?;
            let Publisher { owner, address, port, .. } = peer.publisher;
            let (hash, size, last_seen_ms) = (hash(*value), *size, peer.seen_ms);
            let holder = Holder { owner, address, port, hash, size, last_seen_ms, online: None };
            Some((owner, holder))
        });
        holders.collect()
    }

    fn bury(&mut self, now_ms: u64) {
        self.peers.retain(|_, peer| peer.is_alive(now_ms));
    }

    fn stats(&self) -> Stats {
        let names: BTreeSet<u16> = self.peers.values().flat_map(|peer| peer.files.keys().copied()).collect();
        let mappings: usize = self.peers.values().map(|peer| peer.files.len()).sum();
        Stats { peers: self.peers.len() as u64, files: names.len() as u64, mappings: mappings as u64 }
    }
}

/// What the changes of a table make when they are replayed, as the disk does.
#[derive(Default)]
struct Replay {
    mappings: BTreeMap<(Owner, String), (u32, Arc<Content>)>,
    peers: BTreeMap<Owner, PeerRecord>,
}

impl Replay {
    fn apply(&mut self, table: &Table, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Put { owner, life, file, content } => {
                    self.mappings.insert((owner, file.to_string()), (life, content));
                }
                Change::Delete { owner, files } => {
                    for file in files {
                        // It may be gone: two former lives of a peer can have had it.
                        self.mappings.remove(&(owner, file.to_string()));
                    }
                }
                Change::Gone { owner } => {
                    self.peers.remove(&owner);
                }
                Change::Touched { owner } => {
                    self.peers.extend(table.save(owner).map(|record| (owner, record)));
                }
                Change::Used(_) | Change::Forgotten(_) | Change::Close => {}
            }
        }
    }

    /// The mappings that count after a start.
    fn lasting(&self) -> BTreeSet<(Owner, String, String, Option<u64>)> {
        let counts = |owner: &Owner, life: u32| self.peers.get(owner).is_some_and(|peer| peer.life == life);
        self.mappings
            .iter()
            .filter(|((owner, _), (life, _))| counts(owner, *life))
            .map(|((owner, file), (_, content))| {
                (*owner, file.clone(), content.hash.to_string(), content.size)
            })
            .collect()
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Publish { id: u16, at: u8, ttl_secs: Option<u32>, name: u16, value: u8, size: Option<u64> },
    Unpublish { id: u16, name: u16 },
    Leave { id: u16 },
    Touch { id: u16 },
    Heartbeat { id: u16, at: u8, ttl_secs: Option<u32> },
    TakeAway { most: usize },
    Sweep { most: usize },
    Wait { ms: u64 },
}

struct World {
    table: Table,
    model: Model,
    replay: Replay,
    now_ms: u64,
}

impl World {
    fn new() -> Self {
        Self {
            table: Table::new(PeerTtl::from_secs(TTL_MS / 1_000), Bounds::default()),
            model: Model::default(),
            replay: Replay::default(),
            now_ms: 1_000_000,
        }
    }

    fn run(&mut self, step: Step) {
        let Self { table, model, now_ms, .. } = self;
        let now = *now_ms;
        let mut log = Vec::new();
        match step {
            Step::Publish { id, at, ttl_secs, name, value, size } => {
                let publisher = publisher(id, at, ttl_secs);
                let entry = Entry { file: file(name), hash: hash(value), size };
                let verdicts = table.publish(&publisher, &[entry], now, &mut log);
                assert_eq!(verdicts, Ok(vec![Verdict::Listed]));
                if model.alive(id, now).is_none() {
                    model.peers.insert(id, ModelPeer { publisher, seen_ms: now, files: BTreeMap::new() });
                }
                let peer = model.alive(id, now).unwrap();
                (peer.publisher, peer.seen_ms) = (publisher, now);
                peer.files.insert(name, (value, size));
            }
            Step::Unpublish { id, name } => {
                table.unpublish(owner(id), &[file(name)], now, &mut log);
                if let Some(peer) = model.peers.get_mut(&id) {
                    peer.files.remove(&name);
                    if peer.is_alive(now) {
                        peer.seen_ms = now;
                    }
                    if peer.files.is_empty() {
                        model.peers.remove(&id);
                    }
                }
            }
            Step::Leave { id } => {
                assert_eq!(table.leave(owner(id), &mut log), model.peers.remove(&id).is_some());
            }
            Step::Touch { id } => {
                table.touch(owner(id), now);
                if let Some(peer) = model.alive(id, now)
                    && now >= peer.seen_ms + 10_000.min(peer.ttl_ms() / 16)
                {
                    peer.seen_ms = now;
                }
            }
            Step::Heartbeat { id, at, ttl_secs } => {
                let publisher = publisher(id, at, ttl_secs);
                let heard = match table.hear(&publisher, now) {
                    Heard::Dead => false,
                    Heard::Noted { save } => {
                        log.extend(save.then_some(Change::Touched { owner: publisher.owner }));
                        true
                    }
                    Heard::Changes => table.heartbeat(&publisher, now, &mut log),
                };
                let known = model.alive(id, now);
                assert_eq!(heard, known.is_some());
                if let Some(peer) = known {
                    let ttl_secs = ttl_secs.or(peer.publisher.ttl_secs);
                    (peer.publisher, peer.seen_ms) = (Publisher { ttl_secs, ..publisher }, now);
                }
            }
            Step::TakeAway { most } => {
                table.take_away(most, &mut log);
            }
            Step::Sweep { most } => {
                let swept = table.sweep(most, most, now, &mut log);
                assert!(swept.mappings <= most);
                // What it took is gone from the count whether it was retired by it or before.
                model.peers.retain(|id, peer| peer.is_alive(now) || table.peers.find(owner(*id)).is_some());
            }
            Step::Wait { ms } => *now_ms += ms,
        }
        self.replay.apply(&self.table, log);
    }

    fn check_file(&self, name: u16) {
        let expected = self.model.holders(name, self.now_ms);
        let query = HoldersQuery { file: file(name), hash: None, limit: 1_000, exclude: Vec::new() };
        let found = self.table.holders(address(999), &query, 3, self.now_ms).holders;
        assert_eq!(found.len(), expected.len());
        let found: BTreeMap<Owner, Holder> = found.into_iter().map(|it| (it.owner, it)).collect();
        assert_eq!(found, expected);
        let addresses = self.table.addresses(address(999), &file(name), 1_000, 7, self.now_ms);
        let distinct: BTreeSet<_> = expected.values().map(|holder| holder.address).collect();
        assert_eq!(addresses.len(), distinct.len());
        assert_eq!(addresses.into_iter().collect::<BTreeSet<_>>(), distinct);
    }

    /// What no read shows may be there until the sweep has gone through; then nothing is left of it.
    fn sweep_and_check_all(&mut self) {
        loop {
            let mut log = Vec::new();
            let swept = self.table.sweep(7, 5, self.now_ms, &mut log);
            self.replay.apply(&self.table, log);
            if !swept.more {
                break;
            }
        }
        self.model.bury(self.now_ms);
        assert_eq!(self.table.stats(), self.model.stats());
        let contents: BTreeSet<_> =
            self.model.peers.values().flat_map(|peer| peer.files.values().copied()).collect();
        assert_eq!(self.table.contents.len(), contents.len());
        let peers = self.model.peers.values();
        let mappings: BTreeSet<_> = peers
            .flat_map(|peer| {
                let owner = peer.publisher.owner;
                peer.files.iter().map(move |(name, (value, size))| {
                    (owner, file(*name).to_string(), hash(*value).to_string(), *size)
                })
            })
            .collect();
        assert_eq!(self.replay.lasting(), mappings);
        assert_eq!(self.replay.mappings.len(), mappings.len());
        let listed = self.table.list(address(999), &query(10_000), self.now_ms).files;
        let names: BTreeSet<String> = mappings.iter().map(|(_, name, ..)| name.clone()).collect();
        assert_eq!(listed.iter().map(|file| file.name.clone()).collect::<BTreeSet<_>>(), names);
        assert_eq!(listed.iter().map(|file| file.peers).sum::<usize>(), mappings.len());
    }
}

fn query(limit: usize) -> FilesQuery {
    FilesQuery { limit, ..FilesQuery::default() }
}

fn step() -> impl Strategy<Value = Step> {
    let (id, name, at) = (0..6_u16, 0..5_u16, 0..3_u8);
    let ttl = prop::option::of(Just(2_u32));
    let size = prop::option::of(0..2_u64);
    prop_oneof![
        8 => (id.clone(), at.clone(), ttl.clone(), name.clone(), 0..3_u8, size).prop_map(
            |(id, at, ttl_secs, name, value, size)| Step::Publish { id, at, ttl_secs, name, value, size }
        ),
        2 => (id.clone(), name).prop_map(|(id, name)| Step::Unpublish { id, name }),
        1 => id.clone().prop_map(|id| Step::Leave { id }),
        2 => id.clone().prop_map(|id| Step::Touch { id }),
        2 => (id, at, ttl).prop_map(|(id, at, ttl_secs)| Step::Heartbeat { id, at, ttl_secs }),
        1 => (0..3_usize).prop_map(|most| Step::TakeAway { most }),
        2 => (0..4_usize).prop_map(|most| Step::Sweep { most }),
        3 => (0..4_000_u64).prop_map(|ms| Step::Wait { ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn it_answers_like_the_model_after_any_steps(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
            for name in 0..5 {
                world.check_file(name);
            }
        }
        world.sweep_and_check_all();
    }
}

#[test]
fn after_a_day_of_churn_reads_and_counts_are_right() {
    let mut random = fastrand::Rng::with_seed(20_261_125);
    let mut world = World::new();
    let end_ms = world.now_ms + 86_400_000;
    let mut steps = 0_u32;
    while world.now_ms < end_ms {
        let (id, name) = (random.u16(..400), random.u16(..150));
        let (at, value) = (random.u8(..50), random.u8(..3));
        let ttl_secs = random.bool().then_some(2);
        let step = match random.u8(..20) {
            0..10 => Step::Publish { id, at, ttl_secs, name, value, size: None },
            10 | 11 => Step::Unpublish { id, name },
            12 => Step::Leave { id },
            13..16 => Step::Touch { id },
            16 => Step::Heartbeat { id, at, ttl_secs },
            17 => Step::TakeAway { most: 3 },
            18 => Step::Sweep { most: 100 },
            // Nights, in which everybody dies.
            _ => Step::Wait { ms: if random.u8(..50) == 0 { 60_000 } else { random.u64(..50_000) / 4 } },
        };
        world.run(step);
        world.check_file(name);
        steps += 1;
        if steps.is_multiple_of(500) {
            world.sweep_and_check_all();
        }
    }
    assert!(steps > 100_000, "{steps}");
    world.sweep_and_check_all();
    world.run(Step::Wait { ms: 10 * TTL_MS });
    world.sweep_and_check_all();
    assert_eq!(world.table.stats(), Stats::default());
}
