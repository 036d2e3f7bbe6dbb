//! A Redis in virtual time, as far as matchmakers use it: who said what, which commands that took, and their bytes on the wire.

use std::collections::{BTreeMap, HashMap};

use peer_core::limits::{HOME_MS, NODE_MS};
use peer_core::{NodeId, Owner, keys};
use registry::nodes::{Home, HomeAt, HomeKind, Node};
use serde::Serialize;

use crate::figures::float;

/// Members of a peer's homes that a script or a search looks at.
const HOMES_MAX: usize = 8;
const SHA_CHARS: usize = 40;
const KEY_CHARS: usize = 32;

/// What Redis did and carried.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Load {
    /// Calls by name, as `INFO commandstats` counts them: those that scripts make are among them.
    pub calls: BTreeMap<&'static str, u64>,
    /// Bytes that nodes sent to it.
    pub in_bytes: u64,
    /// Bytes that it sent to nodes, messages of channels among them.
    pub out_bytes: u64,
    /// What nodes wanted of it.
    pub done: Done,
}

/// What nodes wanted of Redis, counted.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Done {
    /// A peer was said to be heard.
    pub heard: u64,
    /// A node said that it is there.
    pub beats: u64,
    /// It was looked up who hears a peer.
    pub finds: u64,
    /// A message went to another node.
    pub messages: u64,
}

impl Load {
    /// What came since `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let earlier = |name| before.calls.get(name).copied().unwrap_or_default();
        Self {
            calls: self.calls.iter().map(|(name, calls)| (*name, calls - earlier(name))).collect(),
            in_bytes: self.in_bytes - before.in_bytes,
            out_bytes: self.out_bytes - before.out_bytes,
            done: Done {
                heard: self.done.heard - before.done.heard,
                beats: self.done.beats - before.done.beats,
                finds: self.done.finds - before.done.finds,
                messages: self.done.messages - before.done.messages,
            },
        }
    }

    /// All calls together.
    pub(crate) fn all_calls(&self) -> f64 {
        float(self.calls.values().sum())
    }
}

/// The state, and what it took.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    homes: HashMap<Owner, Vec<(HomeAt, u64)>>,
    alive: BTreeMap<NodeId, (String, u64)>,
    pub load: Load,
}

impl Ledger {
    fn call(&mut self, name: &'static str) {
        *self.load.calls.entry(name).or_default() += 1;
    }

    fn bytes(&mut self, request: usize, answer: usize) {
        self.load.in_bytes += request as u64;
        self.load.out_bytes += answer as u64;
    }

    /// A node hears a peer: the script `heard`. Gives the others that said so, the last first.
    pub(crate) fn heard(&mut self, node: NodeId, home: Home, ttl_ms: u64, now_us: u64) -> Vec<HomeAt> {
        let this = HomeAt { node, kind: home.kind };
        let keys = [keys::peer_homes(home.owner), keys::peer_seen(home.owner)];
        let is_sign_of_life = home.kind != HomeKind::Legacy;
        let ttl = if is_sign_of_life { ttl_ms.to_string() } else { "-".to_owned() };
        let member = this.to_string();
        let request = words(&[
            7,
            SHA_CHARS,
            1,
            keys[0].len(),
            keys[1].len(),
            member.len(),
            HOME_MS.to_string().len(),
            ttl.len(),
        ]);
        for name in ["evalsha", "time", "zadd", "zremrangebyscore", "pexpire", "zrevrange"] {
            self.call(name);
        }
        if is_sign_of_life {
            // No tracker is part of this: nobody has a sign of life that would be renewed.
            self.call("get");
        }
        let homes = self.homes.entry(home.owner).or_default();
        homes.retain(|(at, said_us)| *at != this && now_us - said_us < HOME_MS * 1_000);
        let others: Vec<HomeAt> = homes.iter().map(|(at, _)| *at).take(HOMES_MAX - 1).collect();
        homes.insert(0, (this, now_us));
        self.load.done.heard += 1;
        self.bytes(request, words(&lengths(&others)));
        others
    }

    /// A node hears a peer no more.
    pub(crate) fn lost(&mut self, node: NodeId, home: Home) {
        let this = HomeAt { node, kind: home.kind };
        if let Some(homes) = self.homes.get_mut(&home.owner) {
            homes.retain(|(at, _)| *at != this);
        }
        self.call("zrem");
        self.bytes(words(&[4, keys::peer_homes(home.owner).len(), this.to_string().len()]), 4);
    }

    /// A node is there: the script `beat`, which names all that are.
    pub(crate) fn beat(&mut self, node: &Node, now_us: u64) {
        let said = node.to_string();
        let is_first = self.alive.is_empty();
        let before = self.alive.get(&node.id).map_or(said.len(), |(text, _)| text.len());
        self.alive.retain(|_, (_, beat_us)| now_us - *beat_us < NODE_MS * 1_000);
        self.alive.insert(node.id, (said.clone(), now_us));
        for name in ["evalsha", "time", "zremrangebyscore", "zadd", "pexpire", "hmget", "zrevrange"] {
            self.call(name);
        }
        if is_first {
            self.call("hset");
        }
        let request = words(&[
            7,
            SHA_CHARS,
            1,
            keys::nodes().len(),
            keys::token_keys().len(),
            said.len(),
            before,
            NODE_MS.to_string().len(),
            4,
            KEY_CHARS,
            KEY_CHARS,
            0,
            KEY_CHARS,
            8,
            1,
        ]);
        let mut answer = vec![KEY_CHARS, KEY_CHARS, 0];
        answer.extend(self.alive.values().map(|(text, _)| text.len()));
        self.load.done.beats += 1;
        self.bytes(request, words(&answer));
    }

    /// Who hears a peer.
    pub(crate) fn find(&mut self, owner: Owner) -> Vec<HomeAt> {
        self.call("zrevrange");
        let homes = self.homes.get(&owner).into_iter().flatten();
        let homes: Vec<HomeAt> = homes.map(|(at, _)| *at).take(HOMES_MAX).collect();
        self.load.done.finds += 1;
        self.bytes(words(&[9, keys::peer_homes(owner).len(), 1, 1]), words(&lengths(&homes)));
        homes
    }

    /// A message for a node, which listens.
    pub(crate) fn tell(&mut self, to: NodeId, message: &[u8]) {
        self.call("publish");
        let channel = keys::node_channel(to).len();
        self.load.done.messages += 1;
        let delivered = words(&[7, channel, message.len()]);
        self.bytes(words(&[7, channel, message.len()]), 4 + delivered);
    }

    /// Peers that some node is said to hear, each in each way.
    pub(crate) fn homes(&self) -> usize {
        self.homes.values().map(Vec::len).sum()
    }
}

fn lengths(homes: &[HomeAt]) -> Vec<usize> {
    homes.iter().map(|home| home.to_string().len()).collect()
}

/// Bytes of an array of strings of these lengths (RESP2).
fn words(lengths: &[usize]) -> usize {
    let line = |number: usize| 1 + number.to_string().len() + 2;
    line(lengths.len()) + lengths.iter().map(|length| line(*length) + length + 2).sum::<usize>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;

    #[test]
    fn words_are_counted_as_they_go_over_the_wire() {
        assert_eq!(words(&[4]), b"*1\r\n$4\r\nPING\r\n".len());
        assert_eq!(words(&[3, 0, 12]), b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$12\r\nabcdefghijkl\r\n".len());
        assert_eq!(words(&[]), b"*0\r\n".len());
    }

    #[test]
    fn who_hears_a_peer_is_the_last_that_said_so_and_for_a_time() {
        let peer = peer_core::Peer::new("192.0.2.1".parse().unwrap()).unwrap();
        let home = Home { owner: peer.into(), kind: HomeKind::Address };
        let (first, second) = (NodeId::from_bits(1), NodeId::from_bits(2));
        let mut ledger = Ledger::default();
        assert_eq!(ledger.heard(first, home, 1, 0), []);
        let at = |node| HomeAt { node, kind: HomeKind::Address };
        assert_eq!(ledger.heard(second, home, 1, 1), [at(first)]);
        assert_eq!(ledger.find(home.owner), [at(second), at(first)]);
        ledger.lost(second, home);
        assert_eq!(ledger.find(home.owner), [at(first)]);
        assert_eq!(ledger.heard(second, home, 1, HOME_MS * 1_000), [], "the first was silent for too long");
        assert_eq!(ledger.load.calls.get("evalsha"), Some(&3));
        assert_eq!(ledger.homes(), 1);
    }
}
