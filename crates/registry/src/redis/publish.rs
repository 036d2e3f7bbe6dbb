//! Publishing: by peers, and from another store.

use deadpool_redis::redis::Pipeline;
use hashbrown::HashSet;
use peer_core::keys::{self, Expiry};
use peer_core::limits::WITHHELD_WAIT_SECS;
use peer_core::{FileName, Owner};

use super::RedisRegistry;
use super::holders::claim;
use super::scripts::{Scripts, call};
use super::spread::Patience;
use super::ttl::Ttls;
use super::write::Ttl;
use crate::{Bounds, Entry, Publisher, Record, RegistryError, Verdict};

/// How often a publish of a peer that had died is tried, in tries: once to learn it, once after it was forgotten,
/// and once more should it die again between.
const TRIES: usize = 3;
/// Mappings that are written in one round trip, in mappings: about 3 ms of Redis.
const WRITE_BATCH: usize = 200;
/// Mappings that are written with one call of the script, in mappings: others wait for about 0.5 ms.
pub(super) const CALL_BATCH: usize = 32;
/// How the scripts write what there is not.
const NONE: &str = "-";
/// Numbers that the script gives of each mapping.
const ANSWER_NUMBERS: usize = 3;

/// What holds for every mapping.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) ttls: Ttls,
    pub(super) bounds: Bounds,
}

impl Rules {
    /// The arguments that all scripts begin with that publish.
    fn put_into(self, pipe: &mut Pipeline) {
        let Self { ttls, bounds } = self;
        pipe.arg(ttls.of(Expiry::Peer))
            .arg(ttls.of(Expiry::Index))
            .arg(bounds.files_per_peer)
            .arg(bounds.peers_per_file)
            .arg(WITHHELD_WAIT_SECS * 1_000)
            .arg(ttls.of(Expiry::Strikes));
    }
}

/// One mapping to be written.
#[derive(Debug, Clone)]
pub(super) struct Publish {
    publisher: Publisher,
    entry: Entry,
    /// When the peer was last seen where it is taken over from, in ms since 1970; 0 for a publish.
    seen_ms: u64,
}

impl Publish {
    /// A peer mappings.
    pub(super) fn new(publisher: &Publisher, entry: &Entry) -> Self {
        Self { publisher: *publisher, entry: entry.clone(), seen_ms: 0 }
    }

    fn take_over(Record { publisher, last_seen_ms, entry }: &Record) -> Self {
        Self { publisher: *publisher, entry: entry.clone(), seen_ms: (*last_seen_ms).max(1) }
    }

    pub(super) fn owner(&self) -> Owner {
        self.publisher.owner
    }

    /// Whether it holds where both are of the same mapping, this one after the other.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        self.seen_ms == 0 || self.seen_ms > other.seen_ms
    }

    pub(super) fn file(&self) -> &FileName {
        &self.entry.file
    }

    /// How long the peer lives from `now_ms` on, in ms; 0 is for ever.
    pub(super) fn life_ms(&self, rules: Rules, now_ms: u64) -> u64 {
        let life_ms = rules.ttls.life_ms(self.publisher.ttl_secs.map(|secs| u64::from(secs) * 1_000));
        if self.seen_ms == 0 || life_ms == 0 {
            return life_ms;
        }
        life_ms.saturating_sub(now_ms.saturating_sub(self.seen_ms)).max(1)
    }

    /// Puts the peer's part of the writing of its files into a pipeline, on a Cluster.
    pub(super) fn write_peer<'a>(
        publishes: impl Iterator<Item = &'a Self>,
        pipe: &mut Pipeline,
        scripts: &Scripts,
        rules: Rules,
        owner: Owner,
        who: &str,
    ) {
        let keys = [
            keys::peer_seen(owner),
            keys::peer_files(owner),
            keys::peer_withheld(owner),
            keys::peer_strikes(owner),
            keys::peer_changing(owner),
        ];
        call(pipe, &scripts.publish_peer, &keys.each_ref().map(String::as_str));
        rules.put_into(pipe);
        pipe.arg(who).arg(keys::CHANGE_MS);
        for Self { publisher, entry, seen_ms } in publishes {
            pipe.arg(entry.file.as_str())
                .arg(asked(publisher))
                .arg(address(publisher))
                .arg(port(publisher))
                .arg(seen_ms);
        }
    }

    /// Puts the file's part into a pipeline, on a Cluster; with what the peer's part said: whether the file is new to the peer, whether
    /// it was struck, whether the peer is kept as it is, and the wait of the file in ms. It does nothing when it comes after `until_ms`.
    pub(super) fn write_file(
        &self,
        pipe: &mut Pipeline,
        scripts: &Scripts,
        rules: Rules,
        said: [i64; 4],
        until_ms: u64,
    ) {
        let Self { publisher, entry, .. } = self;
        let keys = [keys::file_hashes(&entry.file), keys::file_withheld(&entry.file)];
        call(pipe, &scripts.publish_file, &keys.each_ref().map(String::as_str));
        rules.put_into(pipe);
        pipe.arg(publisher.owner.to_string()).arg(claim(&entry.hash, entry.size)).arg(&said).arg(until_ms);
    }

    fn keys(&self) -> [String; 9] {
        let (owner, file) = (self.publisher.owner, &self.entry.file);
        [
            keys::peer_seen(owner),
            keys::peer_files(owner),
            keys::peer_withheld(owner),
            keys::peer_strikes(owner),
            keys::due_of(owner),
            keys::mappings_of(owner),
            keys::file_hashes(file),
            keys::file_withheld(file),
            keys::names_of(file),
        ]
    }
}

/// What `publish.lua` says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    code: i64,
    wait_ms: i64,
    changed: bool,
}

impl Written {
    /// From the numbers of a script.
    pub(super) fn new(code: i64, wait_ms: i64, changed: i64) -> Self {
        Self { code, wait_ms, changed: changed == 1 }
    }

    /// The answers to the calls of a pipeline, one after the other.
    pub(super) fn read(answers: &[Vec<i64>]) -> Vec<Self> {
        let numbers: Vec<i64> = answers.concat();
        numbers
            .chunks_exact(ANSWER_NUMBERS)
            .filter_map(|numbers| match numbers {
                [code, wait_ms, changed] => Some(Self::new(*code, *wait_ms, *changed)),
                _ => None,
            })
            .collect()
    }

    /// Nothing was done: the peer has to be forgotten first.
    fn has_former_life(self) -> bool {
        self.code == 0
    }

    /// Nothing was done: another one changes the mapping just now.
    fn is_busy(self) -> bool {
        self.code == -4
    }

    /// `None` where the peer of a record is dead.
    fn verdict(self) -> Option<Verdict> {
        Some(match self.code {
            1 => Verdict::Listed,
            -1 => Verdict::TooManyFiles,
            -2 => Verdict::TooManyPeers,
            -3 => return None,
            _ => Verdict::Withheld { secs: u64::try_from(self.wait_ms).unwrap_or(0).div_ceil(1_000) },
        })
    }
}

/// Puts the writing of `batch` into a pipeline.
pub(super) fn write(pipe: &mut Pipeline, scripts: &Scripts, rules: Rules, batch: &[Publish]) {
    for batch in batch.chunks(CALL_BATCH) {
        let keys: Vec<[String; 9]> = batch.iter().map(Publish::keys).collect();
        let keys: Vec<&str> = keys.iter().flatten().map(String::as_str).collect();
        call(pipe, &scripts.publish, &keys);
        rules.put_into(pipe);
        for Publish { publisher, entry, seen_ms } in batch {
            pipe.arg(publisher.owner.to_string())
                .arg(entry.file.as_str())
                .arg(claim(&entry.hash, entry.size))
                .arg(asked(publisher))
                .arg(address(publisher))
                .arg(port(publisher))
                .arg(seen_ms);
        }
    }
}

pub(super) fn asked(publisher: &Publisher) -> String {
    publisher.ttl_secs.map_or_else(|| NONE.to_owned(), |secs| (u64::from(secs) * 1_000).to_string())
}

pub(super) fn address(publisher: &Publisher) -> String {
    publisher.owner.id().map_or_else(|| NONE.to_owned(), |_| publisher.address.to_string())
}

pub(super) fn port(publisher: &Publisher) -> String {
    publisher.port.map_or_else(|| NONE.to_owned(), |port| port.to_string())
}

impl RedisRegistry {
    pub(super) async fn publish_entries(
        &self,
        publisher: &Publisher,
        entries: &[Entry],
    ) -> Result<Vec<Verdict>, RegistryError> {
        if entries.is_empty() {
            self.beat(publisher, Ttl::Anew).await?;
            return Ok(Vec::new());
        }
        let mut verdicts = Vec::with_capacity(entries.len());
        for batch in entries.chunks(WRITE_BATCH) {
            let mappings: Vec<Publish> = batch.iter().map(|entry| Publish::new(publisher, entry)).collect();
            let answers = self.written(&mappings).await;
            // Also where no answer came: it may have been done.
            for entry in batch {
                self.hot.changed(&entry.file);
            }
            self.presences.renew(publisher.owner);
            let answers = answers.inspect_err(|_| self.changed(publisher.owner))?;
            if answers.iter().any(|answer| answer.changed) {
                self.moved(publisher).await?;
            }
            verdicts.extend(answers.into_iter().filter_map(Written::verdict));
        }
        if let Owner::Address(peer) = publisher.owner {
            self.touched(peer, publisher.ttl_secs.map(|secs| u64::from(secs) * 1_000));
        }
        Ok(verdicts)
    }

    pub(super) async fn import_records(&self, records: &[Record]) -> Result<usize, RegistryError> {
        let mut taken = 0;
        // Neighbours are of one file; one peer's are written one after the other all the same.
        for batch in records.chunks(WRITE_BATCH) {
            let mappings: Vec<Publish> = batch.iter().map(Publish::take_over).collect();
            let answers = self.written(&mappings).await;
            for record in batch {
                self.hot.changed(&record.entry.file);
                self.presences.forget(record.publisher.owner);
            }
            self.hot.all_changed();
            for (answer, record) in answers?.into_iter().zip(batch) {
                if answer.changed {
                    self.moved(&record.publisher).await?;
                }
                let kept = matches!(answer.verdict(), Some(Verdict::Listed | Verdict::Withheld { .. }));
                taken += usize::from(kept);
            }
        }
        Ok(taken)
    }

    /// Writes mappings, again where a peer had died and had to be forgotten first.
    async fn written(&self, batch: &[Publish]) -> Result<Vec<Written>, RegistryError> {
        let patience = Patience::new();
        let mut changed = vec![false; batch.len()];
        let mut tries = 0;
        while tries < TRIES {
            let mut answers = match batch {
                _ if self.link.is_cluster() => self.write_spread(batch).await?,
                [publish] => vec![self.link.publish(publish.clone()).await?],
                _ => self.link.publish_all(batch).await?,
            };
            // Others have to hear of it once, whichever try it was.
            for (answer, changed) in answers.iter_mut().zip(&mut changed) {
                *changed |= answer.changed;
                answer.changed = *changed;
            }
            if answers.iter().any(|answer| answer.is_busy()) {
                patience.wait().await?;
                continue;
            }
            tries += 1;
            let former: HashSet<Owner> = answers
                .iter()
                .zip(batch)
                .filter(|(answer, _)| answer.has_former_life())
                .map(|(_, publish)| publish.publisher.owner)
                .collect();
            if former.is_empty() {
                return Ok(answers);
            }
            for owner in former {
                self.forget(owner).await?;
            }
        }
        Err(RegistryError::Unavailable("a peer dies faster than it can publish".to_owned()))
    }
}
