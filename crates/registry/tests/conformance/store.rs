//! A store for one test, and short words to ask it with.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use black_box::cluster::RedisCluster;
use black_box::redis::RedisServer;
use black_box::sentinel::SentinelSetup;
use peer_core::{FileName, Owner, Peer, PeerId};
use registry::{
    Bounds, EmbeddedRegistry, Entry, FilesQuery, Holder, Holders, HoldersQuery, ListedFile, PeerTtl,
    Publisher, Record, RedisRegistry, Registry, RegistryError, Report, Verdict,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// The longest that a condition may take on a loaded machine, in time.
const PATIENCE: Duration = Duration::from_secs(20);
/// Somebody who asks and is no peer.
pub(crate) const STRANGER: &str = "192.0.2.99";

/// Where the store keeps its data; gone with the test.
pub(crate) enum Home {
    Embedded(TempDir),
    Redis(RedisServer),
    Sentinel(SentinelSetup),
    Cluster(RedisCluster),
}

impl Home {
    pub(crate) fn embedded() -> Self {
        Self::Embedded(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn redis() -> Self {
        Self::Redis(RedisServer::start_new())
    }

    pub(crate) fn cluster() -> Self {
        Self::Cluster(RedisCluster::start_new())
    }

    pub(crate) fn sentinel() -> Self {
        Self::Sentinel(SentinelSetup::start_alone())
    }

    /// The `REDIS_URL`.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Embedded(_) => panic!("an embedded store has no URL"),
            Self::Redis(server) => server.url(),
            Self::Cluster(cluster) => cluster.url(),
            Self::Sentinel(setup) => setup.url(),
        }
    }
}

/// A store under test.
pub(crate) struct Store {
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) home: Home,
}

impl Store {
    pub(crate) async fn embedded(ttl_secs: u64) -> Self {
        Self::open(Home::embedded(), ttl_secs).await
    }

    pub(crate) async fn redis(ttl_secs: u64) -> Self {
        Self::open(Home::redis(), ttl_secs).await
    }

    /// Opens what is at `home`, and waits until it is ready.
    pub(crate) async fn open(home: Home, ttl_secs: u64) -> Self {
        Self::open_bounded(home, ttl_secs, Bounds::default()).await
    }

    pub(crate) async fn open_bounded(home: Home, ttl_secs: u64, bounds: Bounds) -> Self {
        let ttl = PeerTtl::from_secs(ttl_secs);
        let registry: Arc<dyn Registry> = match &home {
            Home::Embedded(dir) => {
                Arc::new(EmbeddedRegistry::open(dir.path(), ttl, bounds).expect("a store"))
            }
            home => Arc::new(RedisRegistry::open(&home.url(), ttl, bounds).expect("a store")),
        };
        let store = Self { registry, home };
        eventually("ready", || async { store.registry.ready().is_ok() }).await;
        store
    }

    /// Ends it and opens it again.
    pub(crate) async fn reopen(self, ttl_secs: u64) -> Self {
        let Self { registry, home } = self;
        registry.close().await;
        drop(registry);
        Self::open(home, ttl_secs).await
    }

    /// A legacy peer publishes a file.
    pub(crate) async fn add(&self, caller: &str, file: &str, hash: &str) {
        assert_eq!(self.publish(&legacy(caller), &[entry(file, hash)]).await, [Verdict::Listed]);
    }

    pub(crate) async fn publish(&self, publisher: &Publisher, entries: &[Entry]) -> Vec<Verdict> {
        self.registry.publish(publisher, entries).await.expect("published")
    }

    pub(crate) async fn remove(&self, of: &str, file: &str) {
        self.unpublish(peer(of).into(), &[file]).await;
    }

    pub(crate) async fn unpublish(&self, owner: Owner, files: &[&str]) {
        let files: Vec<FileName> = files.iter().map(|file| file.parse().unwrap()).collect();
        self.registry.unpublish(owner, &files).await.expect("withdrawn");
    }

    pub(crate) async fn remove_peer(&self, of: &str) {
        self.unpublish_all(peer(of).into()).await;
    }

    pub(crate) async fn unpublish_all(&self, owner: Owner) {
        self.registry.unpublish_all(owner).await.expect("withdrawn");
    }

    pub(crate) async fn heartbeat(&self, publisher: &Publisher) -> bool {
        self.registry.heartbeat(publisher).await.expect("heard")
    }

    /// The addresses of a file, asked for by somebody who is none.
    pub(crate) async fn peers(&self, file: &str) -> BTreeSet<String> {
        self.peers_for(STRANGER, file, 100).await.expect("peers")
    }

    pub(crate) async fn peers_for(
        &self,
        caller: &str,
        file: &str,
        limit: usize,
    ) -> Result<BTreeSet<String>, RegistryError> {
        let peers = self.registry.addresses(peer(caller), &file.parse().unwrap(), limit).await?;
        assert!(peers.len() <= limit);
        let unique: BTreeSet<String> = peers.iter().map(Peer::to_string).collect();
        assert_eq!(unique.len(), peers.len(), "no peer twice");
        Ok(unique)
    }

    /// All holders of a file, in order of owner.
    pub(crate) async fn holders(&self, file: &str) -> Vec<Holder> {
        self.ask(STRANGER, &ask(file)).await.holders
    }

    pub(crate) async fn owners(&self, file: &str) -> BTreeSet<Owner> {
        self.holders(file).await.into_iter().map(|holder| holder.owner).collect()
    }

    pub(crate) async fn ask(&self, caller: &str, query: &HoldersQuery) -> Holders {
        let mut answers =
            self.registry.holders(peer(caller), std::slice::from_ref(query)).await.expect("holders");
        assert_eq!(answers.len(), 1);
        let mut answer = answers.pop().unwrap();
        assert!(answer.holders.len() <= query.limit);
        answer.holders.sort_unstable_by_key(|holder| holder.owner);
        assert!(answer.holders.is_sorted_by(|a, b| a.owner < b.owner), "no owner twice");
        answer
    }

    /// All names that start with `prefix`, page after page.
    pub(crate) async fn files(&self, prefix: &str, limit: usize) -> Vec<String> {
        self.listing(STRANGER, prefix, limit).await.into_iter().map(|file| file.name).collect()
    }

    pub(crate) async fn listing(&self, caller: &str, prefix: &str, limit: usize) -> Vec<ListedFile> {
        let mut query = FilesQuery { prefix: prefix.to_owned(), after: None, limit };
        let mut files = Vec::new();
        loop {
            let page = self.registry.files(peer(caller), &query).await.expect("files");
            assert!(page.files.len() <= limit);
            files.extend(page.files);
            if !page.more {
                return files;
            }
            query.after = page.last;
        }
    }

    pub(crate) async fn report(&self, reporter: &str, subject: Owner, file: Option<&str>) {
        self.registry.report(&report(reporter, subject, file)).await.expect("reported");
    }

    /// Three reports from networks of their own, of which each is still seen before.
    pub(crate) async fn withhold(&self, subject: Owner, file: Option<&str>) {
        for reporter in ["198.51.100.1", "203.0.113.250", "2001:db8:77::1"] {
            self.report(reporter, subject, file).await;
        }
    }

    pub(crate) async fn first_use(&self, token: u8, secs: u32) -> bool {
        self.registry.first_use([token; 32], secs).await.expect("a token")
    }

    /// All that is exported, in the order in which it came.
    pub(crate) async fn export(&self) -> Vec<Record> {
        let (sender, mut receiver) = mpsc::channel(7);
        let registry = Arc::clone(&self.registry);
        let task = tokio::spawn(async move { registry.export(sender).await });
        let mut records = Vec::new();
        while let Some(record) = receiver.recv().await {
            records.push(record);
        }
        task.await.expect("no panic").expect("exported");
        records
    }

    /// Sweeps until nothing is left to do; gives how many mappings went.
    pub(crate) async fn sweep(&self) -> usize {
        let mut mappings = 0;
        loop {
            let swept = self.registry.sweep().await.expect("swept");
            mappings += swept.mappings;
            if !swept.more {
                return mappings;
            }
        }
    }
}

pub(crate) fn peer(text: &str) -> Peer {
    text.parse().unwrap()
}

/// The owner of a key. Any 32 bytes do.
pub(crate) fn key(byte: u8) -> Owner {
    PeerId::from_bytes([byte; PeerId::BYTES]).into()
}

pub(crate) fn legacy(address: &str) -> Publisher {
    Publisher::legacy(peer(address))
}

/// A peer with a key, at an address.
pub(crate) fn keyed(byte: u8, address: &str) -> Publisher {
    Publisher { owner: key(byte), address: peer(address), port: None, ttl_secs: None }
}

pub(crate) fn entry(file: &str, hash: &str) -> Entry {
    Entry { file: file.parse().unwrap(), hash: hash.parse().unwrap(), size: None }
}

/// Asks for all holders of a file.
pub(crate) fn ask(file: &str) -> HoldersQuery {
    HoldersQuery { file: file.parse().unwrap(), hash: None, limit: 200, exclude: Vec::new() }
}

pub(crate) fn report(reporter: &str, subject: Owner, file: Option<&str>) -> Report {
    let file = file.map(|file| file.parse().unwrap());
    Report { reporter: peer(reporter), subject, file, decisive: false }
}

pub(crate) fn set<const N: usize>(items: [&str; N]) -> BTreeSet<String> {
    items.into_iter().map(str::to_owned).collect()
}

/// Asks until it holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
