//! Whether a matchmaker hears a peer: what those say that meet over this Redis.

use std::sync::atomic::{AtomicU64, Ordering};

use deadpool_redis::redis::{Pipeline, Value};
use peer_core::limits::{NODE_MS, ONLINE_MS};
use peer_core::{Owner, keys};

use super::RedisRegistry;

/// How long it need not be asked again whether there are matchmakers, in ms.
const KNOWN_MS: u64 = 1_000;

/// Whether matchmakers meet over this Redis, as was read lately.
#[derive(Default)]
pub(super) struct Matchmakers {
    /// 0 before the first time; else when it was read, in ms of this process, times two, plus one where they are there.
    read: AtomicU64,
}

/// What a request has to find out of that.
#[derive(Clone, Copy)]
pub(super) enum AreThere {
    Known(bool),
    /// Asked at this time of this process, in ms.
    Asked(u64),
}

impl Matchmakers {
    fn get(&self, local_ms: u64) -> Option<bool> {
        let read = self.read.load(Ordering::Relaxed);
        (read != 0 && (read >> 1).saturating_add(KNOWN_MS) > local_ms).then_some(read & 1 == 1)
    }

    fn set(&self, local_ms: u64, there: bool) {
        // One that read before may write after: it is a second behind at most.
        self.read.store(local_ms.max(1) << 1 | u64::from(there), Ordering::Relaxed);
    }
}

impl RedisRegistry {
    /// Asks whether there are matchmakers that say whom they hear, where that is not known.
    pub(super) fn ask_matchmakers(&self, pipe: &mut Pipeline) -> AreThere {
        let clock = self.link.clock();
        let local_ms = clock.local_ms();
        if let Some(there) = self.matchmakers.get(local_ms) {
            return AreThere::Known(there);
        }
        let since_ms = clock.redis_ms().saturating_sub(NODE_MS);
        pipe.zcount(keys::nodes(), since_ms, "+inf");
        AreThere::Asked(local_ms)
    }

    /// Reads the answer to [`Self::ask_matchmakers`].
    pub(super) fn are_matchmakers_there(
        &self,
        asked: AreThere,
        answers: &mut impl Iterator<Item = Value>,
    ) -> bool {
        match asked {
            AreThere::Known(there) => there,
            AreThere::Asked(local_ms) => {
                let there = answers.next().as_ref().and_then(read_online).unwrap_or(false);
                self.matchmakers.set(local_ms, there);
                there
            }
        }
    }
}

/// Asks whether a matchmaker hears `owner`, at `redis_ms` of Redis.
pub(super) fn ask_online(pipe: &mut Pipeline, owner: Owner, redis_ms: u64) {
    pipe.zcount(keys::peer_homes(owner), redis_ms.saturating_sub(ONLINE_MS), "+inf");
}

/// Reads the answer to [`ask_online`].
pub(super) fn read_online(answer: &Value) -> Option<bool> {
    match answer {
        Value::Int(count) => Some(*count > 0),
        _ => None,
    }
}
