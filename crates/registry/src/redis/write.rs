//! What peers change themselves: publish, take over, unpublish, heartbeat.

use deadpool_redis::redis::{Pipeline, pipe};
use hashbrown::HashSet;
use peer_core::keys::{self, Expiry};
use peer_core::limits::{FILES_PER_PEER_MAX, PEERS_PER_FILE_MAX, WITHHELD_WAIT_SECS};
use peer_core::{FileName, Owner, Peer};

use super::RedisRegistry;
use super::holders::claim;
use super::scripts::{Scripts, call};
use super::ttl::Ttls;
use crate::{Entry, Publisher, Record, RegistryError, Verdict};

/// How often a publish of a peer that had died is tried, in tries: once to learn it, once after it was forgotten,
/// and once more should it die again between.
const TRIES: usize = 3;
/// Mappings that are written in one round trip, in mappings: about 2 ms of Redis.
const WRITE_BATCH: usize = 200;
/// Files that one heartbeat brings back, in files; the next one goes on.
const RESTORE_BATCH: usize = 100;
/// Peers with an id that are remembered at one address, in peers; the oldest go first.
const IDS_AT_ADDRESS: isize = 1_024;
/// How the scripts write what there is not.
const NONE: &str = "-";

/// What `publish.lua` says.
pub(super) struct Written {
    code: i64,
    wait_ms: i64,
    changed: bool,
}

impl Written {
    fn read(answer: &(i64, i64, i64)) -> Self {
        Self { code: answer.0, wait_ms: answer.1, changed: answer.2 == 1 }
    }

    /// Nothing was done: the peer has to be forgotten first.
    fn has_former_life(&self) -> bool {
        self.code == 0
    }

    /// `None` where the peer of a record is dead.
    fn verdict(&self) -> Option<Verdict> {
        Some(match self.code {
            1 => Verdict::Listed,
            -1 => Verdict::TooManyFiles,
            -2 => Verdict::TooManyPeers,
            -3 => return None,
            _ => Verdict::Withheld { secs: u64::try_from(self.wait_ms).unwrap_or(0).div_ceil(1_000) },
        })
    }
}

/// Puts a publish into a pipeline, or the taking over of a mapping whose peer was seen at `seen_ms`.
pub(super) fn write(
    pipe: &mut Pipeline,
    scripts: &Scripts,
    ttls: Ttls,
    publisher: &Publisher,
    entry: &Entry,
    seen_ms: Option<u64>,
) {
    let (owner, file) = (publisher.owner, &entry.file);
    let keys = [
        keys::peer_seen(owner),
        keys::peer_files(owner),
        keys::peer_withheld(owner),
        keys::peer_strikes(owner),
        keys::due_of(owner),
        keys::mappings_of(owner),
        keys::file_peers(file),
        keys::file_hashes(file),
        keys::names_of(file),
    ];
    call(pipe, &scripts.publish, &keys.each_ref().map(String::as_str))
        .arg(owner.to_string())
        .arg(file.as_str())
        .arg(claim(&entry.hash, entry.size))
        .arg(ttls.of(Expiry::Peer))
        .arg(ttls.of(Expiry::Index))
        .arg(asked(publisher))
        .arg(address(publisher))
        .arg(port(publisher))
        .arg(FILES_PER_PEER_MAX)
        .arg(PEERS_PER_FILE_MAX)
        .arg(WITHHELD_WAIT_SECS * 1_000)
        .arg(ttls.of(Expiry::Strikes))
        .arg(seen_ms.unwrap_or(0));
}

fn asked(publisher: &Publisher) -> String {
    publisher.ttl_secs.map_or_else(|| NONE.to_owned(), |secs| (u64::from(secs) * 1_000).to_string())
}

fn address(publisher: &Publisher) -> String {
    publisher.owner.id().map_or_else(|| NONE.to_owned(), |_| publisher.address.to_string())
}

fn port(publisher: &Publisher) -> String {
    publisher.port.map_or_else(|| NONE.to_owned(), |port| port.to_string())
}

impl RedisRegistry {
    /// Writes mappings of one peer. Gives what became of each.
    pub(super) async fn write_entries(
        &self,
        publisher: &Publisher,
        entries: &[Entry],
        seen_ms: Option<u64>,
    ) -> Result<Vec<Option<Verdict>>, RegistryError> {
        let mut verdicts = Vec::with_capacity(entries.len());
        for batch in entries.chunks(WRITE_BATCH) {
            let mut write_batch = pipe();
            for entry in batch {
                write(&mut write_batch, self.link.scripts(), self.ttls, publisher, entry, seen_ms);
            }
            let answers = self.written(publisher.owner, &write_batch).await;
            // Also where no answer came: it may have been done.
            for entry in batch {
                self.hot.changed(&entry.file);
            }
            self.presences.renew(publisher.owner);
            let answers = answers.inspect_err(|_| self.changed(publisher.owner))?;
            if answers.iter().any(|answer| answer.changed) {
                self.moved(publisher).await?;
            }
            verdicts.extend(answers.iter().map(Written::verdict));
        }
        if let (Owner::Address(peer), None) = (publisher.owner, seen_ms) {
            self.touched(peer, publisher.ttl_secs.map(|secs| u64::from(secs) * 1_000));
        }
        Ok(verdicts)
    }

    async fn written(&self, owner: Owner, batch: &Pipeline) -> Result<Vec<Written>, RegistryError> {
        for _ in 0..TRIES {
            let answers: Vec<(i64, i64, i64)> = self.link.query(batch).await?;
            let answers: Vec<Written> = answers.iter().map(Written::read).collect();
            if !answers.iter().any(Written::has_former_life) {
                return Ok(answers);
            }
            self.forget(owner).await?;
        }
        Err(RegistryError::Unavailable("the peer dies faster than it can publish".to_owned()))
    }

    /// A peer came to life, or is somewhere else or otherwise than before.
    async fn moved(&self, publisher: &Publisher) -> Result<(), RegistryError> {
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

    pub(super) async fn import_records(&self, records: &[Record]) -> Result<usize, RegistryError> {
        let mut taken = 0;
        // Neighbours are of one file; one peer's are written one after the other all the same.
        for batch in records.chunks(WRITE_BATCH) {
            let mut write_batch = pipe();
            for Record { publisher, last_seen_ms, entry } in batch {
                let seen_ms = Some((*last_seen_ms).max(1));
                write(&mut write_batch, self.link.scripts(), self.ttls, publisher, entry, seen_ms);
            }
            let answers = self.imported(batch, &write_batch).await;
            for record in batch {
                self.hot.changed(&record.entry.file);
                self.presences.forget(record.publisher.owner);
            }
            self.hot.all_changed();
            for (answer, record) in answers?.iter().zip(batch) {
                if answer.changed {
                    self.moved(&record.publisher).await?;
                }
                let kept = matches!(answer.verdict(), Some(Verdict::Listed | Verdict::Withheld { .. }));
                taken += usize::from(kept);
            }
        }
        Ok(taken)
    }

    async fn imported(&self, batch: &[Record], pipeline: &Pipeline) -> Result<Vec<Written>, RegistryError> {
        for _ in 0..TRIES {
            let answers: Vec<(i64, i64, i64)> = self.link.query(pipeline).await?;
            let answers: Vec<Written> = answers.iter().map(Written::read).collect();
            let former: HashSet<Owner> = answers
                .iter()
                .zip(batch)
                .filter(|(answer, _)| answer.has_former_life())
                .map(|(_, record)| record.publisher.owner)
                .collect();
            if former.is_empty() {
                return Ok(answers);
            }
            for owner in former {
                self.forget(owner).await?;
            }
        }
        Err(RegistryError::Unavailable("a peer dies faster than it can be taken over".to_owned()))
    }

    pub(super) async fn remove(&self, owner: Owner, files: &[FileName]) -> Result<(), RegistryError> {
        for batch in files.chunks(WRITE_BATCH) {
            let mut remove = pipe();
            for file in batch {
                let keys = [
                    keys::peer_files(owner),
                    keys::peer_withheld(owner),
                    keys::due_of(owner),
                    keys::mappings_of(owner),
                    keys::file_peers(file),
                    keys::file_hashes(file),
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

    pub(super) async fn beat(&self, publisher: &Publisher) -> Result<bool, RegistryError> {
        let owner = publisher.owner;
        let keys = [keys::peer_seen(owner), keys::peer_withheld(owner), keys::peer_strikes(owner)];
        let mut beat = pipe();
        call(&mut beat, &self.link.scripts().heartbeat, &keys.each_ref().map(String::as_str))
            .arg(self.ttls.of(Expiry::Peer))
            .arg(asked(publisher))
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
        let mut restore = pipe();
        for file in files {
            let keys = [
                keys::peer_seen(owner),
                keys::peer_withheld(owner),
                keys::peer_strikes(owner),
                keys::file_peers(file),
                keys::file_hashes(file),
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
