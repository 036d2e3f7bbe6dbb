//! Peers at several matchmakers that connect with each other again and again, as a load. None of their connects may fail.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use black_box::deadline::{PATIENCE, eventually};
use peer_client::{Client, Config, Identity, PeerId, Target};
use tokio::runtime::Runtime;

/// Paths that the side which was asked keeps: one that ends at once would be lost to who has not confirmed it yet.
const PATHS: usize = 16;

#[derive(Default)]
struct Seen {
    ends: AtomicBool,
    met: AtomicUsize,
    /// The same at the side that was asked for.
    accepted: AtomicUsize,
    longest: Mutex<Duration>,
    failures: Mutex<Vec<String>>,
}

/// The load, until it is stopped or dropped.
pub(crate) struct Connects {
    seen: Arc<Seen>,
    ids: Vec<PeerId>,
    /// Its tasks are aborted with it.
    runtime: Runtime,
    askers: Vec<tokio::task::JoinHandle<Client>>,
}

impl Connects {
    /// A peer at each of these servers, the first with the key of this number. Each asks for all others in turn, and rests for so
    /// long when it is through.
    pub(crate) fn start(servers: &[SocketAddr], first_key: u8, rest: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("threads can be started");
        let mut load = Self { seen: Arc::default(), ids: Vec::new(), runtime, askers: Vec::new() };
        let mut clients = Vec::new();
        for (server, key) in servers.iter().zip(first_key..) {
            clients.push(load.runtime.block_on(client(*server, key)));
        }
        load.ids = clients.iter().map(|client| client.id().expect("it has a key")).collect();
        let targets_of = |number: usize| -> Vec<Target> {
            let others = (1..load.ids.len()).map(|step| load.ids[(number + step) % load.ids.len()]);
            others.map(Target::Id).collect()
        };
        for client in &clients {
            load.runtime.spawn(accept_on(client.clone(), Arc::clone(&load.seen)));
        }
        // What a node says of a peer is in Redis a moment after the peer knows that it is registered.
        for (number, client) in clients.iter().enumerate() {
            for target in targets_of(number) {
                eventually(PATIENCE, "a peer reaches another one", || {
                    load.runtime.block_on(client.connect(target)).ok()
                });
                load.seen.met.fetch_add(1, Ordering::Relaxed);
            }
        }
        for (number, client) in clients.into_iter().enumerate() {
            let (targets, seen) = (targets_of(number), Arc::clone(&load.seen));
            load.askers.push(load.runtime.spawn(connect_on(client, targets, number, rest, seen)));
        }
        load
    }

    /// Ids of the peers.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.ids.iter().map(ToString::to_string).collect()
    }

    /// Connects that came through.
    pub(crate) fn met(&self) -> usize {
        self.seen.met.load(Ordering::Relaxed)
    }

    /// Waits until so many more came through.
    #[track_caller]
    pub(crate) fn wait_for(&self, more: usize) {
        let until = self.met() + more;
        eventually(PATIENCE, "peers connect", || (self.met() >= until).then_some(()));
    }

    /// The longest connect since this was asked last.
    pub(crate) fn take_longest(&self) -> Duration {
        std::mem::take(&mut *self.seen.longest.lock().expect("no peer panicked"))
    }

    #[track_caller]
    pub(crate) fn assert_none_failed(&self) {
        let failures = self.seen.failures.lock().expect("no peer panicked");
        let some = &failures[..failures.len().min(20)];
        assert!(failures.is_empty(), "{} failed, {} came through: {some:?}", failures.len(), self.met());
    }

    /// Ends it when every connect that is under way has come through, on both sides. Gives how many did.
    #[track_caller]
    pub(crate) fn stop(mut self) -> usize {
        self.seen.ends.store(true, Ordering::Relaxed);
        let askers = std::mem::take(&mut self.askers);
        let join =
            |asker: tokio::task::JoinHandle<Client>| self.runtime.block_on(asker).expect("no peer panicked");
        // Until the last one is through they are there to be reached.
        let clients: Vec<Client> = askers.into_iter().map(join).collect();
        eventually(PATIENCE, "who was asked for has a path as well", || {
            (self.seen.accepted.load(Ordering::Relaxed) >= self.met()).then_some(())
        });
        for client in clients {
            self.runtime.block_on(client.close());
        }
        self.assert_none_failed();
        self.met()
    }
}

async fn client(server: SocketAddr, key: u8) -> Client {
    let config = Config::new(server)
        .with_identity(Identity::from_bytes(&[key; 32]))
        .listening_at((server.ip(), 0).into());
    Client::bind(config).await.expect("the server answers")
}

async fn accept_on(client: Client, seen: Arc<Seen>) {
    let mut paths = VecDeque::new();
    while let Some(path) = client.accept().await {
        seen.accepted.fetch_add(1, Ordering::Relaxed);
        paths.push_back(path);
        if paths.len() > PATHS {
            paths.pop_front();
        }
    }
}

async fn connect_on(
    client: Client,
    targets: Vec<Target>,
    number: usize,
    rest: Duration,
    seen: Arc<Seen>,
) -> Client {
    for target in targets.into_iter().cycle() {
        if seen.ends.load(Ordering::Relaxed) {
            break;
        }
        let asked = Instant::now();
        match client.connect(target).await {
            Ok(_) => {
                seen.met.fetch_add(1, Ordering::Relaxed);
                let mut longest = seen.longest.lock().expect("no peer panicked");
                *longest = longest.max(asked.elapsed());
            }
            Err(error) => {
                let failure = format!("peer {number}, after {:?}: {error}", asked.elapsed());
                seen.failures.lock().expect("no peer panicked").push(failure);
            }
        }
        tokio::time::sleep(rest).await;
    }
    client
}
