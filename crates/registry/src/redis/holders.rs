//! Who has files, with what is known of them.

use deadpool_redis::redis::{Pipeline, Value, pipe};
use hashbrown::{HashMap, HashSet};
use peer_core::{ContentHash, FileName, Owner, Peer, keys};

use super::RedisRegistry;
use super::hidden::Hidden;
use super::presence::Presence;
use super::read::{DRAWS, draw_size, read, text};
use crate::{Holder, Holders, HoldersQuery, RegistryError};

/// How Redis keeps what a peer claims of a file.
pub(super) fn claim(hash: &ContentHash, size: Option<u64>) -> String {
    size.map_or_else(|| hash.to_string(), |size| format!("{hash} {size}"))
}

/// The inverse of [`claim`].
pub(super) fn read_claim(claim: &str) -> Option<(ContentHash, Option<u64>)> {
    let (hash, size) = match claim.split_once(' ') {
        Some((hash, size)) => (hash, Some(size.parse().ok()?)),
        None => (claim, None),
    };
    Some((hash.parse().ok()?, size))
}

/// What a peer of a file claims.
pub(super) struct Claim {
    pub(super) owner: Owner,
    pub(super) hash: ContentHash,
    pub(super) size: Option<u64>,
}

impl Claim {
    fn read(owner: &str, claim: &str) -> Option<Self> {
        let (hash, size) = read_claim(claim)?;
        Some(Self { owner: owner.parse().ok()?, hash, size })
    }
}

/// The same draw as for addresses, with what each peer claims.
fn ask_claims(pipe: &mut Pipeline, file: &FileName, count: usize) {
    pipe.cmd("HRANDFIELD").arg(keys::file_hashes(file)).arg(count).arg("WITHVALUES");
}

fn claims(answer: Option<Value>) -> Vec<Claim> {
    let Some(Value::Array(pairs)) = answer else { return Vec::new() };
    let claim = |pair: &[Value]| match pair {
        [owner, claim] => Claim::read(text(owner)?, text(claim)?),
        _ => None,
    };
    pairs.chunks_exact(2).filter_map(claim).collect()
}

/// The peers of a file: those that are handed out and those withheld, from two answers.
pub(super) fn read_total(answers: &mut impl Iterator<Item = Value>) -> Result<usize, RegistryError> {
    let mut next = || read::<usize>(answers.next().unwrap_or_default());
    Ok(next()?.saturating_add(next()?))
}

/// A query on its way.
struct Search<'a> {
    query: &'a HoldersQuery,
    exclude: HashSet<Owner>,
    total: usize,
    drawn: Vec<Claim>,
    found: HashMap<Owner, Holder>,
    done: bool,
}

impl Search<'_> {
    fn take(&mut self, presences: &HashMap<Owner, Presence>, caller: Peer, hidden: &Hidden, redis_ms: u64) {
        for Claim { owner, hash, size } in std::mem::take(&mut self.drawn) {
            let Some(presence) = presences.get(&owner) else { continue };
            let wanted = !presence.withheld
                && owner != Owner::Address(caller)
                && self.query.hash.as_ref().is_none_or(|wanted| *wanted == hash)
                && !self.exclude.contains(&owner)
                && !self.exclude.contains(&Owner::Address(presence.address))
                && !hidden.has(owner, presence.address, &self.query.file, redis_ms);
            if wanted {
                let holder = Holder {
                    owner,
                    address: presence.address,
                    port: presence.port,
                    hash,
                    size,
                    last_seen_ms: presence.last_seen_ms,
                    online: presence.online,
                };
                self.found.insert(owner, holder);
            }
        }
    }

    fn end(self) -> Holders {
        let mut holders: Vec<Holder> = self.found.into_values().collect();
        fastrand::shuffle(&mut holders);
        holders.sort_by_key(|holder| holder.online != Some(true));
        holders.truncate(self.query.limit);
        Holders { total: self.total, holders }
    }
}

impl RedisRegistry {
    pub(super) async fn read_holders(
        &self,
        caller: Peer,
        queries: &[HoldersQuery],
    ) -> Result<Vec<Holders>, RegistryError> {
        let asking = self.caller(caller);
        let mut searches: Vec<Search> = queries
            .iter()
            .map(|query| Search {
                query,
                exclude: query.exclude.iter().copied().collect(),
                total: 0,
                drawn: Vec::new(),
                found: HashMap::new(),
                done: false,
            })
            .collect();
        let mut first = pipe();
        for search in &searches {
            first.hlen(keys::file_hashes(&search.query.file)).hlen(keys::file_withheld(&search.query.file));
            ask_claims(&mut first, &search.query.file, draw_size(search.query.limit, 0));
        }
        Self::ask_about(&asking, &mut first);
        if first.is_empty() {
            return Ok(Vec::new());
        }
        let matchmakers = self.ask_matchmakers(&mut first);
        let answers: Vec<Value> = self.link.query(&first).await?;
        let mut answers = answers.into_iter();
        for search in &mut searches {
            search.total = read_total(&mut answers)?;
            search.drawn = claims(answers.next());
        }
        let known = self.know(asking, &mut answers)?;
        let online = self.are_matchmakers_there(matchmakers, &mut answers);
        for draw in 0..DRAWS {
            let mut second = pipe();
            if draw == 0 {
                self.touch_into(&known, &mut second);
            }
            let all: HashSet<Owner> = pending(&mut searches)
                .flat_map(|search| search.drawn.iter().map(|claim| claim.owner))
                .collect();
            let all: Vec<Owner> = all.into_iter().collect();
            let (_, presences) = self.presences_and(&all, second, online).await?;
            let presences = all
                .into_iter()
                .zip(presences)
                .filter_map(|(owner, presence)| Some((owner, presence?)))
                .collect();
            let redis_ms = self.link.clock().redis_ms();
            let mut again = pipe();
            for search in searches.iter_mut().filter(|search| !search.done) {
                let complete = search.drawn.len() < draw_size(search.query.limit, draw);
                search.take(&presences, caller, &known.hidden, redis_ms);
                search.done |= complete || search.found.len() >= search.query.limit || draw + 1 == DRAWS;
                if !search.done {
                    ask_claims(&mut again, &search.query.file, draw_size(search.query.limit, draw + 1));
                }
            }
            if again.is_empty() {
                break;
            }
            let answers: Vec<Value> = self.link.query(&again).await?;
            for (search, answer) in searches.iter_mut().filter(|search| !search.done).zip(answers) {
                search.drawn = claims(Some(answer));
            }
        }
        Ok(searches.into_iter().map(Search::end).collect())
    }

    /// Which peers claim what of a file, from `cursor` on in the one of its two keys. Gives the cursor to go on from, 0 at
    /// the end.
    pub(super) async fn scan_claims(
        &self,
        key: &str,
        cursor: u64,
        count: usize,
    ) -> Result<(u64, Vec<Claim>), RegistryError> {
        let mut scan = pipe();
        scan.cmd("HSCAN").arg(key).arg(cursor).arg("COUNT").arg(count);
        let ((next, fields),): ((u64, Vec<(String, String)>),) = self.link.query(&scan).await?;
        Ok((next, fields.iter().filter_map(|(owner, claim)| Claim::read(owner, claim)).collect()))
    }
}

/// Those that go on, and drew something.
fn pending<'a, 'q>(searches: &'a mut [Search<'q>]) -> impl Iterator<Item = &'a mut Search<'q>> {
    searches.iter_mut().filter(|search| !search.done && !search.drawn.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    #[test]
    fn a_claim_is_read_as_it_was_written_also_by_an_earlier_version() {
        let hash: ContentHash = "sha256:a+/=".parse().unwrap();
        for size in [None, Some(0), Some(9_007_199_254_740_991)] {
            assert_eq!(read_claim(&claim(&hash, size)), Some((hash.clone(), size)));
        }
        assert_eq!(read_claim("sha256:a+/="), Some((hash, None)));
        assert_eq!(read_claim("a b"), None);
    }
}
