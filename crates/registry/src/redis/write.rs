//! What peers change themselves besides publishing: take over an address, unpublish, heartbeat.

use deadpool_redis::redis::{Pipeline, pipe};
use peer_core::keys::{self, Expiry};
use peer_core::limits::WITHHELD_WAIT_SECS;
use peer_core::{FileName, Owner, Peer};

use super::RedisRegistry;
use super::publish::{address, asked, port};
use super::scripts::call;
use crate::{Publisher, RegistryError};

/// Mappings that go in one round trip, in mappings: about 2 ms of Redis.
const REMOVE_BATCH: usize = 200;
/// Files that one heartbeat brings back, in files; the next one goes on.
const RESTORE_BATCH: usize = 100;
/// Peers with an id that are remembered at one address, in peers; the oldest go first.
const IDS_AT_ADDRESS: isize = 1_024;

/// How `heartbeat.lua` is told that a time to live stays what it was.
const AS_BEFORE: &str = "=";

/// What a sign of life that names no time to live does to the one that the peer asked for before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ttl {
    /// It stays.
    Kept,
    /// It is that of the registry again.
    Anew,
}

impl RedisRegistry {
    /// A peer came to life, or is somewhere else or otherwise than before.
    pub(super) async fn moved(&self, publisher: &Publisher) -> Result<(), RegistryError> {
        self.changed(publisher.owner);
        let Owner::Key(id) = publisher.owner else { return Ok(()) };
        let key = keys::ids_at(publisher.address);
        let mut remember = pipe();
        remember.zadd(&key, id.to_string(), self.link.clock().redis_ms()).ignore();
        remember.zremrangebyrank(&key, 0, -1 - IDS_AT_ADDRESS).ignore();
        self.expire_into(&mut remember, &key);
        self.link.query(&remember).await
    }

    /// What this process knows of a peer is not true any more, whatever file it is asked for.
    pub(super) fn changed(&self, owner: Owner) {
        self.presences.forget(owner);
        self.hot.all_changed();
    }

    /// Gives an index its whole time to live.
    pub(super) fn expire_into(&self, pipe: &mut Pipeline, key: &str) {
        match self.ttls.of(Expiry::Index) {
            0 => pipe.cmd("PERSIST").arg(key).ignore(),
            ttl_ms => pipe.cmd("PEXPIRE").arg(key).arg(ttl_ms).ignore(),
        };
    }

    pub(super) async fn remove(&self, owner: Owner, files: &[FileName]) -> Result<(), RegistryError> {
        for batch in files.chunks(REMOVE_BATCH) {
            if self.link.is_cluster() {
                self.remove_spread(owner, batch).await?;
            }
            let mut remove = pipe();
            for file in batch.iter().filter(|_| !self.link.is_cluster()) {
                let keys = [
                    keys::peer_files(owner),
                    keys::peer_withheld(owner),
                    keys::due_of(owner),
                    keys::mappings_of(owner),
                    keys::file_hashes(file),
                    keys::file_withheld(file),
                    keys::names_of(file),
                    keys::peer_seen(owner),
                ];
                call(&mut remove, &self.link.scripts().unpublish, &keys.each_ref().map(String::as_str))
                    .arg(owner.to_string())
                    .arg(file.as_str())
                    .ignore();
            }
            call(&mut remove, &self.link.scripts().touch, &[&keys::peer_seen(owner)])
                .arg(self.ttls.of(Expiry::Peer))
                .ignore();
            let removed: Result<(), RegistryError> = self.link.query(&remove).await;
            for file in batch {
                self.hot.changed(file);
            }
            self.presences.renew(owner);
            removed?;
        }
        Ok(())
    }

    /// A sign of life from where the peer is now. False when it is dead.
    pub(super) async fn beat(&self, publisher: &Publisher, ttl: Ttl) -> Result<bool, RegistryError> {
        let owner = publisher.owner;
        let keys = [keys::peer_seen(owner), keys::peer_withheld(owner), keys::peer_strikes(owner)];
        let mut beat = pipe();
        call(&mut beat, &self.link.scripts().heartbeat, &keys.each_ref().map(String::as_str))
            .arg(self.ttls.of(Expiry::Peer))
            .arg(match (ttl, publisher.ttl_secs) {
                (Ttl::Kept, None) => AS_BEFORE.to_owned(),
                _ => asked(publisher),
            })
            .arg(address(publisher))
            .arg(port(publisher))
            .arg(WITHHELD_WAIT_SECS * 1_000)
            .arg(self.ttls.of(Expiry::Strikes))
            .arg(RESTORE_BATCH);
        let answer: Result<(Vec<String>,), RegistryError> = self.link.query(&beat).await;
        self.presences.renew(owner);
        let (answer,) = answer.inspect_err(|_| self.changed(owner))?;
        let mut answer = answer.iter().map(String::as_str);
        if answer.next() != Some("1") {
            return Ok(false);
        }
        if answer.next() == Some("1") {
            self.moved(publisher).await?;
        }
        let withheld: Vec<FileName> = answer.filter_map(|name| name.parse().ok()).collect();
        self.restore(owner, &withheld).await?;
        Ok(true)
    }

    async fn restore(&self, owner: Owner, files: &[FileName]) -> Result<(), RegistryError> {
        if files.is_empty() {
            return Ok(());
        }
        if self.link.is_cluster() {
            return self.restore_spread(owner, files).await;
        }
        let mut restore = pipe();
        for file in files {
            let keys = [
                keys::peer_seen(owner),
                keys::peer_withheld(owner),
                keys::peer_strikes(owner),
                keys::file_hashes(file),
                keys::file_withheld(file),
            ];
            call(&mut restore, &self.link.scripts().restore, &keys.each_ref().map(String::as_str))
                .arg(owner.to_string())
                .arg(file.as_str())
                .arg(self.ttls.of(Expiry::Index))
                .arg(WITHHELD_WAIT_SECS * 1_000)
                .arg(self.ttls.of(Expiry::Strikes))
                .ignore();
        }
        let restored = self.link.query(&restore).await;
        for file in files {
            self.hot.changed(file);
        }
        restored
    }

    /// Peers with an id that were heard at `address` lately; they may be elsewhere by now, or dead.
    pub(super) async fn ids_at(&self, address: Peer, most: isize) -> Result<Vec<Owner>, RegistryError> {
        let mut read = pipe();
        read.zrevrange(keys::ids_at(address), 0, most.saturating_sub(1));
        let (ids,): (Vec<String>,) = self.link.query(&read).await?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }
}
