use std::sync::Arc;

use async_trait::async_trait;
use deadpool_redis::redis::{Value, pipe};
use peer_core::{FileName, Owner, Peer, PeerId, keys};
use tokio::sync::mpsc;

use super::endpoint::Endpoint;
use super::hidden::HiddenOf;
use super::hot::HotFiles;
use super::link::Link;
use super::online::Matchmakers;
use super::presence::Presences;
use super::publish::Rules;
use super::read::read;
use super::recent::Recent;
use super::ttl::Ttls;
use super::write::Ttl;
use crate::{
    Bounds, Durations, Entry, FilePage, FilesQuery, Holders, HoldersQuery, PeerTtl, Publisher, Record,
    Registry, RegistryError, Report, Stats, Swept, Verdict,
};

/// The registry in Redis.
pub struct RedisRegistry {
    pub(super) link: Arc<Link>,
    pub(super) ttls: Ttls,
    /// Callers whose sign of life need not be noted now: it was lately, or they are no peers.
    pub(super) touched: Recent,
    pub(super) presences: Presences,
    pub(super) hot: HotFiles,
    pub(super) hidden: HiddenOf,
    pub(super) matchmakers: Matchmakers,
}

impl RedisRegistry {
    /// Says what is wrong with a URL of Redis, without naming it: it may hold a password.
    pub fn check_url(url: &str) -> Result<(), String> {
        Endpoint::parse(url).map(|_| ())
    }

    /// Opens the store at `url`. Redis need not be there yet: until it is, every method says so. To be called
    /// on the runtime that lives as long as the process.
    pub fn open(url: &str, ttl: PeerTtl, bounds: Bounds) -> Result<Self, RegistryError> {
        let ttls = Ttls::new(ttl);
        Ok(Self {
            link: Arc::new(Link::open(url, Rules { ttls, bounds })?),
            ttls,
            touched: Recent::new(),
            presences: Presences::new(),
            hot: HotFiles::new(),
            hidden: HiddenOf::new(),
            matchmakers: Matchmakers::default(),
        })
    }

    async fn count(&self) -> Result<Stats, RegistryError> {
        let shards = usize::from(keys::SHARDS);
        let mut counts = pipe();
        for shard in 0..keys::SHARDS {
            counts.zcard(keys::due(shard)).zcard(keys::names(shard)).get(keys::mappings(shard));
        }
        let answers: Vec<Value> = self.link.query(&counts).await?;
        let mut stats = Stats::default();
        let mut answers = answers.into_iter();
        for _ in 0..shards {
            let mut next = || read::<Option<i64>>(answers.next().unwrap_or_default());
            let (peers, files, mappings) = (next()?, next()?, next()?);
            let count = |number: Option<i64>| u64::try_from(number.unwrap_or(0)).unwrap_or(0);
            stats.peers += count(peers);
            stats.files += count(files);
            stats.mappings += count(mappings);
        }
        Ok(stats)
    }
}

#[async_trait]
impl Registry for RedisRegistry {
    async fn publish(&self, publisher: &Publisher, entries: &[Entry]) -> Result<Vec<Verdict>, RegistryError> {
        self.publish_entries(publisher, entries).await
    }

    async fn unpublish(&self, owner: Owner, files: &[FileName]) -> Result<(), RegistryError> {
        self.remove(owner, files).await
    }

    async fn unpublish_all(&self, owner: Owner) -> Result<(), RegistryError> {
        self.leave(owner).await
    }

    async fn heartbeat(&self, publisher: &Publisher) -> Result<bool, RegistryError> {
        self.beat(publisher, Ttl::Kept).await
    }

    async fn addresses(
        &self,
        caller: Peer,
        file: &FileName,
        limit: usize,
    ) -> Result<Vec<Peer>, RegistryError> {
        self.read_addresses(caller, file, limit).await
    }

    async fn holders(&self, caller: Peer, queries: &[HoldersQuery]) -> Result<Vec<Holders>, RegistryError> {
        self.read_holders(caller, queries).await
    }

    async fn files(&self, caller: Peer, query: &FilesQuery) -> Result<FilePage, RegistryError> {
        self.read_files(caller, query).await
    }

    async fn report(&self, report: &Report) -> Result<(), RegistryError> {
        self.take_report(report).await
    }

    async fn stats(&self) -> Result<Stats, RegistryError> {
        self.count().await
    }

    async fn first_use(&self, token: [u8; 32], secs: u32) -> Result<bool, RegistryError> {
        // The form of an id is short text for 32 bytes.
        let key = keys::used(PeerId::from_bytes(token));
        let mut set = pipe();
        set.cmd("SET").arg(key).arg(1).arg("NX").arg("EX").arg(secs.max(1));
        let (first,): (Option<String>,) = self.link.query(&set).await?;
        Ok(first.is_some())
    }

    async fn export(&self, out: mpsc::Sender<Record>) -> Result<(), RegistryError> {
        self.export_to(out).await
    }

    async fn import(&self, records: &[Record]) -> Result<usize, RegistryError> {
        self.import_records(records).await
    }

    async fn sweep(&self) -> Result<Swept, RegistryError> {
        self.sweep_due().await
    }

    fn durations(&self) -> Arc<Durations> {
        self.link.durations()
    }

    fn ready(&self) -> Result<(), RegistryError> {
        self.link.ready()
    }

    async fn close(&self) {
        self.link.close();
    }
}
