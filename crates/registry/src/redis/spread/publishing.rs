//! The steps of a publish.

use std::sync::Arc;

use deadpool_redis::redis::{Pipeline, pipe};
use hashbrown::HashMap;
use peer_core::{FileName, Owner, keys};

use super::{list_into, name_of_change, no_answer, too_late};
use crate::RegistryError;
use crate::redis::RedisRegistry;
use crate::redis::publish::{CALL_BATCH, Publish, Written};
use crate::redis::scripts::call;

/// Numbers that `publish_peer.lua` gives of each file.
const ANSWER_NUMBERS: usize = 7;

/// What `publish_peer.lua` says of a file.
#[derive(Clone, Copy)]
struct PeersPart {
    code: i64,
    changed: i64,
    new: i64,
    struck: i64,
    keep: i64,
    peer_wait: i64,
    file_wait: i64,
}

impl PeersPart {
    fn read(numbers: &[i64]) -> Option<Self> {
        match *numbers {
            [code, changed, new, struck, keep, peer_wait, file_wait] => {
                Some(Self { code, changed, new, struck, keep, peer_wait, file_wait })
            }
            _ => None,
        }
    }
}

/// What `publish_file.lua` says when it came too late, and did nothing.
const TOO_LATE: i64 = -5;

/// Mappings to be written, each once: the parts of two of the same would be told apart by nobody.
struct Once<'a> {
    publishes: Vec<&'a Publish>,
    /// Where each of the batch is among these.
    places: Vec<usize>,
    /// Which of these are an owner's.
    of_owners: HashMap<Owner, Vec<usize>>,
}

impl<'a> Once<'a> {
    /// Each in the place of its first, as its last has it.
    fn new(batch: &'a [Publish]) -> Self {
        let mut known: HashMap<(Owner, &FileName), usize> = HashMap::with_capacity(batch.len());
        let mut once = Self {
            publishes: Vec::with_capacity(batch.len()),
            places: Vec::with_capacity(batch.len()),
            of_owners: HashMap::new(),
        };
        for publish in batch {
            let next = once.publishes.len();
            let place = *known.entry((publish.owner(), publish.file())).or_insert(next);
            match once.publishes.get_mut(place) {
                Some(before) if publish.replaces(before) => *before = publish,
                Some(_) => {}
                None => {
                    once.publishes.push(publish);
                    once.of_owners.entry(publish.owner()).or_default().push(place);
                }
            }
            once.places.push(place);
        }
        once
    }

    fn of<'b>(&'b self, places: &'b [usize]) -> impl Iterator<Item = &'a Publish> + use<'a, 'b> {
        places.iter().filter_map(|place| self.publishes.get(*place).copied())
    }
}

impl RedisRegistry {
    /// Writes mappings. What became of each is as `publish.lua` says it, and -4 where another one changes it now.
    pub(in crate::redis) async fn write_spread(
        &self,
        batch: &[Publish],
    ) -> Result<Vec<Written>, RegistryError> {
        let (who, until_ms) = (name_of_change(), self.until_ms());
        let once = Once::new(batch);
        let parts = match self.peers_parts(&who, &once).await {
            Ok(parts) => parts,
            Err(error) => {
                // No claim was sent yet. Later one may be on its way, and what it is for stays taken until it would be too late.
                self.let_go(&who, &once);
                return Err(error);
            }
        };
        let written = self.other_parts(&who, &once, &parts, until_ms).await?;
        once.places
            .iter()
            .map(|place| written.get(*place).copied())
            .collect::<Option<_>>()
            .ok_or_else(no_answer)
    }

    /// The second and the third step.
    async fn other_parts(
        &self,
        who: &str,
        once: &Once<'_>,
        parts: &[PeersPart],
        until_ms: u64,
    ) -> Result<Vec<Written>, RegistryError> {
        let mut kept = self.files_parts(&once.publishes, parts, until_ms).await?.into_iter();
        let mut third = pipe();
        let mut written = Vec::with_capacity(parts.len());
        let mut settled: HashMap<Owner, Vec<(&FileName, bool)>> = HashMap::new();
        for (publish, part) in once.publishes.iter().zip(parts) {
            if part.code != 1 {
                written.push(Written::new(part.code, 0, part.changed));
                continue;
            }
            let [code, list, newer] = kept.next().ok_or_else(no_answer)?;
            settled.entry(publish.owner()).or_default().push((publish.file(), code == 1));
            if code == 1 && list == 1 && newer == 0 {
                list_into(&mut third, publish.file());
            }
            let wait = if newer == 1 { 0 } else { part.peer_wait.max(part.file_wait) };
            written.push(match code {
                1 if wait > 0 => Written::new(2, wait, part.changed),
                code => Written::new(code, 0, part.changed),
            });
        }
        for (owner, places) in &once.of_owners {
            // Who found no index before it stood may have taken the peer out of the due set since.
            if places.iter().filter_map(|place| parts.get(*place)).any(|part| part.new == 1) {
                self.due_into(&mut third, *owner, once.of(places));
            }
        }
        for (owner, files) in &settled {
            self.settle_into(&mut third, who, *owner, files.iter().copied());
        }
        let answers: Vec<[i64; 2]> =
            if third.is_empty() { Vec::new() } else { self.link.query(&third).await? };
        for ((owner, files), [lost, has]) in settled.iter().zip(answers) {
            if files.iter().any(|(_, kept)| !kept) {
                self.lose(*owner, lost, has == 1).await?;
            }
        }
        Ok(written)
    }

    /// The first step: what became of each in the slot of its peer.
    async fn peers_parts(&self, who: &str, once: &Once<'_>) -> Result<Vec<PeersPart>, RegistryError> {
        let (scripts, rules) = (self.link.scripts(), self.link.rules());
        let mut first = pipe();
        let mut places = Vec::with_capacity(once.publishes.len());
        for (owner, of_owner) in &once.of_owners {
            for chunk in of_owner.chunks(CALL_BATCH) {
                Publish::write_peer(once.of(chunk), &mut first, scripts, rules, *owner, who);
                places.extend_from_slice(chunk);
            }
        }
        for (owner, places) in &once.of_owners {
            self.due_into(&mut first, *owner, once.of(places));
        }
        let numbers = self.link.query::<Vec<Vec<i64>>>(&first).await?.concat();
        let mut parts: Vec<Option<PeersPart>> = vec![None; once.publishes.len()];
        for (place, numbers) in places.iter().zip(numbers.chunks_exact(ANSWER_NUMBERS)) {
            if let Some(part) = parts.get_mut(*place) {
                *part = PeersPart::read(numbers);
            }
        }
        parts.into_iter().collect::<Option<_>>().ok_or_else(no_answer)
    }

    /// Has a peer looked at when its life may be over.
    fn due_into<'a>(&self, pipe: &mut Pipeline, owner: Owner, publishes: impl Iterator<Item = &'a Publish>) {
        let (rules, redis_ms) = (self.link.rules(), self.link.clock().redis_ms());
        let life_ms = publishes.map(|publish| publish.life_ms(rules, redis_ms)).max();
        call(pipe, &self.link.scripts().due_in, &[&keys::due_of(owner)])
            .arg(owner.to_string())
            .arg(life_ms.unwrap_or(0))
            .ignore();
    }

    /// The second step, for those that go on: what became of each in the slot of its file.
    async fn files_parts(
        &self,
        publishes: &[&Publish],
        parts: &[PeersPart],
        until_ms: u64,
    ) -> Result<Vec<[i64; 3]>, RegistryError> {
        let (scripts, rules) = (self.link.scripts(), self.link.rules());
        let mut second = pipe();
        let mut counts: HashMap<Owner, i64> = HashMap::new();
        for (publish, part) in publishes.iter().zip(parts).filter(|(_, part)| part.code == 1) {
            let said = [part.new, part.struck, part.keep, part.file_wait];
            publish.write_file(&mut second, scripts, rules, said, until_ms);
            *counts.entry(publish.owner()).or_default() += part.new;
            if part.new == 1 {
                list_into(&mut second, publish.file());
            }
        }
        for (owner, more) in counts.iter().filter(|(_, more)| **more > 0) {
            second.cmd("INCRBY").arg(keys::mappings_of(*owner)).arg(*more).ignore();
        }
        if second.is_empty() {
            return Ok(Vec::new());
        }
        let answers: Vec<[i64; 3]> = self.link.query(&second).await?;
        if answers.iter().any(|[code, ..]| *code == TOO_LATE) { Err(too_late()) } else { Ok(answers) }
    }

    /// Lets go of what may have been taken. Nobody waits for it: where it fails, others wait for a moment.
    fn let_go(&self, who: &str, once: &Once<'_>) {
        let mut settle = pipe();
        for (owner, places) in &once.of_owners {
            let files = once.of(places).map(|publish| (publish.file(), true));
            self.settle_into(&mut settle, who, *owner, files);
        }
        let link = Arc::clone(&self.link);
        tokio::spawn(async move {
            _ = link.query::<Vec<[i64; 2]>>(&settle).await;
        });
    }
}
