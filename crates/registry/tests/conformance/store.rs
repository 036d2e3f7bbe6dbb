//! A store for one test, and short words to ask it with.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use black_box::redis::RedisServer;
use peer_core::Peer;
use registry::{EmbeddedRegistry, FilesQuery, PeerTtl, RedisRegistry, Registry, RegistryError};
use tempfile::TempDir;

/// The longest that a condition may take on a loaded machine, in time.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the store keeps its data; gone with the test.
pub(crate) enum Home {
    Embedded(TempDir),
    Redis(RedisServer),
}

/// A store under test.
pub(crate) struct Store {
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) home: Home,
}

impl Store {
    pub(crate) async fn embedded(ttl_secs: u64) -> Self {
        Self::open(Home::Embedded(tempfile::tempdir().expect("a temporary folder")), ttl_secs).await
    }

    pub(crate) async fn redis(ttl_secs: u64) -> Self {
        Self::open(Home::Redis(RedisServer::start_new()), ttl_secs).await
    }

    /// Opens what is at `home`, and waits until it is ready.
    pub(crate) async fn open(home: Home, ttl_secs: u64) -> Self {
        let ttl = PeerTtl::from_secs(ttl_secs);
        let registry: Arc<dyn Registry> = match &home {
            Home::Embedded(dir) => Arc::new(EmbeddedRegistry::open(dir.path(), ttl).expect("a store")),
            Home::Redis(server) => Arc::new(RedisRegistry::open(&server.url(), ttl).expect("a store")),
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

    pub(crate) async fn add(&self, caller: &str, file: &str, hash: &str) {
        self.registry.add(peer(caller), &file.parse().unwrap(), &hash.parse().unwrap()).await.expect("added");
    }

    pub(crate) async fn remove(&self, of: &str, file: &str) {
        self.registry.remove(peer("192.0.2.99"), peer(of), &file.parse().unwrap()).await.expect("removed");
    }

    pub(crate) async fn remove_peer(&self, of: &str) {
        self.registry.remove_peer(peer("192.0.2.99"), peer(of)).await.expect("removed");
    }

    /// The peers of a file, asked for by somebody who is none.
    pub(crate) async fn peers(&self, file: &str) -> BTreeSet<String> {
        self.peers_for("192.0.2.99", file, 100).await.expect("peers")
    }

    pub(crate) async fn peers_for(
        &self,
        caller: &str,
        file: &str,
        limit: usize,
    ) -> Result<BTreeSet<String>, RegistryError> {
        let peers = self.registry.peers(peer(caller), &file.parse().unwrap(), limit).await?;
        assert!(peers.len() <= limit);
        let unique: BTreeSet<String> = peers.iter().map(Peer::to_string).collect();
        assert_eq!(unique.len(), peers.len(), "no peer twice");
        Ok(unique)
    }

    /// All names that start with `prefix`, page after page.
    pub(crate) async fn files(&self, prefix: &str, limit: usize) -> Vec<String> {
        let mut query = FilesQuery { prefix: prefix.to_owned(), after: None, limit };
        let mut files = Vec::new();
        loop {
            let page = self.registry.files(peer("192.0.2.99"), &query).await.expect("files");
            assert!(page.files.len() <= limit);
            files.extend(page.files);
            if !page.more {
                return files;
            }
            query.after = page.last;
        }
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
