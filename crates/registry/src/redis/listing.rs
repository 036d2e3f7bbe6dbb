//! Names in order: the listing, and the export that walks all of them.

use deadpool_redis::redis::{Value, pipe};
use hashbrown::HashSet;
use peer_core::{FileName, Owner, Peer, keys};
use tokio::sync::mpsc;

use super::RedisRegistry;
use super::holders::{Claim, read_total};
use super::read::{ask_draw, owners};
use super::scripts::call;
use super::spread;
use crate::{Entry, FilePage, FilesQuery, ListedFile, Publisher, Record, RegistryError};

/// Peers of a file that the listing looks at to find a living one, in peers; more where all of the first are dead.
const LISTING_SAMPLES: [usize; 2] = [2, 32];
/// Names, and peers of a file, that the export reads at once.
const EXPORT_PAGE: usize = 500;

impl RedisRegistry {
    pub(super) async fn read_files(
        &self,
        caller: Peer,
        query: &FilesQuery,
    ) -> Result<FilePage, RegistryError> {
        let mut names = self.names(query).await?;
        let more = names.len() > query.limit;
        names.truncate(query.limit);
        let last = names.last().cloned();
        let files: Vec<FileName> = names.iter().filter_map(|name| name.parse().ok()).collect();
        let asking = self.caller(caller);
        let mut read_counts = pipe();
        for file in &files {
            read_counts.hlen(keys::file_hashes(file)).hlen(keys::file_withheld(file));
        }
        Self::ask_about(&asking, &mut read_counts);
        let mut counts = Vec::with_capacity(files.len());
        if !read_counts.is_empty() {
            let answers: Vec<Value> = self.link.query(&read_counts).await?;
            let mut answers = answers.into_iter();
            for _ in &files {
                counts.push(read_total(&mut answers)?);
            }
            let known = self.know(asking, &mut answers)?;
            let mut touch = pipe();
            self.touch_into(&known, &mut touch);
            if !touch.is_empty() {
                let () = self.link.query(&touch).await?;
            }
        }
        let living = self.with_living_peers(&files).await?;
        // Names whose indexes expired while no tracker ran are found by nobody else.
        self.unlist(files.iter().zip(&counts).filter(|(_, count)| **count == 0).map(|(file, _)| file))
            .await?;
        let files = files
            .iter()
            .zip(counts)
            .filter(|(file, _)| living.contains(file))
            .map(|(file, peers)| ListedFile { name: file.to_string(), peers })
            .collect();
        Ok(FilePage { files, last, more })
    }

    async fn with_living_peers<'a>(
        &self,
        files: &'a [FileName],
    ) -> Result<HashSet<&'a FileName>, RegistryError> {
        let mut living = HashSet::with_capacity(files.len());
        for sample in LISTING_SAMPLES {
            let mut draw = pipe();
            let open: Vec<&FileName> = files.iter().filter(|file| !living.contains(file)).collect();
            if open.is_empty() {
                break;
            }
            for file in &open {
                ask_draw(&mut draw, file, sample);
            }
            let answers: Vec<Value> = self.link.query(&draw).await?;
            let drawn: Vec<Vec<Owner>> = answers.into_iter().map(|answer| owners(Some(answer))).collect();
            let all: HashSet<Owner> = drawn.iter().flatten().copied().collect();
            let all: Vec<Owner> = all.into_iter().collect();
            let (_, presences) = self.presences(&all, pipe()).await?;
            let shown: HashSet<Owner> = all
                .into_iter()
                .zip(presences)
                .filter(|(_, presence)| presence.is_some_and(|presence| !presence.withheld))
                .map(|(owner, _)| owner)
                .collect();
            for (file, drawn) in open.into_iter().zip(drawn) {
                if drawn.iter().any(|owner| shown.contains(owner)) {
                    living.insert(file);
                }
            }
        }
        Ok(living)
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
            ranges.arg("LIMIT").arg(0).arg(query.limit.saturating_add(1));
        }
        let shards: Vec<Vec<String>> = self.link.query(&ranges).await?;
        let mut names: Vec<String> = shards.into_iter().flatten().collect();
        names.sort_unstable();
        names.truncate(query.limit.saturating_add(1));
        Ok(names)
    }

    /// Takes files that lost their last peer out of the listing.
    pub(super) async fn unlist(&self, files: impl Iterator<Item = &FileName>) -> Result<(), RegistryError> {
        if self.link.is_cluster() {
            let mut connection = self.link.main()?.connection;
            return spread::unlist(&mut connection, files)
                .await
                .map_err(|error| self.link.unavailable(&error));
        }
        let mut unlist = pipe();
        for file in files {
            let keys = [keys::names_of(file), keys::file_hashes(file), keys::file_withheld(file)];
            call(&mut unlist, &self.link.scripts().unlist, &keys.each_ref().map(String::as_str))
                .arg(file.as_str())
                .ignore();
        }
        if unlist.is_empty() {
            return Ok(());
        }
        self.link.query(&unlist).await
    }

    pub(super) async fn export_to(&self, out: mpsc::Sender<Record>) -> Result<(), RegistryError> {
        let mut query = FilesQuery { limit: EXPORT_PAGE, ..FilesQuery::default() };
        loop {
            let mut names = self.names(&query).await?;
            let more = names.len() > query.limit;
            names.truncate(query.limit);
            for file in names.iter().filter_map(|name| name.parse::<FileName>().ok()) {
                if !self.export_file(&file, &out).await? {
                    return Ok(());
                }
            }
            query.after = names.pop();
            if !more {
                return Ok(());
            }
        }
    }

    /// False when nobody listens any more.
    async fn export_file(&self, file: &FileName, out: &mpsc::Sender<Record>) -> Result<bool, RegistryError> {
        Ok(self.export_claims(file, &keys::file_hashes(file), out).await?
            && self.export_claims(file, &keys::file_withheld(file), out).await?)
    }

    async fn export_claims(
        &self,
        file: &FileName,
        key: &str,
        out: &mpsc::Sender<Record>,
    ) -> Result<bool, RegistryError> {
        let mut cursor = 0;
        loop {
            let (next, claims) = self.scan_claims(key, cursor, EXPORT_PAGE).await?;
            let all: Vec<Owner> = claims.iter().map(|claim| claim.owner).collect();
            let (_, presences) = self.presences(&all, pipe()).await?;
            for (Claim { owner, hash, size }, presence) in claims.into_iter().zip(presences) {
                let Some(presence) = presence else { continue };
                let ttl_secs = presence.asked_ms.and_then(|asked_ms| u32::try_from(asked_ms / 1_000).ok());
                let publisher = Publisher { owner, address: presence.address, port: presence.port, ttl_secs };
                let entry = Entry { file: file.clone(), hash, size };
                let record = Record { publisher, last_seen_ms: presence.last_seen_ms, entry };
                if out.send(record).await.is_err() {
                    return Ok(false);
                }
            }
            if next == 0 {
                return Ok(true);
            }
            cursor = next;
        }
    }
}
