//! The sweep: takes away what dead peers left, and renews what living ones have.
//!
//! Each peer stands in a due set, sharded, with the time at which it is to be looked at. A tracker takes a few
//! with a lease, so that any number of trackers share the work and one that dies on the way leaves it to the
//! others. A peer costs a look once in its time to live, however often it is heard of.

use deadpool_redis::redis::pipe;
use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use peer_core::keys::{self, Expiry};
use peer_core::{FileName, Owner};

use super::RedisRegistry;
use super::scripts::call;
use super::spread::{lease, list_into};
use crate::{RegistryError, Swept};

/// How long a tracker has for the peers that it took, in ms.
const LEASE_MS: u64 = 60_000;
/// Peers that are taken from a shard at once, in peers.
const TAKE: usize = 32;
/// Peers that are looked at at the same time, in peers: one whose server is away takes the time-out of a command.
const LOOKS: usize = 8;
/// Files of a living peer that are renewed in one round trip, in files.
const RENEW_BATCH: usize = 100;

impl RedisRegistry {
    pub(super) async fn sweep_due(&self) -> Result<Swept, RegistryError> {
        let mut swept = Swept::default();
        if !self.ttls.peers_die() {
            return Ok(swept);
        }
        let mut failure = None;
        for shards in self.due().await {
            let shards = shards.unwrap_or_else(|error| {
                failure = Some(error);
                Vec::new()
            });
            for due in shards {
                let Some((now_ms, peers)) = due.split_first() else { continue };
                let now_ms: u64 = now_ms.parse().unwrap_or(0);
                swept.more |= peers.len() == TAKE;
                let peers = peers.iter().filter_map(|owner| owner.parse().ok());
                let looks: Vec<_> = peers.map(|owner| self.look_at(owner, now_ms)).collect();
                let mut looks = stream::iter(looks).buffer_unordered(LOOKS);
                while let Some(looked_at) = looks.next().await {
                    match looked_at {
                        Ok(Some(mappings)) => {
                            swept.peers += 1;
                            swept.mappings += mappings;
                        }
                        Ok(None) => {}
                        // Those of other servers are looked at all the same, and this one when its lease is over.
                        Err(error) => failure = Some(error),
                    }
                }
            }
        }
        failure.map_or(Ok(swept), Err)
    }

    /// Some peers of each shard that are due: in one round trip, but on a Cluster each shard for itself, so that a server which is
    /// away holds back only its own.
    async fn due(&self) -> Vec<Result<Vec<Vec<String>>, RegistryError>> {
        let shards: Vec<u16> = (0..keys::SHARDS).collect();
        let together = if self.link.is_cluster() { 1 } else { shards.len() };
        let asking: Vec<_> = shards.chunks(together).map(|shards| self.due_of(shards)).collect();
        join_all(asking).await
    }

    async fn due_of(&self, shards: &[u16]) -> Result<Vec<Vec<String>>, RegistryError> {
        let mut take = pipe();
        for shard in shards {
            call(&mut take, &self.link.scripts().due, &[&keys::due(*shard)]).arg(lease(LEASE_MS)).arg(TAKE);
        }
        self.link.query(&take).await
    }

    /// Gives how many mappings went when the peer was dead.
    async fn look_at(&self, owner: Owner, now_ms: u64) -> Result<Option<usize>, RegistryError> {
        let mut renew = pipe();
        let keys = [keys::peer_seen(owner), keys::peer_files(owner), keys::peer_withheld(owner)];
        call(&mut renew, &self.link.scripts().renew, &keys.each_ref().map(String::as_str))
            .arg(self.ttls.of(Expiry::Index));
        let (left_ms,): (i64,) = self.link.query(&renew).await?;
        if let Ok(left_ms) = u64::try_from(left_ms) {
            self.renew_files(owner).await?;
            self.renew_address(owner).await?;
            self.set_due(owner, now_ms.saturating_add(left_ms)).await?;
            return Ok(None);
        }
        if left_ms == -1 {
            // Published while peers lived for ever. Its life begins to run out now, unless it shows a sign of it.
            let mut expire = pipe();
            expire.cmd("PEXPIRE").arg(keys::peer_seen(owner)).arg(self.ttls.of(Expiry::Peer)).ignore();
            let () = self.link.query(&expire).await?;
            self.set_due(owner, now_ms.saturating_add(self.ttls.of(Expiry::Peer))).await?;
            return Ok(None);
        }
        self.bury(owner).await.map(Some)
    }

    /// Clears up behind a dead peer, and has it looked at no more when that is done. Gives how many mappings went.
    pub(super) async fn bury(&self, owner: Owner) -> Result<usize, RegistryError> {
        let forgotten = self.forget(owner).await?;
        if self.link.is_cluster() {
            self.undue_spread(owner).await?;
            return Ok(forgotten);
        }
        let keys = [keys::due_of(owner), keys::peer_files(owner)];
        let mut undue = pipe();
        // It stays when it published meanwhile.
        call(&mut undue, &self.link.scripts().undue, &keys.each_ref().map(String::as_str))
            .arg(owner.to_string())
            .ignore();
        let () = self.link.query(&undue).await?;
        Ok(forgotten)
    }

    async fn set_due(&self, owner: Owner, at_ms: u64) -> Result<(), RegistryError> {
        let mut set = pipe();
        set.cmd("ZADD").arg(keys::due_of(owner)).arg("XX").arg(at_ms).arg(owner.to_string()).ignore();
        self.link.query(&set).await
    }

    /// Renews the expiry of the files of a living peer, which nobody may have published or asked for in a while.
    async fn renew_files(&self, owner: Owner) -> Result<(), RegistryError> {
        let mut cursor = 0_u64;
        loop {
            let mut scan = pipe();
            scan.cmd("SSCAN").arg(keys::peer_files(owner)).arg(cursor).arg("COUNT").arg(RENEW_BATCH);
            let ((next, names),): ((u64, Vec<String>),) = self.link.query(&scan).await?;
            let mut renew = pipe();
            for file in names.iter().filter_map(|name| name.parse::<FileName>().ok()) {
                for key in [keys::file_hashes(&file), keys::file_withheld(&file)] {
                    self.expire_into(&mut renew, &key);
                }
                if self.link.is_cluster() {
                    // A publish that was cut off may not have come to it.
                    list_into(&mut renew, &file);
                }
            }
            if !renew.is_empty() {
                let () = self.link.query(&renew).await?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// That a peer with an id is at its address has to be known as long as it is.
    async fn renew_address(&self, owner: Owner) -> Result<(), RegistryError> {
        if owner.id().is_none() {
            return Ok(());
        }
        let (_, presences) = self.presences(&[owner], pipe()).await?;
        let mut renew = pipe();
        for presence in presences.into_iter().flatten() {
            self.expire_into(&mut renew, &keys::ids_at(presence.address));
        }
        if renew.is_empty() { Ok(()) } else { self.link.query(&renew).await }
    }
}
