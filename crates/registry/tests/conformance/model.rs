//! Any sequence of changes against the plainest form of what they promise.

use std::collections::{BTreeMap, BTreeSet};

use peer_core::Owner;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use registry::{Stats, Verdict};

use crate::opener::{Opener, promises};
use crate::store::{Store, entry, key, keyed, legacy};

promises! {
    it_answers_like_the_model_after_any_changes
}

const FILES: u8 = 4;

#[derive(Debug, Clone)]
enum Step {
    Publish { peer: u8, files: Vec<u8>, hash: u8 },
    Unpublish { peer: u8, files: Vec<u8> },
    Leave { peer: u8 },
    Heartbeat { peer: u8 },
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let (peer, files) = (0..5_u8, prop::collection::vec(0..FILES, 1..4));
    prop_oneof![
        6 => (peer.clone(), files.clone(), 0..3_u8)
            .prop_map(|(peer, files, hash)| Step::Publish { peer, files, hash }),
        3 => (peer.clone(), files).prop_map(|(peer, files)| Step::Unpublish { peer, files }),
        1 => peer.clone().prop_map(|peer| Step::Leave { peer }),
        1 => peer.prop_map(|peer| Step::Heartbeat { peer }),
        1 => Just(Step::Sweep),
    ]
}

/// Some are addresses, some have ids.
fn publisher(peer: u8) -> registry::Publisher {
    if peer < 3 { legacy(&format!("203.0.113.{peer}")) } else { keyed(peer, &format!("198.51.100.{peer}")) }
}

fn owner(peer: u8) -> Owner {
    if peer < 3 { publisher(peer).owner } else { key(peer) }
}

fn name(file: u8) -> String {
    format!("site/{file}")
}

type Model = BTreeMap<(Owner, u8), u8>;

async fn run(store: &Store, model: &mut Model, step: Step) {
    match step {
        Step::Publish { peer, files, hash } => {
            let entries: Vec<_> = files.iter().map(|file| entry(&name(*file), &hash.to_string())).collect();
            let verdicts = store.publish(&publisher(peer), &entries).await;
            assert_eq!(verdicts, vec![Verdict::Listed; files.len()]);
            model.extend(files.into_iter().map(|file| ((owner(peer), file), hash)));
        }
        Step::Unpublish { peer, files } => {
            let names: Vec<String> = files.iter().map(|file| name(*file)).collect();
            store.unpublish(owner(peer), &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
            for file in files {
                model.remove(&(owner(peer), file));
            }
        }
        Step::Leave { peer } => {
            store.unpublish_all(owner(peer)).await;
            model.retain(|(of, _), _| *of != owner(peer));
        }
        Step::Heartbeat { peer } => {
            let lives = model.keys().any(|(of, _)| *of == owner(peer));
            assert_eq!(store.heartbeat(&publisher(peer)).await, lives);
        }
        Step::Sweep => assert_eq!(store.sweep().await, 0),
    }
}

async fn check(store: &Store, model: &Model) {
    for file in 0..FILES {
        let found = store.holders(&name(file)).await;
        let found: BTreeMap<Owner, String> =
            found.into_iter().map(|holder| (holder.owner, holder.hash.to_string())).collect();
        let expected: BTreeMap<Owner, String> = model
            .iter()
            .filter(|((_, of), _)| *of == file)
            .map(|((owner, _), hash)| (*owner, hash.to_string()))
            .collect();
        assert_eq!(found, expected, "{}", name(file));
    }
    let files: BTreeSet<u8> = model.keys().map(|(_, file)| *file).collect();
    let peers: BTreeSet<Owner> = model.keys().map(|(owner, _)| *owner).collect();
    let expected =
        Stats { peers: peers.len() as u64, files: files.len() as u64, mappings: model.len() as u64 };
    assert_eq!(store.registry.stats().await, Ok(expected));
    assert_eq!(store.files("", 100).await, files.into_iter().map(name).collect::<Vec<_>>());
}

async fn it_answers_like_the_model_after_any_changes(opener: Opener) {
    let store = opener.open(60).await;
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let runtime = tokio::runtime::Handle::current();
    let ran = tokio::task::block_in_place(|| {
        runner.run(&prop::collection::vec(step(), 1..40), |steps| {
            runtime.block_on(async {
                let mut model = Model::new();
                for step in steps {
                    run(&store, &mut model, step).await;
                    check(&store, &model).await;
                }
                for peer in 0..5 {
                    run(&store, &mut model, Step::Leave { peer }).await;
                }
                check(&store, &model).await;
            });
            Ok(())
        })
    });
    ran.unwrap();
}
