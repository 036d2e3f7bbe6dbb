//! Takes over the data of the original Python server, once.
//!
//! Its keys are a set of addresses a file (`file:NAME`) and a hash a file (`filehash:NAME`); `ip:IP` says the same
//! the other way round. Every peer starts with a whole time to live: the original took note of publishes only
//! (`peer:lastseen`), so that a peer which has been serving for weeks looks silent there, and nobody could show
//! a sign of life while the server was being changed. Those that are gone go a time to live later.
//!
//! The original's keys are left as they are, for a way back. A crash on the way does no harm: the mark comes last,
//! and taking over twice is the same as once.

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, RedisResult, pipe};
use peer_core::keys::{self, original};
use peer_core::{ContentHash, FileName, Peer};

use super::publish::{Publish, Rules, write};
use super::scripts::Scripts;
use crate::{Entry, Publisher};

/// Keys, and members of a key, that are asked for at once.
const SCAN_COUNT: usize = 500;
/// What stands for the hash of a file that the original knew none of.
const UNKNOWN_HASH: &str = "unknown";

#[derive(Default)]
struct Taken {
    files: usize,
    mappings: usize,
    refused: usize,
}

/// Whether there is nothing of ours yet: a volume of the original is then taken over before anyone is answered. Later
/// it is looked for beside the requests, since a scan takes as long as our own data are large.
pub(super) async fn is_first_start(connection: &mut MultiplexedConnection) -> RedisResult<bool> {
    let mut ours = pipe();
    for shard in 0..keys::SHARDS {
        ours.exists(keys::names(shard));
    }
    let ours: Vec<bool> = ours.query_async(connection).await?;
    Ok(!ours.contains(&true))
}

/// Does nothing where it was done before or where there is nothing of the original.
pub(super) async fn take_over(
    connection: &mut MultiplexedConnection,
    scripts: &Scripts,
    rules: Rules,
) -> RedisResult<()> {
    let done: bool = redis::cmd("EXISTS").arg(keys::imported()).query_async(connection).await?;
    if done {
        return Ok(());
    }
    let mut taken = Taken::default();
    let mut cursor = 0_u64;
    loop {
        let (next, keys): (u64, Vec<Vec<u8>>) = redis::cmd("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg(original::FILES_PATTERN)
            .arg("COUNT")
            .arg(SCAN_COUNT)
            .arg("TYPE")
            .arg("set")
            .query_async(connection)
            .await?;
        for key in keys {
            take_file(connection, scripts, rules, &key, &mut taken).await?;
        }
        if next == 0 {
            break;
        }
        cursor = next;
    }
    if taken.files + taken.refused == 0 {
        return Ok(());
    }
    redis::cmd("SET").arg(keys::imported()).arg(taken.mappings).exec_async(connection).await?;
    let Taken { files, mappings, refused } = taken;
    tracing::info!(files, mappings, refused, "took over the data of the original server");
    Ok(())
}

async fn take_file(
    connection: &mut MultiplexedConnection,
    scripts: &Scripts,
    rules: Rules,
    key: &[u8],
    taken: &mut Taken,
) -> RedisResult<()> {
    let name = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix(original::FILE_PREFIX));
    let Some(file) = name.and_then(|name| name.parse::<FileName>().ok()) else {
        taken.refused += 1;
        return Ok(());
    };
    let hash: Option<Vec<u8>> =
        redis::cmd("GET").arg(original::file_hash(&file)).query_async(connection).await.ok().flatten();
    let hash = hash.and_then(|hash| String::from_utf8(hash).ok()).and_then(|hash| hash.parse().ok());
    let Some(hash) = hash.or_else(|| UNKNOWN_HASH.parse::<ContentHash>().ok()) else { return Ok(()) };
    taken.files += 1;
    let mut cursor = 0_u64;
    loop {
        let (next, members): (u64, Vec<Vec<u8>>) = redis::cmd("SSCAN")
            .arg(key)
            .arg(cursor)
            .arg("COUNT")
            .arg(SCAN_COUNT)
            .query_async(connection)
            .await?;
        let mut found = Vec::new();
        for member in members {
            match std::str::from_utf8(&member).ok().and_then(|ip| ip.parse::<Peer>().ok()) {
                Some(peer) => {
                    let entry = Entry { file: file.clone(), hash: hash.clone(), size: None };
                    found.push(Publish::new(&Publisher::legacy(peer), &entry));
                    taken.mappings += 1;
                }
                None => taken.refused += 1,
            }
        }
        if !found.is_empty() {
            let mut add = pipe();
            write(&mut add, scripts, rules, &found);
            add.exec_async(connection).await?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}
