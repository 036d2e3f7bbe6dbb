//! What one script does on one Redis, as steps on a Cluster: there a script touches one slot, and a mapping stands in four.
//!
//! The slots are that of the *peer* (sign of life, files, strikes), of the *file* (claims), and those of two shards: the *due* set with
//! the count of mappings, and the *names*. A publish is
//!
//! 1. due: the peer will be looked at; peer: the file joins those of the peer, within its bound, and is taken;
//! 2. file: the claim, within the bound of the file; due: the count, and names, where the file is new to the peer;
//! 3. peer: the file is let go, or taken back where the second step refused it; names: again where the file was nobody's before.
//!
//! To withdraw files goes the other way: peer, they are taken; file, the claims go; peer, the files leave it and are let go; then the
//! count, the names of files that nobody has any more, and the due set where it was the last. A dead peer's files go the same
//! way, some at a time.
//!
//! # Why that holds
//!
//! *Two at once.* Who changes a mapping takes it first, in the slot of its peer (`scripts/changing.lua`), and others wait for it. So the
//! steps of two changes of one mapping never mix. Who takes longer than [`CHANGE_MS`](keys::CHANGE_MS) is not waited
//! for. A step that was given up may come yet, when a server that stood still goes on: at the file it says until when it may come
//! ([`STEP_MS`]), and at the peer the file has to be held still.
//!
//! *A crash between two steps.* Between any two steps this holds: **a claim stands in a file only while the file stands in the
//! index of its peer, and a peer with an index stands in the due set**, since the index is written before the claim and goes after it, and
//! the due set is asked for by each publish before its claim, and where the file is new to the peer once more when its index stands. What a crash leaves is therefore found from the peer:
//!
//! * A file in the index without a claim is handed out by nobody. The next publish of it claims it; else it goes with the peer, by
//!   the sweep, or by the expiry of the index.
//! * A peer without an entry in the due set has no claims yet, and its next publish makes one; else its keys expire.
//! * A file that is taken is free again after [`CHANGE_MS`](keys::CHANGE_MS).
//! * A file with a claim and no listed name, where the server of the names died, is listed by the next peer to which it is new, and by
//!   the next look of the sweep at any of its living peers.
//! * A listed name without a claim goes with the first listing that meets it.
//! * A count that is off is set right by the next process that starts.
//!
//! *A peer leaves the due set* only when it has no files, and that is looked at in another slot. So it is leased first: its score gets a
//! fraction, which a publish replaces, and it goes only while that same score stands there. *A name leaves the list* before it is looked
//! at again whether the file has claims; where it has, it is put back; and a publish lists the name of a file that was nobody's
//! after its claim.

mod publishing;
mod withdrawal;
mod withholding;

use std::time::Duration;

use deadpool_redis::redis::aio::ConnectionLike;
use deadpool_redis::redis::{Pipeline, RedisResult, pipe};
use peer_core::{FileName, Owner, keys};
use tokio::time::Instant;

use super::RedisRegistry;
use super::scripts::call;
use crate::RegistryError;

/// How long to wait for another one that changes the same mapping.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often to look whether it is done.
const LOOK_INTERVAL: Duration = Duration::from_millis(4);

/// How long after a mapping was taken the step at its file may come, in ms: longer than two steps take, and shorter than it stays
/// taken by what the clocks of two servers may differ.
const STEP_MS: u64 = 700;

const _: () = assert!(STEP_MS < keys::CHANGE_MS, "who is too late must be told so before others may take it");

/// Who makes one change: a name that nobody else has.
pub(super) fn name_of_change() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// A time in ms with a fraction, which tells a lease from other times in a due set, and from other leases.
pub(super) fn lease(ms: u64) -> String {
    format!("{ms}.{:03}", fastrand::u16(1..1_000))
}

/// Waits for others who change the same mappings, until that takes too long.
pub(super) struct Patience(Instant);

impl Patience {
    pub(super) fn new() -> Self {
        Self(Instant::now() + PATIENCE)
    }

    pub(super) async fn wait(&self) -> Result<(), RegistryError> {
        if Instant::now() >= self.0 {
            return Err(RegistryError::Unavailable("a mapping is being changed by others".to_owned()));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
        Ok(())
    }
}

impl RedisRegistry {
    /// Until when the step at its file may come of what is taken now, by the clock of Redis.
    fn until_ms(&self) -> u64 {
        self.link.clock().redis_ms().saturating_add(STEP_MS)
    }

    /// Lets go of files of a peer, which it has or has no more.
    fn settle_into<'a>(
        &self,
        pipe: &mut Pipeline,
        who: &str,
        owner: Owner,
        files: impl Iterator<Item = (&'a FileName, bool)>,
    ) {
        let keys = [
            keys::peer_seen(owner),
            keys::peer_files(owner),
            keys::peer_withheld(owner),
            keys::peer_changing(owner),
        ];
        call(pipe, &self.link.scripts().settle, &keys.each_ref().map(String::as_str)).arg(who);
        for (file, has) in files {
            pipe.arg(file.as_str()).arg(if has { "+" } else { "-" });
        }
    }
}

/// Takes files out of the listing that nobody has.
pub(super) async fn unlist<'a, C: ConnectionLike>(
    connection: &mut C,
    files: impl Iterator<Item = &'a FileName>,
) -> RedisResult<()> {
    let files: Vec<&FileName> = files.collect();
    let unclaimed = claimed(connection, files, false).await?;
    if unclaimed.is_empty() {
        return Ok(());
    }
    let mut unlist = pipe();
    for file in &unclaimed {
        unlist.zrem(keys::names_of(file), file.as_str()).ignore();
    }
    unlist.exec_async(connection).await?;
    // Somebody may have published it between.
    let back = claimed(connection, unclaimed, true).await?;
    if back.is_empty() {
        return Ok(());
    }
    let mut list = pipe();
    for file in back {
        list_into(&mut list, file);
    }
    list.exec_async(connection).await
}

/// Lists a file.
pub(super) fn list_into(pipe: &mut Pipeline, file: &FileName) {
    pipe.zadd(keys::names_of(file), file.as_str(), 0).ignore();
}

/// Those of the files that somebody has, or nobody.
async fn claimed<'a, C: ConnectionLike>(
    connection: &mut C,
    files: Vec<&'a FileName>,
    by_somebody: bool,
) -> RedisResult<Vec<&'a FileName>> {
    let mut look = pipe();
    for file in &files {
        look.cmd("EXISTS").arg(keys::file_hashes(file)).arg(keys::file_withheld(file));
    }
    if look.is_empty() {
        return Ok(Vec::new());
    }
    let there: Vec<i64> = look.query_async(connection).await?;
    Ok(files
        .into_iter()
        .zip(there)
        .filter(|(_, there)| (*there > 0) == by_somebody)
        .map(|(file, _)| file)
        .collect())
}

fn too_late() -> RegistryError {
    RegistryError::Unavailable("a change took too long to come to Redis".to_owned())
}

fn no_answer() -> RegistryError {
    RegistryError::Unavailable("Redis did not answer to a change".to_owned())
}
