#![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const TTL_MS: u64 = 1_000;

/// What the table promises, in the plainest form: a map from peer to its files and its last sign of life.
#[derive(Default)]
struct Model {
    peers: BTreeMap<u8, (u64, BTreeMap<u8, u8>)>,
}

impl Model {
    fn is_alive(&self, peer: u8, now_ms: u64) -> bool {
        self.peers.get(&peer).is_some_and(|(seen_ms, _)| now_ms < seen_ms + TTL_MS)
    }

    fn holders(&self, file: u8, now_ms: u64) -> BTreeSet<Peer> {
        let alive = self.peers.iter().filter(|(id, _)| self.is_alive(**id, now_ms));
        alive.filter(|(_, (_, files))| files.contains_key(&file)).map(|(id, _)| peer(*id)).collect()
    }

    fn mappings(&self) -> usize {
        self.peers.values().map(|(_, files)| files.len()).sum()
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Add { peer: u8, file: u8, hash: u8 },
    Remove { peer: u8, file: u8 },
    Forget { peer: u8 },
    Touch { peer: u8 },
    Sweep { most: usize },
    Wait { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let (peer, file) = (0..6_u8, 0..5_u8);
    prop_oneof![
        6 => (peer.clone(), file.clone(), 0..3_u8).prop_map(|(peer, file, hash)| Step::Add { peer, file, hash }),
        2 => (peer.clone(), file).prop_map(|(peer, file)| Step::Remove { peer, file }),
        1 => peer.clone().prop_map(|peer| Step::Forget { peer }),
        2 => peer.prop_map(|peer| Step::Touch { peer }),
        2 => (0..4_usize).prop_map(|most| Step::Sweep { most }),
        3 => (0..700_u64).prop_map(|ms| Step::Wait { ms }),
    ]
}

fn peer(id: u8) -> Peer {
    format!("203.0.113.{id}").parse().or_else(|_| "203.0.113.99".parse()).unwrap()
}

fn file(id: u8) -> FileName {
    format!("site/{id}.html").parse().unwrap()
}

fn hash(id: u8) -> ContentHash {
    format!("hash-{id}").parse().unwrap()
}

/// The state that the changes of a table make when they are replayed, as the disk does.
#[derive(Default)]
struct Replay(BTreeMap<(Peer, String), ContentHash>);

impl Replay {
    fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Put { peer, file, hash, .. } => {
                    self.0.insert((peer, file.to_string()), hash);
                }
                Change::Forget { peer, files, gone } => {
                    for file in files {
                        assert!(self.0.remove(&(peer, file.to_string())).is_some());
                    }
                    assert_eq!(gone, !self.0.keys().any(|(other, _)| *other == peer));
                }
                Change::Touched { .. } | Change::Close => {}
            }
        }
    }
}

fn run(table: &mut Table, model: &mut Model, replay: &mut Replay, step: Step, now_ms: &mut u64) {
    let mut log = Vec::new();
    match step {
        Step::Add { peer: id, file: name, hash: value } => {
            assert_eq!(table.add(peer(id), &file(name), &hash(value), *now_ms, &mut log), Ok(()));
            let alive = model.is_alive(id, *now_ms);
            let entry = model.peers.entry(id).or_default();
            if !alive {
                entry.1.clear();
            }
            entry.0 = *now_ms;
            entry.1.insert(name, value);
        }
        Step::Remove { peer: id, file: name } => {
            table.remove(peer(id), &file(name), &mut log);
            if let Some(entry) = model.peers.get_mut(&id) {
                entry.1.remove(&name);
                if entry.1.is_empty() {
                    model.peers.remove(&id);
                }
            }
        }
        Step::Forget { peer: id } => {
            table.forget(peer(id), &mut log);
            model.peers.remove(&id);
        }
        Step::Touch { peer: id } => {
            table.touch(peer(id), *now_ms);
            if model.is_alive(id, *now_ms) {
                model.peers.entry(id).and_modify(|entry| entry.0 = *now_ms);
            }
        }
        Step::Sweep { most } => {
            table.sweep(most, most, *now_ms, &mut log);
        }
        Step::Wait { ms } => *now_ms += ms,
    }
    replay.apply(log);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn it_answers_like_the_model_after_any_steps(steps in prop::collection::vec(step(), 1..120)) {
        let (mut table, mut model, mut replay) = (Table::new(TTL_MS), Model::default(), Replay::default());
        let mut now_ms = 1_000_000;
        for step in steps {
            run(&mut table, &mut model, &mut replay, step, &mut now_ms);
            for id in 0..5 {
                let holders: BTreeSet<Peer> = table.holders(&file(id), 10, 3, now_ms).into_iter().collect();
                prop_assert_eq!(holders, model.holders(id, now_ms));
            }
        }
        // What no read shows may still be there until the sweep has gone through.
        while table.sweep(2, 3, now_ms, &mut Vec::new()).more {}
        let dead: Vec<u8> = model.peers.keys().copied().filter(|id| !model.is_alive(*id, now_ms)).collect();
        for id in dead {
            model.peers.remove(&id);
        }
        prop_assert_eq!(table.mappings(), model.mappings());
        prop_assert_eq!(table.peer_count(), model.peers.len());
        let names: BTreeSet<u8> = model.peers.values().flat_map(|(_, files)| files.keys().copied()).collect();
        prop_assert_eq!(table.file_count(), names.len());
        let hashes: BTreeSet<u8> = model.peers.values().flat_map(|(_, files)| files.values().copied()).collect();
        prop_assert_eq!(table.hashes.len(), hashes.len());
        for (id, (_, files)) in &model.peers {
            for (name, value) in files {
                prop_assert_eq!(replay.0.get(&(peer(*id), file(*name).to_string())), Some(&hash(*value)));
                prop_assert_eq!(claimed(&table, *id, *name), Some(hash(*value)));
            }
        }
    }
}

fn claimed(table: &Table, id: u8, name: u8) -> Option<ContentHash> {
    let peer_id = table.peers.find(peer(id))?;
    let holders = &table.files.get(table.files.find(file(name).as_str())?)?.holders;
    table.hashes.get(*holders.get(&peer_id)?).cloned()
}

#[test]
fn a_long_list_is_sampled_from_every_start() {
    let mut table = Table::new(0);
    for number in 0..1_000_u32 {
        let peer = Peer::new(std::net::IpAddr::V4((0x0a00_0001 + number).into())).unwrap();
        table.insert(peer, "a".into(), &hash(0), 0);
    }
    let name = "a".parse().unwrap();
    let mut seen = BTreeSet::new();
    for start in 0..1_000 {
        let sample = table.holders(&name, 20, start, 1);
        assert_eq!(sample.iter().collect::<BTreeSet<_>>().len(), 20);
        seen.extend(sample);
    }
    assert_eq!(seen.len(), 1_000);
}

#[test]
fn a_read_of_a_file_whose_peers_all_died_is_short() {
    let mut table = Table::new(TTL_MS);
    for number in 0..100_000_u32 {
        let peer = Peer::new(std::net::IpAddr::V4((0x0a00_0001 + number).into())).unwrap();
        table.insert(peer, "a".into(), &hash(0), 0);
    }
    assert_eq!(table.holders(&"a".parse().unwrap(), 20, 7, 10 * TTL_MS), []);
    assert_eq!(
        table.sweep(1_000, 50, 10 * TTL_MS, &mut Vec::new()),
        Swept { peers: 50, mappings: 50, more: true }
    );
}

#[test]
fn pages_of_names_go_through_all_of_them_once_in_order() {
    let mut table = Table::new(0);
    for number in 0..25_u8 {
        table.insert(peer(1), file(number).into_shared(), &hash(0), 0);
    }
    table.insert(peer(1), "other".into(), &hash(0), 0);
    let mut query = FilesQuery { prefix: "site/".to_owned(), after: None, limit: 10 };
    let mut names = Vec::new();
    loop {
        let page = table.files(&query, 1);
        names.extend(page.files);
        if !page.more {
            break;
        }
        query.after = page.last;
    }
    let mut expected: Vec<String> = (0..25).map(|number| file(number).to_string()).collect();
    expected.sort();
    assert_eq!(names, expected);
}

#[test]
fn a_peer_has_a_bounded_number_of_files_and_may_renew_each() {
    let mut table = Table::new(0);
    for number in 0..FILES_PER_PEER_MAX {
        table.insert(peer(1), format!("site/{number}").into(), &hash(0), 0);
    }
    let mut log = Vec::new();
    let add = |table: &mut Table, id, name: &str, log: &mut Vec<Change>| {
        table.add(peer(id), &name.parse().unwrap(), &hash(1), 1, log)
    };
    assert_eq!(add(&mut table, 1, "one-more", &mut log), Err(RegistryError::TooManyFiles));
    assert_eq!(log, []);
    assert_eq!(add(&mut table, 1, "site/7", &mut log), Ok(()));
    assert_eq!(add(&mut table, 2, "one-more", &mut log), Ok(()));
}
