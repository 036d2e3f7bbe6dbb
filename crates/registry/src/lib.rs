//! Where peers and files are kept: one trait, two stores that promise the same.
//!
//! * [`EmbeddedRegistry`]: in memory for reads, on disk for crashes, one process, nothing else to install.
//! * [`RedisRegistry`]: in Redis, for any number of trackers.
//!
//! Both pass one conformance suite. Only the Redis store knows of Redis, only the embedded one of a disk.

mod embedded;
mod redis;

use std::time::Duration;

use async_trait::async_trait;
use peer_core::limits::FILES_PER_PEER_MAX;
use peer_core::{ContentHash, FileName, Peer};

pub use embedded::EmbeddedRegistry;
pub use redis::RedisRegistry;

/// Why a registry cannot answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The store cannot be reached, or cannot keep up, now. Asking again later helps.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The peer has [`peer_core::limits::FILES_PER_PEER_MAX`] files already.
    #[error("a peer has at most {FILES_PER_PEER_MAX} files")]
    TooManyFiles,
    /// The store cannot be opened with these settings, or is broken. Asking again does not help.
    #[error("{0}")]
    Broken(String),
}

/// Which names [`Registry::files`] lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilesQuery {
    /// Only names that start with this; empty for all.
    pub prefix: String,
    /// Only names after this one, in order of bytes.
    pub after: Option<String>,
    /// At most as many names.
    pub limit: usize,
}

/// A page of names in order of bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilePage {
    /// The names that a living peer has; at times fewer than the limit even where more follow.
    pub files: Vec<String>,
    /// The last name that was looked at, from which the next page goes on.
    pub last: Option<String>,
    /// Whether names may follow.
    pub more: bool,
}

/// What a step of the sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Dead peers that were taken away whole.
    pub peers: usize,
    /// Mappings that were taken away.
    pub mappings: usize,
    /// Whether more is due at once.
    pub more: bool,
}

/// Who has what.
///
/// A mapping says that a peer has a file, and with which content hash. A peer is alive from its last publish or
/// sign of life for the time to live that the registry was opened with. Each method that names a `caller` counts
/// as a sign of life of it when it is alive; only [`Registry::add`] brings a dead peer back, and then without what
/// it had before.
///
/// What a method acknowledged survives a crash of any process, bounded by one second of unsynced writes.
#[async_trait]
pub trait Registry: Send + Sync {
    /// The caller has `file` with the content `hash`. The newest hash of a caller counts.
    async fn add(&self, caller: Peer, file: &FileName, hash: &ContentHash) -> Result<(), RegistryError>;

    /// `peer` has `file` no more. Nothing happens where it had not.
    async fn remove(&self, caller: Peer, peer: Peer, file: &FileName) -> Result<(), RegistryError>;

    /// `peer` has no file any more.
    async fn remove_peer(&self, caller: Peer, peer: Peer) -> Result<(), RegistryError>;

    /// At most `limit` living peers that have `file`: all of them where there are no more, else a sample from a
    /// varied start. No peer twice.
    async fn peers(&self, caller: Peer, file: &FileName, limit: usize) -> Result<Vec<Peer>, RegistryError>;

    /// The names that living peers have, a page in order.
    async fn files(&self, caller: Peer, query: &FilesQuery) -> Result<FilePage, RegistryError>;

    /// Takes away some of what is dead; bounded, so that it can be called while requests are served. Nothing
    /// that a method promises depends on it, memory does.
    async fn sweep(&self) -> Result<Swept, RegistryError>;

    /// Whether requests would be answered now.
    fn ready(&self) -> Result<(), RegistryError>;

    /// Writes everything to disk and lets go of it. Later calls are refused.
    async fn close(&self);
}

/// How long a peer lives after its last sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerTtl(Duration);

impl PeerTtl {
    /// From seconds; 0 is for ever.
    pub fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// In milliseconds; 0 is for ever.
    fn as_ms(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}
