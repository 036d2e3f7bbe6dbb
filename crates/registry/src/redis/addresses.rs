//! The addresses of a file's peers: a random sample, then who of it lives. Of a hot file, the sample that is kept.

use std::sync::Arc;

use deadpool_redis::redis::{Value, pipe};
use hashbrown::HashSet;
use peer_core::{FileName, Owner, Peer};

use super::RedisRegistry;
use super::drawn::{HOT_DRAW, HotPeer, HotPeers};
use super::hidden::Hidden;
use super::hot::{Asked, Ticket};
use super::presence::Presence;
use super::read::{Caller, DRAWS, ask_draw, draw_size, owners};
use crate::RegistryError;

/// How often one waits for what another one reads before it reads itself.
const WAITS: usize = 2;

/// Peers of a file to choose from.
enum Sample {
    Kept(Arc<HotPeers>),
    /// They have to be read; with a ticket, for others too.
    Nothing(Option<Ticket>),
}

/// What was drawn of a file.
struct Drawn {
    /// All that live.
    alive: Vec<HotPeer>,
    /// Those of them that the caller sees.
    shown: Vec<HotPeer>,
    /// As in [`HotPeers`].
    complete_to: usize,
}

impl RedisRegistry {
    pub(super) async fn read_addresses(
        &self,
        peer: Peer,
        file: &FileName,
        limit: usize,
    ) -> Result<Vec<Peer>, RegistryError> {
        let ticket = match self.sample_of(file).await? {
            Sample::Kept(hot) => {
                let hidden = self.know_alone(self.caller(peer)).await?;
                if let Some(answer) = self.answer_from(&hot, &hidden, file, limit) {
                    // The store has to be there all the same: nobody is told of peers while it may have forgotten them.
                    self.link.ready()?;
                    return Ok(answer);
                }
                None
            }
            Sample::Nothing(ticket) => ticket,
        };
        let caller = self.caller(peer);
        // A hot file has more drawn of it, for those that are answered from memory next.
        let least = if ticket.is_some() { HOT_DRAW } else { 0 };
        let drawn = self.draw_addresses(caller, file, limit, least).await;
        if let Some(ticket) = ticket {
            let hot = drawn.as_ref().map(|drawn| HotPeers::new(drawn.alive.clone(), drawn.complete_to));
            self.hot.keep(file, ticket, hot.map_err(RegistryError::clone));
        }
        Ok(choose(drawn?.shown, limit))
    }

    /// What is kept of the file, or is being read by another one.
    async fn sample_of(&self, file: &FileName) -> Result<Sample, RegistryError> {
        for _ in 0..WAITS {
            let mut news = match self.hot.ask(file, self.link.clock().local_ms()) {
                Asked::Kept(peers) => return Ok(Sample::Kept(peers)),
                Asked::Nothing(ticket) => return Ok(Sample::Nothing(ticket)),
                Asked::Wait(news) => news,
            };
            // Closed where the one who read has gone.
            if let Ok(Some(read)) = news.wait_for(Option::is_some).await.as_deref() {
                return read.clone().map(Sample::Kept);
            }
        }
        Ok(Sample::Nothing(None))
    }

    /// Draws at least so many at once until there are enough that live.
    async fn draw_addresses(
        &self,
        caller: Caller,
        file: &FileName,
        limit: usize,
        least: usize,
    ) -> Result<Drawn, RegistryError> {
        let size = |draw| draw_size(limit, draw).max(least);
        let mut first = pipe();
        ask_draw(&mut first, file, size(0));
        Self::ask_about(&caller, &mut first);
        let answers: Vec<Value> = self.link.query(&first).await?;
        let mut answers = answers.into_iter();
        let mut drawn = owners(answers.next());
        let known = self.know(caller, &mut answers)?;
        let mut touch = pipe();
        self.touch_into(&known, &mut touch);
        let mut all = Drawn {
            alive: Vec::with_capacity(drawn.len()),
            shown: Vec::with_capacity(drawn.len()),
            complete_to: 0,
        };
        let mut looked_at = HashSet::new();
        for draw in 0..DRAWS {
            let (_, presences) = self.presences(&drawn, std::mem::replace(&mut touch, pipe())).await?;
            let redis_ms = self.link.clock().redis_ms();
            for (owner, presence) in drawn.iter().zip(presences) {
                let Some(peer) = presence.and_then(|presence| living(*owner, presence)) else { continue };
                if draw > 0 && looked_at.contains(owner) {
                    continue;
                }
                all.alive.push(peer);
                if !known.hidden.has(peer.owner, peer.address, file, redis_ms) {
                    all.shown.push(peer);
                }
            }
            if drawn.len() < size(draw) {
                all.complete_to = usize::MAX;
                break;
            } else if all.shown.len() >= limit {
                break;
            } else if draw + 1 == DRAWS {
                all.complete_to = limit;
                break;
            }
            looked_at.extend(drawn);
            let mut again = pipe();
            ask_draw(&mut again, file, size(draw + 1));
            let (answer,): (Value,) = self.link.query(&again).await?;
            drawn = owners(Some(answer));
        }
        Ok(all)
    }

    /// `None` where too few are left and there may be more to find.
    fn answer_from(
        &self,
        hot: &HotPeers,
        hidden: &Hidden,
        file: &FileName,
        limit: usize,
    ) -> Option<Vec<Peer>> {
        let redis_ms = self.link.clock().redis_ms();
        let mut answer = Vec::with_capacity(limit.min(hot.peers.len()));
        let mut seen = HashSet::new();
        let (mut found, mut died) = (0, false);
        for peer in hot.rotated() {
            if answer.len() == limit {
                break;
            } else if peer.until_ms <= redis_ms {
                // Or it was heard by another tracker.
                died = true;
            } else if !hidden.has(peer.owner, peer.address, file, redis_ms) {
                found += 1;
                if !hot.keyed || seen.insert(peer.address) {
                    answer.push(peer.address);
                }
            }
        }
        if found < limit && (died || limit > hot.complete_to) {
            return None;
        }
        Some(answer)
    }
}

fn living(owner: Owner, presence: Presence) -> Option<HotPeer> {
    (!presence.withheld).then_some(HotPeer { owner, address: presence.address, until_ms: presence.until_ms })
}

/// Puts a fair sample of `count` to the front, at the price of these and not of all.
fn shuffle_first(found: &mut [HotPeer], count: usize) {
    for place in 0..count.min(found.len()) {
        found.swap(place, fastrand::usize(place..found.len()));
    }
}

/// The addresses of at most `limit` of them, in any order, none twice.
fn choose(mut found: Vec<HotPeer>, limit: usize) -> Vec<Peer> {
    // Redis gives few of them in order.
    shuffle_first(&mut found, limit);
    if found.iter().any(|peer| peer.owner.id().is_some()) {
        // Several may be at one address.
        let mut seen = HashSet::with_capacity(found.len());
        found.retain(|peer| seen.insert(peer.address));
    }
    found.truncate(limit);
    found.into_iter().map(|peer| peer.address).collect()
}
