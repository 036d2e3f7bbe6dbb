//! What a group of changes is on disk.

use parking_lot::RwLock;

use super::disk::Disk;
use super::table::{Change, Table};

/// Writes that go to the engine at once, in writes: the rest of a group waits as changes, which are smaller. The last of a
/// group makes all of it last.
const SLICE: usize = 2_048;

/// Puts `changes` on disk for good, in their order, and empties them.
pub(super) fn write(
    disk: &Disk,
    table: &RwLock<Table>,
    changes: &mut Vec<Change>,
) -> Result<(), fjall::Error> {
    let mut batch = disk.batch(false);
    for change in changes.drain(..) {
        match change {
            Change::Put { owner, life, file, content } => batch.put(owner, life, &file, &content),
            Change::Delete { owner, files } => {
                for file in files {
                    batch.delete(owner, &file);
                }
            }
            Change::Gone { owner } => batch.delete_peer(owner),
            Change::Touched { owner } => {
                let record = table.read().save(owner);
                if let Some(record) = record {
                    batch.put_peer(&record);
                }
            }
            Change::Used(used) => batch.token(&used),
            Change::Forgotten(tokens) => batch.delete_tokens(&tokens),
            Change::Close => {}
        }
        if batch.len() >= SLICE {
            std::mem::replace(&mut batch, disk.batch(false)).commit()?;
        }
    }
    batch.commit()?;
    disk.sync()
}
