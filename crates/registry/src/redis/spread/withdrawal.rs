//! The steps by which files leave a peer, and a peer its due set.

use deadpool_redis::redis::{Value, pipe};
use peer_core::keys::{self, CHANGE_MS};
use peer_core::{FileName, Owner};

use super::{Patience, lease, name_of_change, no_answer, too_late};
use crate::RegistryError;
use crate::redis::RedisRegistry;
use crate::redis::scripts::call;

/// For how long a peer is leased that is about to leave its due set, in ms.
const LEASE_MS: u64 = 60_000;
/// What `file_gone.lua` says when it came too late, and did nothing.
const TOO_LATE: i64 = -1;

impl RedisRegistry {
    /// A peer lost so many files, and has others yet or none.
    pub(super) async fn lose(&self, owner: Owner, lost: i64, has_files: bool) -> Result<(), RegistryError> {
        if lost > 0 {
            let mut count = pipe();
            count.cmd("INCRBY").arg(keys::mappings_of(owner)).arg(-lost).ignore();
            let () = self.link.query(&count).await?;
        }
        if has_files { Ok(()) } else { self.undue_spread(owner).await }
    }

    /// Takes files from a peer.
    pub(in crate::redis) async fn remove_spread(
        &self,
        owner: Owner,
        files: &[FileName],
    ) -> Result<(), RegistryError> {
        let patience = Patience::new();
        let mut left: Vec<FileName> = files.to_vec();
        while !left.is_empty() {
            let (who, until_ms) = (name_of_change(), self.until_ms());
            let mut begin = pipe();
            call(&mut begin, &self.link.scripts().begin, &[&keys::peer_changing(owner)])
                .arg(&who)
                .arg(CHANGE_MS);
            for file in &left {
                begin.arg(file.as_str());
            }
            let (taken,): (Vec<i64>,) = self.link.query(&begin).await?;
            let mut taken = taken.into_iter();
            let (mine, others): (Vec<FileName>, Vec<FileName>) =
                left.into_iter().partition(|_| taken.next() == Some(1));
            if !mine.is_empty() {
                let (lost, has_files) = self.drop_spread(&who, owner, &mine, until_ms).await?;
                self.lose(owner, lost, has_files || lost == 0).await?;
            }
            left = others;
            if !left.is_empty() {
                patience.wait().await?;
            }
        }
        Ok(())
    }

    /// Takes claims of a peer from files, and then these from the peer. Gives how many that were, and whether it has more.
    async fn drop_spread(
        &self,
        who: &str,
        owner: Owner,
        files: &[FileName],
        until_ms: u64,
    ) -> Result<(i64, bool), RegistryError> {
        let mut drops = pipe();
        for file in files {
            let keys = [keys::file_hashes(file), keys::file_withheld(file)];
            call(&mut drops, &self.link.scripts().file_gone, &keys.each_ref().map(String::as_str))
                .arg(owner.to_string())
                .arg(until_ms);
        }
        let empty: Result<Vec<i64>, RegistryError> = self.link.query(&drops).await;
        for file in files {
            self.hot.changed(file);
        }
        let empty = empty?;
        if empty.contains(&TOO_LATE) {
            return Err(too_late());
        }
        let mut settle = pipe();
        self.settle_into(&mut settle, who, owner, files.iter().map(|file| (file, false)));
        let ([lost, has],): ([i64; 2],) = self.link.query(&settle).await?;
        self.unlist(files.iter().zip(empty).filter(|(_, empty)| *empty == 1).map(|(file, _)| file)).await?;
        Ok((lost, has == 1))
    }

    /// Drops mappings of a dead peer, some at a time. Gives how many.
    pub(in crate::redis) async fn forget_spread(
        &self,
        owner: Owner,
        batch: usize,
    ) -> Result<usize, RegistryError> {
        let mut patience = Patience::new();
        let mut forgotten = 0;
        let keys = [keys::peer_seen(owner), keys::peer_files(owner), keys::peer_changing(owner)];
        loop {
            let (who, until_ms) = (name_of_change(), self.until_ms());
            let mut doom = pipe();
            call(&mut doom, &self.link.scripts().doom, &keys.each_ref().map(String::as_str))
                .arg(&who)
                .arg(CHANGE_MS)
                .arg(batch);
            let (answer,): (Vec<String>,) = self.link.query(&doom).await?;
            let Some((has, names)) = answer.split_first() else { return Err(no_answer()) };
            if has == "0" {
                return Ok(forgotten);
            }
            // What is in the index was a file name when it was put there.
            let files: Vec<FileName> = names.iter().filter_map(|name| name.parse().ok()).collect();
            if files.is_empty() {
                patience.wait().await?;
                continue;
            }
            let (lost, _) = self.drop_spread(&who, owner, &files, until_ms).await?;
            self.lose(owner, lost, true).await?;
            forgotten += usize::try_from(lost).unwrap_or(0);
            patience = Patience::new();
        }
    }

    /// Has a peer looked at no more that has no files.
    pub(in crate::redis) async fn undue_spread(&self, owner: Owner) -> Result<(), RegistryError> {
        let (due, scripts) = (keys::due_of(owner), self.link.scripts());
        let mut lease_it = pipe();
        call(&mut lease_it, &scripts.lease, &[&due]).arg(owner.to_string()).arg(lease(LEASE_MS));
        let (leased,): (Option<String>,) = self.link.query(&lease_it).await?;
        let Some(leased) = leased else { return Ok(()) };
        let mut look = pipe();
        look.exists(keys::peer_files(owner));
        let (has_files,): (bool,) = self.link.query(&look).await?;
        let mut undue = pipe();
        if has_files {
            // It is looked at at once, and gets its proper time.
            undue
                .cmd("ZADD")
                .arg(&due)
                .arg("XX")
                .arg("LT")
                .arg(self.link.clock().redis_ms())
                .arg(owner.to_string());
        } else {
            call(&mut undue, &scripts.undue_at, &[&due]).arg(owner.to_string()).arg(leased);
        }
        let _: Vec<Value> = self.link.query(&undue).await?;
        Ok(())
    }
}
