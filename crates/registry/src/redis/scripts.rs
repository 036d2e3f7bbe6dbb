use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{RedisResult, Script};

/// The Lua scripts. Each touches the keys of one hash tag only, but for `peers` and `unlist`; each does what must not be torn
/// apart, and takes the time from Redis, so that the clocks of the trackers do not matter.
pub(super) struct Scripts {
    pub(super) peer_add: Script,
    pub(super) file_add: Script,
    pub(super) file_drop: Script,
    pub(super) touch: Script,
    pub(super) peers: Script,
    pub(super) doomed: Script,
    pub(super) dropped: Script,
    pub(super) unlist: Script,
    pub(super) due: Script,
    pub(super) renew: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            peer_add: Script::new(include_str!("scripts/peer_add.lua")),
            file_add: Script::new(include_str!("scripts/file_add.lua")),
            file_drop: Script::new(include_str!("scripts/file_drop.lua")),
            touch: Script::new(include_str!("scripts/touch.lua")),
            peers: Script::new(include_str!("scripts/peers.lua")),
            doomed: Script::new(include_str!("scripts/doomed.lua")),
            dropped: Script::new(include_str!("scripts/dropped.lua")),
            unlist: Script::new(include_str!("scripts/unlist.lua")),
            due: Script::new(include_str!("scripts/due.lua")),
            renew: Script::new(include_str!("scripts/renew.lua")),
        }
    }

    /// Makes Redis know all of them; a pipeline can then name them by their hashes.
    pub(super) async fn load(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let Self { peer_add, file_add, file_drop, touch, peers, doomed, dropped, unlist, due, renew } = self;
        for script in [peer_add, file_add, file_drop, touch, peers, doomed, dropped, unlist, due, renew] {
            script.load_async(connection).await?;
        }
        Ok(())
    }
}
