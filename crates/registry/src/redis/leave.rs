//! Peers that go: by their own word, or dead.

use deadpool_redis::redis::{Value, pipe};
use peer_core::keys;
use peer_core::{FileName, Owner};

use super::RedisRegistry;
use super::scripts::call;
use crate::RegistryError;

/// Files of a dead peer that are dropped in one round trip, in files: short enough not to delay the requests
/// that share the connection.
const FORGET_BATCH: usize = 100;

impl RedisRegistry {
    pub(super) async fn leave(&self, owner: Owner) -> Result<(), RegistryError> {
        let mut die = pipe();
        if !self.link.is_cluster() {
            die.atomic();
        }
        // Dead from here on, for all readers; what follows only clears up, and the sweep does it when we are cut off.
        die.del(keys::peer_seen(owner)).ignore();
        die.cmd("ZADD").arg(keys::due_of(owner)).arg("XX").arg(0).arg(owner.to_string()).ignore();
        let died: Result<(), RegistryError> = self.link.query(&die).await;
        self.changed(owner);
        died?;
        self.bury(owner).await.map(|_| ())
    }

    /// Drops all mappings of a peer that is dead. Stops by itself when the peer comes back to life. What is cut off on
    /// the way can be done again: a name leaves the peer's index after its mapping is gone.
    pub(super) async fn forget(&self, owner: Owner) -> Result<usize, RegistryError> {
        if self.link.is_cluster() {
            return self.forget_spread(owner, FORGET_BATCH).await;
        }
        let scripts = self.link.scripts();
        let (seen, files) = (keys::peer_seen(owner), keys::peer_files(owner));
        let (withheld, mappings) = (keys::peer_withheld(owner), keys::mappings_of(owner));
        let mut forgotten = 0;
        loop {
            let mut doomed = pipe();
            call(&mut doomed, &scripts.doomed, &[&seen, &files]).arg(FORGET_BATCH);
            let (names,): (Vec<String>,) = self.link.query(&doomed).await?;
            if names.is_empty() {
                return Ok(forgotten);
            }
            self.drop_mappings(owner, &names).await?;
            let mut dropped = pipe();
            call(&mut dropped, &scripts.dropped, &[&seen, &files, &withheld, &mappings]).arg(&names).ignore();
            let () = self.link.query(&dropped).await?;
            forgotten += names.len();
        }
    }

    async fn drop_mappings(&self, owner: Owner, names: &[String]) -> Result<(), RegistryError> {
        // What is in the index was a file name when it was put there.
        let files: Vec<FileName> = names.iter().filter_map(|name| name.parse().ok()).collect();
        let mut drops = pipe();
        for file in &files {
            let keys = [
                keys::file_hashes(file),
                keys::file_withheld(file),
                keys::peer_seen(owner),
                keys::peer_files(owner),
            ];
            call(&mut drops, &self.link.scripts().file_drop, &keys.each_ref().map(String::as_str))
                .arg(owner.to_string())
                .arg(file.as_str());
        }
        let left: Result<Vec<Value>, RegistryError> = self.link.query(&drops).await;
        for file in &files {
            self.hot.changed(file);
        }
        let last = |left: &Value| matches!(left, Value::Int(0));
        self.unlist(files.iter().zip(left?).filter(|(_, left)| last(left)).map(|(file, _)| file)).await
    }
}
