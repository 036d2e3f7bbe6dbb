//! The steps by which a mapping is withheld, and handed out again.

use deadpool_redis::redis::{Pipeline, pipe};
use peer_core::keys::{self, Expiry};
use peer_core::limits::WITHHELD_WAIT_SECS;
use peer_core::{FileName, Owner};

use crate::RegistryError;
use crate::redis::RedisRegistry;
use crate::redis::scripts::call;

impl RedisRegistry {
    /// Hands out mappings again that were withheld, where their wait is over: first the claims, so that one that is cut off is
    /// found withheld by the next heartbeat.
    pub(in crate::redis) async fn restore_spread(
        &self,
        owner: Owner,
        files: &[FileName],
    ) -> Result<(), RegistryError> {
        let keys = [keys::peer_seen(owner), keys::peer_withheld(owner), keys::peer_strikes(owner)];
        let mut ask = pipe();
        for file in files {
            call(&mut ask, &self.link.scripts().restorable, &keys.each_ref().map(String::as_str))
                .arg(file.as_str())
                .arg(WITHHELD_WAIT_SECS * 1_000)
                .arg(self.ttls.of(Expiry::Strikes));
        }
        let over: Vec<i64> = self.link.query(&ask).await?;
        let over: Vec<&FileName> =
            files.iter().zip(over).filter(|(_, over)| *over == 1).map(|(file, _)| file).collect();
        if over.is_empty() {
            return Ok(());
        }
        let mut restore = pipe();
        for file in &over {
            self.move_claim_into(&mut restore, owner, &keys::file_withheld(file), &keys::file_hashes(file));
        }
        let restored: Result<(), RegistryError> = self.link.query(&restore).await;
        for file in &over {
            self.hot.changed(file);
        }
        restored?;
        let mut leave = pipe();
        for file in over {
            leave.srem(keys::peer_withheld(owner), file.as_str()).ignore();
        }
        self.link.query(&leave).await
    }

    /// Withholds what a peer claims of a file.
    pub(in crate::redis) async fn withhold_spread(
        &self,
        owner: Owner,
        file: &FileName,
    ) -> Result<(), RegistryError> {
        let mut withhold = pipe();
        self.move_claim_into(&mut withhold, owner, &keys::file_hashes(file), &keys::file_withheld(file));
        self.link.query(&withhold).await
    }

    fn move_claim_into(&self, pipe: &mut Pipeline, owner: Owner, from: &str, to: &str) {
        call(pipe, &self.link.scripts().move_claim, &[from, to])
            .arg(owner.to_string())
            .arg(self.ttls.of(Expiry::Index))
            .ignore();
    }
}
