//! The counts of mappings, and what sets them right.
//!
//! Scripts change a count with the data that it counts. It can be wrong all the same: data of a version that did not count, and
//! indexes that expired while no tracker ran. So each process counts anew once, one at a time, beside its requests; where
//! names are left of files that nobody has any more, they go too, and so does what an earlier version kept of files.

use std::time::Duration;

use deadpool_redis::redis::aio::ConnectionLike;
use deadpool_redis::redis::{self, RedisResult, pipe};
use peer_core::{FileName, Owner, keys};

use super::scripts::{Scripts, call};
use super::spread;

/// How long a process has for it, in ms: about a minute for 10,000,000 mappings.
const LEASE_MS: u64 = 300_000;
/// Members that are looked at in one round trip.
const PAGE: usize = 500;

/// On a Cluster where `spread`.
pub(super) async fn run<C: ConnectionLike>(
    connection: &mut C,
    scripts: &Scripts,
    spread: bool,
) -> RedisResult<()> {
    let lease: Option<String> = redis::cmd("SET")
        .arg(keys::recount())
        .arg(1)
        .arg("NX")
        .arg("PX")
        .arg(LEASE_MS)
        .query_async(connection)
        .await?;
    if lease.is_none() {
        return Ok(());
    }
    let counted = all_shards(connection, scripts, spread).await;
    // Also where it failed: the next one may begin at once.
    let given_back = redis::cmd("DEL").arg(keys::recount()).exec_async(connection).await;
    counted.and(given_back)
}

async fn all_shards<C: ConnectionLike>(
    connection: &mut C,
    scripts: &Scripts,
    spread: bool,
) -> RedisResult<()> {
    let mut counts = Vec::with_capacity(usize::from(keys::SHARDS));
    for shard in 0..keys::SHARDS {
        counts.push((shard, count(connection, shard).await?));
        unlist(connection, scripts, shard, spread).await?;
    }
    if spread {
        // What was in the midst of a change, in the index and not in the count yet, is in both when that is over.
        tokio::time::sleep(Duration::from_millis(keys::CHANGE_MS)).await;
    }
    for (shard, Count { before, found }) in counts {
        let mut set = pipe();
        call(&mut set, &scripts.recount, &[&keys::mappings(shard)]).arg(before).arg(found).ignore();
        set.exec_async(connection).await?;
    }
    Ok(())
}

/// Mappings of a shard.
struct Count {
    /// What the count was when the walk began.
    before: i64,
    /// What the walk found.
    found: u64,
}

async fn count<C: ConnectionLike>(connection: &mut C, shard: u16) -> RedisResult<Count> {
    let before: Option<i64> = redis::cmd("GET").arg(keys::mappings(shard)).query_async(connection).await?;
    let (mut cursor, mut found) = (0_u64, 0_u64);
    loop {
        let members: Vec<String>;
        (cursor, members) = scan(connection, &keys::due(shard), cursor).await?;
        let mut sizes = pipe();
        for owner in members.iter().filter_map(|member| member.parse::<Owner>().ok()) {
            sizes.scard(keys::peer_files(owner));
        }
        if !sizes.is_empty() {
            let sizes: Vec<u64> = sizes.query_async(connection).await?;
            found = found.saturating_add(sizes.iter().sum());
        }
        if cursor == 0 {
            return Ok(Count { before: before.unwrap_or(0), found });
        }
    }
}

async fn unlist<C: ConnectionLike>(
    connection: &mut C,
    scripts: &Scripts,
    shard: u16,
    spread: bool,
) -> RedisResult<()> {
    let mut cursor = 0_u64;
    loop {
        let members: Vec<String>;
        (cursor, members) = scan(connection, &keys::names(shard), cursor).await?;
        let files: Vec<FileName> = members.iter().filter_map(|member| member.parse().ok()).collect();
        if spread {
            spread::unlist(connection, files.iter()).await?;
        }
        let mut unlist = pipe();
        for file in files.iter().filter(|_| !spread) {
            unlist.unlink(keys::earlier_file_peers(file)).ignore();
            let keys = [keys::names_of(file), keys::file_hashes(file), keys::file_withheld(file)];
            call(&mut unlist, &scripts.unlist, &keys.each_ref().map(String::as_str))
                .arg(file.as_str())
                .ignore();
        }
        if !unlist.is_empty() {
            unlist.exec_async(connection).await?;
        }
        if cursor == 0 {
            return Ok(());
        }
    }
}

/// Some members of a sorted set, and where to go on; 0 at the end.
async fn scan<C: ConnectionLike>(
    connection: &mut C,
    key: &str,
    cursor: u64,
) -> RedisResult<(u64, Vec<String>)> {
    let (next, members): (u64, Vec<(String, f64)>) =
        redis::cmd("ZSCAN").arg(key).arg(cursor).arg("COUNT").arg(PAGE).query_async(connection).await?;
    Ok((next, members.into_iter().map(|(member, _)| member).collect()))
}
