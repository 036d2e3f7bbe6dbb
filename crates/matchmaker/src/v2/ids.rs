use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;

use hashbrown::HashTable;
use parking_lot::Mutex;
use peer_core::PeerId;

/// Where the holders of ids are: one address of each family for an id.
///
/// There is an entry for each registration that names an id and was the last of its id to come, so there are never more
/// than registrations. Whoever takes a registration away releases its id.
#[derive(Debug)]
pub(super) struct Ids {
    shards: Box<[Mutex<HashTable<Holder>>]>,
    hasher: RandomState,
}

#[derive(Debug, Clone, Copy)]
struct Holder {
    id: PeerId,
    addr: SocketAddr,
    /// When the newest token was made by which the id came here, in ms.
    issued_ms: u64,
}

impl Holder {
    fn is_of(&self, id: PeerId, is_v4: bool) -> bool {
        self.id == id && self.addr.is_ipv4() == is_v4
    }
}

impl Ids {
    /// In so many parts, a power of two.
    pub(super) fn new(shards: u32, hasher: RandomState) -> Self {
        Self { shards: (0..shards).map(|_| Mutex::default()).collect(), hasher }
    }

    /// The holder of `id` is at `addr`, as it has shown with a token made at `issued_ms`. False where it has been elsewhere
    /// with a newer one: what is older may be the replay of a stranger.
    pub(super) fn claim(&self, id: PeerId, addr: SocketAddr, issued_ms: u64) -> bool {
        let (hash, is_v4) = (self.hash(id, addr.is_ipv4()), addr.is_ipv4());
        let Some(mut shard) = self.shard(hash) else { return false };
        if let Some(holder) = shard.find_mut(hash, |holder| holder.is_of(id, is_v4)) {
            if holder.addr != addr && holder.issued_ms >= issued_ms {
                return false;
            }
            *holder = Holder { id, addr, issued_ms: holder.issued_ms.max(issued_ms) };
            return true;
        }
        shard.insert_unique(hash, Holder { id, addr, issued_ms }, |holder| {
            self.hash(holder.id, holder.addr.is_ipv4())
        });
        true
    }

    /// Where the holder of `id` was last.
    pub(super) fn find(&self, id: PeerId, is_v4: bool) -> Option<SocketAddr> {
        let hash = self.hash(id, is_v4);
        self.shard(hash)?.find(hash, |holder| holder.is_of(id, is_v4)).map(|holder| holder.addr)
    }

    /// `id` is at `addr` no more; nothing is done where it is elsewhere by now.
    pub(super) fn release(&self, id: PeerId, addr: SocketAddr) {
        let hash = self.hash(id, addr.is_ipv4());
        let Some(mut shard) = self.shard(hash) else { return };
        if let Ok(found) = shard.find_entry(hash, |holder| holder.id == id && holder.addr == addr) {
            found.remove();
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    fn hash(&self, id: PeerId, is_v4: bool) -> u64 {
        self.hasher.hash_one((id, is_v4))
    }

    fn shard(&self, hash: u64) -> Option<parking_lot::MutexGuard<'_, HashTable<Holder>>> {
        let index = usize::try_from(hash >> 20).unwrap_or(0) & (self.shards.len() - 1);
        self.shards.get(index).map(Mutex::lock)
    }
}
