//! Where peers and files are kept: one trait, two stores that promise the same.
//!
//! * [`EmbeddedRegistry`]: in memory for reads, on disk for crashes, one process, nothing else to install.
//! * [`RedisRegistry`]: in Redis, for any number of trackers.
//!
//! [`nodes`] and [`NodesConnection`] are for matchmakers that meet over the same Redis.
//!
//! Both pass one conformance suite. Only the Redis store knows of Redis, only the embedded one of a disk.

mod contract;
mod durations;
mod embedded;
pub mod nodes;
mod redis;

use std::sync::Arc;

use async_trait::async_trait;
use peer_core::{FileName, Owner, Peer};
use tokio::sync::mpsc;

pub use contract::{
    Bounds, Entry, FilePage, FilesQuery, Holder, Holders, HoldersQuery, ListedFile, PeerTtl, Publisher,
    Record, Report, Stats, Swept, Verdict,
};
pub use durations::{DurationCounts, Durations};
pub use embedded::EmbeddedRegistry;
pub use redis::{NodeMessages, NodesConnection, RedisRegistry};

/// Why a registry cannot answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The store cannot be reached, or cannot keep up, now. Asking again later helps.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The store cannot be opened with these settings, or is broken. Asking again does not help.
    #[error("{0}")]
    Broken(String),
}

/// Who has what.
///
/// A mapping says that a peer has a file, and with which content hash; it belongs to an [`Owner`]. A peer is alive from
/// its last publish or sign of life for its time to live, which is at most that of the registry. Only
/// [`Registry::publish`] brings a dead peer back, and then without what it had before. The dead are never handed out,
/// whether a sweep runs or not.
///
/// A method that names a `caller` counts as a sign of life of the peer at that address, when it is alive; to be heard
/// again within a sixteenth of its time to live, and at most ten seconds, need not be taken note of.
///
/// What [`Registry::publish`], [`Registry::unpublish`] and [`Registry::unpublish_all`] acknowledged survives a crash of
/// any process, bounded by one second of unsynced writes; so does what [`Registry::first_use`] was told. Reports live as long
/// as the store does, and the embedded one forgets them with its process.
#[async_trait]
pub trait Registry: Send + Sync {
    /// The publisher has these files, up to [`peer_core::limits::PUBLISH_MAX`] of them. The newest hash of an owner
    /// counts. Gives a verdict for each, in order. It is a sign of life, also when all are refused: the address, port and time
    /// to live of the peer are from now on those of the publisher.
    async fn publish(&self, publisher: &Publisher, entries: &[Entry]) -> Result<Vec<Verdict>, RegistryError>;

    /// `owner` has these files no more; a sign of life. Nothing happens for those that it had not.
    async fn unpublish(&self, owner: Owner, files: &[FileName]) -> Result<(), RegistryError>;

    /// `owner` has no file any more.
    async fn unpublish_all(&self, owner: Owner) -> Result<(), RegistryError>;

    /// A sign of life in O(1), whatever the number of files, from where the publisher is now; its `ttl_secs` counts where
    /// given. Brings back what was withheld, when its wait is over. False when the peer is not alive: it has to publish.
    async fn heartbeat(&self, publisher: &Publisher) -> Result<bool, RegistryError>;

    /// At most `limit` addresses of living peers that have `file` and that `caller` has not reported: all of them
    /// where there are no more, else a sample from a varied start. No address twice.
    async fn addresses(
        &self,
        caller: Peer,
        file: &FileName,
        limit: usize,
    ) -> Result<Vec<Peer>, RegistryError>;

    /// The same with what is known of each peer, for each query; without the peers at the address of `caller`
    /// itself that have no id.
    async fn holders(&self, caller: Peer, queries: &[HoldersQuery]) -> Result<Vec<Holders>, RegistryError>;

    /// The files that living peers have, a page in order of name.
    async fn files(&self, caller: Peer, query: &FilesQuery) -> Result<FilePage, RegistryError>;

    /// Takes a report, which is a sign of life of the reporter. The subject is hidden from the reporter at once, for [`peer_core::limits::REPORT_SECS`]; a subject that is an
    /// address with all peers at it. It is withheld from everybody when reports of
    /// [`peer_core::limits::REPORTERS_TO_WITHHOLD`] different networks came within that time, or one that is decisive. A publish
    /// or heartbeat of the subject brings it back: at once the first time, after
    /// [`peer_core::limits::WITHHELD_WAIT_SECS`] the second, and twice as long each further time.
    async fn report(&self, report: &Report) -> Result<(), RegistryError>;

    /// How much there is.
    async fn stats(&self) -> Result<Stats, RegistryError>;

    /// Whether `token` is seen for the first time in `secs` seconds. Signatures serve once by it, also after a restart; of
    /// a crash, those of the last second may serve once more. Unavailable when more tokens than can be remembered
    /// came within their time: none is forgotten before that.
    async fn first_use(&self, token: [u8; 32], secs: u32) -> Result<bool, RegistryError>;

    /// Sends every mapping of a living peer to `out`, in order of file name, and ends when all were or when nobody listens.
    async fn export(&self, out: mpsc::Sender<Record>) -> Result<(), RegistryError>;

    /// Takes mappings over, with their signs of life where those are newer; up to [`peer_core::limits::PUBLISH_MAX`] at
    /// once. Gives how many it took: not those of peers that died meanwhile, nor those above a limit.
    async fn import(&self, records: &[Record]) -> Result<usize, RegistryError>;

    /// Takes away some of what is dead; bounded, so that it can be called while requests are served. Nothing
    /// that a method promises depends on it, memory does.
    async fn sweep(&self) -> Result<Swept, RegistryError>;

    /// How long the store took: round trips to Redis that were answered, or groups of changes until the disk had them.
    fn durations(&self) -> Arc<Durations>;

    /// Whether requests would be answered now.
    fn ready(&self) -> Result<(), RegistryError>;

    /// Writes everything to disk and lets go of it. Later calls are refused.
    async fn close(&self);
}
