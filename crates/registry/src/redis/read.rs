//! What every read does: find out who asks, and who lives of those that were drawn.

use deadpool_redis::redis::{Pipeline, Value, from_redis_value, pipe};
use peer_core::keys::{self, Expiry};
use peer_core::{FileName, Owner, Peer};

use super::RedisRegistry;
use super::hidden::Hidden;
use super::online::{ask_online, read_online};
use super::presence::Presence;
use super::scripts::call;
use super::ttl::Ttls;
use crate::RegistryError;

/// Draws at most, each larger than the one before: for files most of whose peers died since the last sweep.
pub(super) const DRAWS: usize = 3;
/// Keys in one `MGET`, in keys: about 0.2 ms of Redis.
const MGET_KEYS: usize = 500;
/// How long one that is no peer need not be looked for, in ms: a part of the shortest time to live that a peer may ask for, since
/// it may have published through another tracker meanwhile.
const NO_PEER_MS: u64 = peer_core::limits::PEER_TTL_MIN_SECS as u64 * 1_000 / 16;

/// How many peers are drawn at once to hand out `limit`: some more, since some may be dead, and the last time so many
/// that a file of a few hundred is read whole.
pub(super) fn draw_size(limit: usize, draw: usize) -> usize {
    match draw {
        0 => limit.saturating_add(limit / 4).saturating_add(4),
        1 => limit.saturating_mul(4),
        _ => limit.saturating_mul(10),
    }
}

/// A request's caller.
pub(super) struct Caller {
    peer: Peer,
    local_ms: u64,
    /// Whether it may be a peer whose sign of life is to be noted.
    may_touch: bool,
    hidden: Option<Hidden>,
    hidden_epoch: u64,
}

/// What is known of it after the first round trip.
pub(super) struct KnownCaller {
    pub(super) hidden: Hidden,
    /// The peer whose sign of life goes with the next round trip, and the time to live in ms that it asked for.
    touch: Option<(Peer, Option<u64>)>,
}

impl RedisRegistry {
    pub(super) fn caller(&self, peer: Peer) -> Caller {
        let local_ms = self.link.clock().local_ms();
        let hidden_epoch = self.hidden.epoch();
        Caller {
            peer,
            local_ms,
            may_touch: !self.touched.holds(peer, local_ms),
            hidden: self.hidden.get(peer, local_ms),
            hidden_epoch,
        }
    }

    /// What is known of the caller, asked for where it is not.
    pub(super) async fn know_alone(&self, caller: Caller) -> Result<Hidden, RegistryError> {
        if let (Some(hidden), false) = (&caller.hidden, caller.may_touch) {
            return Ok(hidden.clone());
        }
        let mut about = pipe();
        Self::ask_about(&caller, &mut about);
        let answers: Vec<Value> = if about.is_empty() { Vec::new() } else { self.link.query(&about).await? };
        let known = self.know(caller, &mut answers.into_iter())?;
        let mut touch = pipe();
        self.touch_into(&known, &mut touch);
        if !touch.is_empty() {
            let _: Vec<Value> = self.link.query(&touch).await?;
        }
        Ok(known.hidden)
    }

    /// What has to be asked about the caller.
    pub(super) fn ask_about(caller: &Caller, pipe: &mut Pipeline) {
        if caller.may_touch {
            pipe.get(keys::peer_seen(caller.peer.into()));
        }
        if caller.hidden.is_none() {
            pipe.cmd("ZRANGE").arg(keys::hidden(caller.peer)).arg(0).arg(-1).arg("WITHSCORES");
        }
    }

    /// Reads the answers to [`Self::ask_about`].
    pub(super) fn know(
        &self,
        caller: Caller,
        answers: &mut impl Iterator<Item = Value>,
    ) -> Result<KnownCaller, RegistryError> {
        let mut touch = None;
        if caller.may_touch {
            match answers.next() {
                Some(Value::Nil) | None => {
                    let until_ms = Ttls::touch_ms(self.ttls.of(Expiry::Peer)).min(NO_PEER_MS);
                    self.touched.set(caller.peer, caller.local_ms.saturating_add(until_ms));
                }
                Some(seen) => {
                    let presence =
                        text(&seen).and_then(|seen| Presence::read(caller.peer.into(), seen, self.ttls));
                    touch = Some((caller.peer, presence.and_then(|presence| presence.asked_ms)));
                }
            }
        }
        let hidden = if let Some(hidden) = caller.hidden {
            hidden
        } else {
            let reported: Vec<(String, f64)> = read(answers.next().unwrap_or_default())?;
            let hidden = Hidden::read(&reported, self.ttls.of(Expiry::Report));
            self.hidden.put(caller.peer, hidden, caller.local_ms, caller.hidden_epoch)
        };
        Ok(KnownCaller { hidden, touch })
    }

    /// The sign of life of a caller that is a peer.
    pub(super) fn touch_into(&self, known: &KnownCaller, pipe: &mut Pipeline) {
        if let Some((peer, asked_ms)) = known.touch {
            let ttl_ms = self.ttls.of(Expiry::Peer);
            call(pipe, &self.link.scripts().touch, &[&keys::peer_seen(peer.into())]).arg(ttl_ms).ignore();
            self.presences.renew(peer.into());
            self.touched(peer, asked_ms);
        }
    }

    /// `peer`, which asked for this time to live in ms, was heard.
    pub(super) fn touched(&self, peer: Peer, asked_ms: Option<u64>) {
        let until_ms = Ttls::touch_ms(self.ttls.life_ms(asked_ms));
        self.touched.set(peer, self.link.clock().local_ms().saturating_add(until_ms));
    }

    /// Sends `pipe` with what is to be read of `owners` behind it: those that are known locally need no round trip.
    /// Gives the answers to `pipe`, then what is known of each owner that is alive.
    pub(super) async fn presences(
        &self,
        owners: &[Owner],
        pipe: Pipeline,
    ) -> Result<(Vec<Value>, Vec<Option<Presence>>), RegistryError> {
        self.presences_and(owners, pipe, false).await
    }

    /// The same; with `online`, also whether a matchmaker hears them.
    pub(super) async fn presences_and(
        &self,
        owners: &[Owner],
        mut pipe: Pipeline,
        online: bool,
    ) -> Result<(Vec<Value>, Vec<Option<Presence>>), RegistryError> {
        let clock = self.link.clock();
        let (local_ms, redis_ms) = (clock.local_ms(), clock.redis_ms());
        let known = |owner: &Owner| {
            let presence = self.presences.get(*owner, local_ms, redis_ms)?;
            (!online || presence.online.is_some()).then_some(presence)
        };
        let mut presences: Vec<Option<Presence>> = owners.iter().map(known).collect();
        let unknown: Vec<_> = owners
            .iter()
            .zip(&presences)
            .enumerate()
            .filter(|(_, (_, presence))| presence.is_none())
            .map(|(place, (owner, _))| (place, *owner, self.presences.epoch(*owner)))
            .collect();
        // One command for keys of many slots is for one Redis.
        let at_once = if self.link.is_cluster() { 1 } else { MGET_KEYS };
        for chunk in unknown.chunks(at_once) {
            pipe.mget(chunk.iter().map(|(_, owner, _)| keys::peer_seen(*owner)).collect::<Vec<_>>());
        }
        if online {
            for (_, owner, _) in &unknown {
                ask_online(&mut pipe, *owner, redis_ms);
            }
        }
        if pipe.is_empty() {
            return Ok((Vec::new(), presences));
        }
        let mut answers: Vec<Value> = self.link.query(&pipe).await?;
        let heard = answers.split_off(answers.len().saturating_sub(if online { unknown.len() } else { 0 }));
        let mut heard = heard.iter();
        let reads = answers.split_off(answers.len().saturating_sub(unknown.len().div_ceil(at_once)));
        for (chunk, answer) in unknown.chunks(at_once).zip(reads) {
            let Value::Array(values) = answer else { continue };
            for ((place, owner, epoch), value) in chunk.iter().zip(values) {
                let online = heard.next().and_then(read_online);
                let Some(presence) = text(&value).and_then(|value| Presence::read(*owner, value, self.ttls))
                else {
                    continue;
                };
                let presence = Presence { online, ..presence };
                self.presences.put(*owner, presence, local_ms, *epoch);
                if let Some(known) = presences.get_mut(*place) {
                    *known = Some(presence);
                }
            }
        }
        Ok((answers, presences))
    }
}

/// Asks for `count` different peers of a file, or all where there are no more. It takes as long as the answer is, whatever the
/// size of the file.
pub(super) fn ask_draw(pipe: &mut Pipeline, file: &FileName, count: usize) {
    pipe.cmd("HRANDFIELD").arg(keys::file_hashes(file)).arg(count);
}

/// Names, as far as they are those of owners.
pub(super) fn owners(answer: Option<Value>) -> Vec<Owner> {
    let Some(Value::Array(members)) = answer else { return Vec::new() };
    members.iter().filter_map(|member| text(member)?.parse().ok()).collect()
}

pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

pub(super) fn read<T: deadpool_redis::redis::FromRedisValue>(value: Value) -> Result<T, RegistryError> {
    from_redis_value(value).map_err(|error| RegistryError::Unavailable(error.to_string()))
}
