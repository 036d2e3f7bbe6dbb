use async_trait::async_trait;
use deadpool_redis::redis::{Pipeline, pipe};
use peer_core::keys;
use peer_core::{ContentHash, FileName, Peer};

use super::commands;
use super::link::Link;
use super::ttl::Ttls;
use crate::{FilePage, FilesQuery, PeerTtl, Registry, RegistryError, Swept};

/// How often a publish of a peer that had died is tried, in tries: once to learn it, once after it was forgotten,
/// and once more should it die again between.
const ADD_TRIES: usize = 3;
/// Files of a dead peer that are dropped in one round trip, in files: short enough not to delay the requests
/// that share the connection.
const FORGET_BATCH: usize = 100;
/// Peers of a file that the listing looks at to find a living one, in peers.
const LISTING_SAMPLE: usize = 16;

/// The registry in Redis.
pub struct RedisRegistry {
    pub(super) link: Link,
    pub(super) ttls: Ttls,
}

impl RedisRegistry {
    /// Says what is wrong with a URL of Redis, without naming it: it may hold a password.
    pub fn check_url(url: &str) -> Result<(), String> {
        Link::check_url(url)
    }

    /// Opens the store at `url`. Redis need not be there yet: until it is, every method says so. To be called
    /// on the runtime that lives as long as the process.
    pub fn open(url: &str, ttl: PeerTtl) -> Result<Self, RegistryError> {
        let ttls = Ttls::new(ttl);
        Ok(Self { link: Link::open(url, ttls)?, ttls })
    }

    /// Drops all mappings of a peer that is dead. Stops by itself when the peer comes back to life. What is cut off on
    /// the way can be done again: a name leaves the peer's index after its mapping is gone.
    pub(super) async fn forget(&self, peer: Peer) -> Result<usize, RegistryError> {
        let scripts = self.link.scripts();
        let (seen, files) = (keys::peer_seen(peer), keys::peer_files(peer));
        let mut forgotten = 0;
        loop {
            let mut doomed = pipe();
            doomed.invoke_script(scripts.doomed.key(&seen).key(&files).arg(FORGET_BATCH));
            let (answer,): (Vec<String>,) = self.link.query(&doomed).await?;
            let Some((read_us, names)) = answer.split_first() else { return Ok(forgotten) };
            if names.is_empty() {
                return Ok(forgotten);
            }
            self.drop_mappings(peer, names, read_us).await?;
            let mut dropped = pipe();
            dropped.invoke_script(scripts.dropped.key(&seen).key(&files).arg(names)).ignore();
            let () = self.link.query(&dropped).await?;
            forgotten += names.len();
        }
    }

    async fn drop_mappings(&self, peer: Peer, names: &[String], until_us: &str) -> Result<(), RegistryError> {
        // What is in the index was a file name when it was put there.
        let files: Vec<FileName> = names.iter().filter_map(|name| name.parse().ok()).collect();
        let mut drops = pipe();
        for file in &files {
            commands::drop_mapping(&mut drops, self.link.scripts(), peer, file, until_us);
        }
        let left: Vec<i64> = self.link.query(&drops).await?;
        let last = files.iter().zip(left).filter(|(_, left)| *left == 0).map(|(file, _)| file);
        self.unlist(last).await
    }

    /// Takes files that lost their last peer out of the listing.
    async fn unlist(&self, files: impl Iterator<Item = &FileName>) -> Result<(), RegistryError> {
        let mut unlist = pipe();
        for file in files {
            commands::unlist(&mut unlist, self.link.scripts(), file);
        }
        if unlist.is_empty() {
            return Ok(());
        }
        self.link.query(&unlist).await
    }

    /// At most `limit` names and one more, over all shards, in order.
    async fn names(&self, query: &FilesQuery) -> Result<Vec<String>, RegistryError> {
        let from = match &query.after {
            Some(after) if *after >= query.prefix => format!("({after}"),
            _ => format!("[{}", query.prefix),
        };
        // No name has the byte 0xff, so that this is behind all that start with the prefix.
        let mut to = format!("({}", query.prefix).into_bytes();
        to.push(0xff);
        let mut ranges = pipe();
        for shard in 0..keys::SHARDS {
            ranges.cmd("ZRANGE").arg(keys::names(shard)).arg(&from).arg(&to).arg("BYLEX");
            ranges.arg("LIMIT").arg(0).arg(query.limit + 1);
        }
        let shards: Vec<Vec<String>> = self.link.query(&ranges).await?;
        let mut names: Vec<String> = shards.into_iter().flatten().collect();
        names.sort_unstable();
        names.truncate(query.limit + 1);
        Ok(names)
    }

    fn transaction() -> Pipeline {
        let mut pipe = pipe();
        pipe.atomic();
        pipe
    }
}

#[async_trait]
impl Registry for RedisRegistry {
    async fn add(&self, caller: Peer, file: &FileName, hash: &ContentHash) -> Result<(), RegistryError> {
        let mut add = Self::transaction();
        commands::add(&mut add, self.link.scripts(), self.ttls, caller, file, hash);
        for _ in 0..ADD_TRIES {
            let (done,): (i64,) = self.link.query(&add).await?;
            match done {
                1 => return Ok(()),
                -1 => {
                    // The file's part of the publish was done.
                    self.remove(caller, caller, file).await?;
                    return Err(RegistryError::TooManyFiles);
                }
                _ => self.forget(caller).await?,
            };
        }
        Err(RegistryError::Unavailable("the peer dies faster than it can publish".to_owned()))
    }

    async fn remove(&self, caller: Peer, peer: Peer, file: &FileName) -> Result<(), RegistryError> {
        let mut remove = Self::transaction();
        commands::remove(&mut remove, self.link.scripts(), peer, file);
        commands::touch(&mut remove, self.link.scripts(), self.ttls, caller);
        let (left,): (i64,) = self.link.query(&remove).await?;
        self.unlist((left == 0).then_some(file).into_iter()).await
    }

    async fn remove_peer(&self, caller: Peer, peer: Peer) -> Result<(), RegistryError> {
        let mut die = Self::transaction();
        // Dead from here on, for all readers; what follows only clears up, and the sweep does it when we are cut off.
        die.del(keys::peer_seen(peer)).ignore();
        commands::make_due(&mut die, peer);
        commands::touch(&mut die, self.link.scripts(), self.ttls, caller);
        let () = self.link.query(&die).await?;
        self.bury(peer).await.map(|_| ())
    }

    async fn peers(&self, caller: Peer, file: &FileName, limit: usize) -> Result<Vec<Peer>, RegistryError> {
        let mut read = pipe();
        commands::peers(&mut read, self.link.scripts(), file, limit);
        commands::touch(&mut read, self.link.scripts(), self.ttls, caller);
        let (peers,): (Vec<String>,) = self.link.query(&read).await?;
        Ok(peers.iter().filter_map(|peer| peer.parse().ok()).collect())
    }

    async fn files(&self, caller: Peer, query: &FilesQuery) -> Result<FilePage, RegistryError> {
        let mut names = self.names(query).await?;
        let more = names.len() > query.limit;
        names.truncate(query.limit);
        let last = names.last().cloned();
        let files: Vec<FileName> = names.iter().filter_map(|name| name.parse().ok()).collect();
        let mut read = pipe();
        for file in &files {
            commands::peers(&mut read, self.link.scripts(), file, LISTING_SAMPLE);
        }
        commands::touch(&mut read, self.link.scripts(), self.ttls, caller);
        let living: Vec<Vec<String>> = self.link.query(&read).await?;
        let (shown, dead): (Vec<_>, Vec<_>) =
            files.iter().zip(living).partition(|(_, peers)| !peers.is_empty());
        // Names whose indexes expired while no tracker ran are found by nobody else.
        self.unlist(dead.into_iter().map(|(file, _)| file)).await?;
        let files = shown.into_iter().map(|(file, _)| file.to_string()).collect();
        Ok(FilePage { files, last, more })
    }

    async fn sweep(&self) -> Result<Swept, RegistryError> {
        self.sweep_due().await
    }

    fn ready(&self) -> Result<(), RegistryError> {
        self.link.connection().map(|_| ())
    }

    async fn close(&self) {
        self.link.close();
    }
}
