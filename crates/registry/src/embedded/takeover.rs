//! Takes over what an earlier version left in `registry-v1`.
//!
//! There the key was the address (16 bytes) and the name, the value the hash, and a peer's record its last sign of life (8
//! bytes). The old folder goes after the new data is on disk for good: whatever is cut off on the way is done again at the
//! next start, and nothing was published meanwhile.

use std::path::Path;

use fjall::KeyspaceCreateOptions;
use peer_core::{Owner, Peer};

use super::contents::Content;
use super::disk::{Disk, broken_at, open_database, unwritable};
use super::peers::PeerRecord;
use super::records::{read_hash, unreadable};
use crate::{Publisher, RegistryError};

const OLD_FOLDER: &str = "registry-v1";
/// The old folder while it is being removed: not read any more, however little of it is left.
const DONE_FOLDER: &str = "registry-v1-taken-over";
/// Mappings in one group, in mappings.
const GROUP: usize = 4_096;
/// All of them are in their first life, the peers and what they published.
const LIFE: u32 = 1;

/// Moves the old data of `data_dir` to `disk`, if there is any.
pub(super) fn take_over(data_dir: &Path, disk: &Disk) -> Result<(), RegistryError> {
    let (old, done) = (data_dir.join(OLD_FOLDER), data_dir.join(DONE_FOLDER));
    let failed = |error| RegistryError::Broken(format!("DATA_DIR {}: {error}", data_dir.display()));
    if old.try_exists().map_err(failed)? {
        let mappings = copy(data_dir, &old, disk)?;
        std::fs::rename(&old, &done).map_err(failed)?;
        tracing::info!(mappings, "the data of an earlier version was taken over");
    }
    if done.try_exists().map_err(failed)? {
        std::fs::remove_dir_all(&done).map_err(failed)?;
    }
    Ok(())
}

fn copy(data_dir: &Path, old: &Path, disk: &Disk) -> Result<usize, RegistryError> {
    let broken = |error| broken_at(data_dir, error);
    let database = open_database(old.to_owned()).map_err(broken)?;
    let keyspace = |name| database.keyspace(name, KeyspaceCreateOptions::default).map_err(broken);
    let (mappings, peers) = (keyspace("mappings")?, keyspace("peers")?);
    let mut batch = disk.batch(false);
    for entry in peers.iter() {
        let (key, value) = entry.into_inner().map_err(unreadable)?;
        let (peer, _) = split_key(&key)?;
        let seen_ms = u64::from_be_bytes(<[u8; 8]>::try_from(&*value).map_err(unreadable)?);
        batch.put_peer(&PeerRecord { publisher: Publisher::legacy(peer), seen_ms, life: LIFE });
        if batch.len() >= GROUP {
            std::mem::replace(&mut batch, disk.batch(false)).commit().map_err(unwritable)?;
        }
    }
    let mut count = 0;
    for entry in mappings.iter() {
        let (key, value) = entry.into_inner().map_err(unreadable)?;
        let (peer, name) = split_key(&key)?;
        let content = Content { hash: read_hash(&value)?, size: None };
        batch.put(Owner::Address(peer), LIFE, std::str::from_utf8(name).map_err(unreadable)?, &content);
        count += 1;
        if batch.len() >= GROUP {
            std::mem::replace(&mut batch, disk.batch(false)).commit().map_err(unwritable)?;
        }
    }
    batch.commit().map_err(unwritable)?;
    disk.sync().map_err(unwritable)?;
    Ok(count)
}

fn split_key(key: &[u8]) -> Result<(Peer, &[u8]), RegistryError> {
    let (peer, name) = key.split_first_chunk().ok_or_else(|| unreadable("a key is too short"))?;
    Ok((Peer::from_bytes(*peer).map_err(unreadable)?, name))
}
