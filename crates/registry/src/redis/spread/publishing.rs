//! The steps of a publish.

use std::sync::Arc;

use deadpool_redis::redis::pipe;
use hashbrown::HashMap;
use peer_core::{FileName, Owner, keys};

use super::{list_into, name_of_change, no_answer};
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

impl RedisRegistry {
    /// Writes mappings. What became of each is as `publish.lua` says it, and -4 where another one changes it now.
    pub(in crate::redis) async fn write_spread(
        &self,
        batch: &[Publish],
    ) -> Result<Vec<Written>, RegistryError> {
        let who = name_of_change();
        let mut of_owners: HashMap<Owner, Vec<usize>> = HashMap::new();
        for (place, publish) in batch.iter().enumerate() {
            of_owners.entry(publish.owner()).or_default().push(place);
        }
        let done = self.write_steps(&who, batch, &of_owners).await;
        if done.is_err() {
            self.let_go(&who, batch, &of_owners);
        }
        done
    }

    async fn write_steps(
        &self,
        who: &str,
        batch: &[Publish],
        of_owners: &HashMap<Owner, Vec<usize>>,
    ) -> Result<Vec<Written>, RegistryError> {
        let parts = self.peers_parts(who, batch, of_owners).await?;
        let mut kept = self.files_parts(batch, &parts).await?.into_iter();
        let mut third = pipe();
        let mut written = Vec::with_capacity(batch.len());
        let mut settled: HashMap<Owner, Vec<(&FileName, bool)>> = HashMap::new();
        for (publish, part) in batch.iter().zip(&parts) {
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
    async fn peers_parts(
        &self,
        who: &str,
        batch: &[Publish],
        of_owners: &HashMap<Owner, Vec<usize>>,
    ) -> Result<Vec<PeersPart>, RegistryError> {
        let (scripts, rules) = (self.link.scripts(), self.link.rules());
        let redis_ms = self.link.clock().redis_ms();
        let mut first = pipe();
        let mut places = Vec::with_capacity(batch.len());
        for (owner, of_owner) in of_owners {
            for chunk in of_owner.chunks(CALL_BATCH) {
                let publishes = chunk.iter().filter_map(|place| batch.get(*place));
                Publish::write_peer(publishes, &mut first, scripts, rules, *owner, who);
                places.extend_from_slice(chunk);
            }
        }
        for (owner, of_owner) in of_owners {
            let publishes = of_owner.iter().filter_map(|place| batch.get(*place));
            let life_ms = publishes.map(|publish| publish.life_ms(rules, redis_ms)).max();
            call(&mut first, &scripts.due_in, &[&keys::due_of(*owner)])
                .arg(owner.to_string())
                .arg(life_ms.unwrap_or(0))
                .ignore();
        }
        let numbers = self.link.query::<Vec<Vec<i64>>>(&first).await?.concat();
        let mut parts: Vec<Option<PeersPart>> = vec![None; batch.len()];
        for (place, numbers) in places.iter().zip(numbers.chunks_exact(ANSWER_NUMBERS)) {
            if let Some(part) = parts.get_mut(*place) {
                *part = PeersPart::read(numbers);
            }
        }
        parts.into_iter().collect::<Option<_>>().ok_or_else(no_answer)
    }

    /// The second step, for those that go on: what became of each in the slot of its file.
    async fn files_parts(
        &self,
        batch: &[Publish],
        parts: &[PeersPart],
    ) -> Result<Vec<[i64; 3]>, RegistryError> {
        let (scripts, rules) = (self.link.scripts(), self.link.rules());
        let mut second = pipe();
        let mut counts: HashMap<Owner, i64> = HashMap::new();
        for (publish, part) in batch.iter().zip(parts).filter(|(_, part)| part.code == 1) {
            publish.write_file(
                &mut second,
                scripts,
                rules,
                [part.new, part.struck, part.keep, part.file_wait],
            );
            *counts.entry(publish.owner()).or_default() += part.new;
            if part.new == 1 {
                list_into(&mut second, publish.file());
            }
        }
        for (owner, more) in counts.iter().filter(|(_, more)| **more > 0) {
            second.cmd("INCRBY").arg(keys::mappings_of(*owner)).arg(*more).ignore();
        }
        if second.is_empty() { Ok(Vec::new()) } else { self.link.query(&second).await }
    }

    /// Lets go of what may have been taken. Nobody waits for it: where it fails, others wait for a moment.
    fn let_go(&self, who: &str, batch: &[Publish], of_owners: &HashMap<Owner, Vec<usize>>) {
        let mut settle = pipe();
        for (owner, places) in of_owners {
            let files =
                places.iter().filter_map(|place| batch.get(*place)).map(|publish| (publish.file(), true));
            self.settle_into(&mut settle, who, *owner, files);
        }
        let link = Arc::clone(&self.link);
        tokio::spawn(async move {
            _ = link.query::<Vec<[i64; 2]>>(&settle).await;
        });
    }
}
