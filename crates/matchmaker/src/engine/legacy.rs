//! The requests of the original protocol.

use std::net::IpAddr;

use peer_core::Peer;
use peer_core::datagram::Reply;
use peer_core::datagram::v2::{PunchKey, Target as V2Target};

use super::{Engine, Found, Sender};
use crate::nodes::ELSEWHERE_BYTES;
use crate::nodes::asks::{Asker, NewAsk};
use crate::outbox::Outbox;
use crate::outcome::Outcome;
use crate::registrations::{Kept, Target};
use crate::shard::Shard;

impl Engine {
    pub(super) fn register_legacy(&self, now_us: u64, sender: &Sender, out: &mut Outbox) -> Outcome {
        let ip = sender.from.ip();
        let hash = self.hash(ip);
        let source = self.source_hash(ip, hash);
        let may_answer =
            |shard: &mut Shard| shard.limits_of(ip).is_none() || shard.may_answer(source, now_us);
        // The limits of an IPv6 source may be kept elsewhere; never are two shards locked at once.
        let elsewhere =
            (source != hash).then(|| self.shard(source).is_some_and(|mut shard| may_answer(&mut shard)));
        let Some(mut shard) = self.shard(hash) else { return Outcome::BogusSource };
        let allowed = elsewhere.unwrap_or_else(|| may_answer(&mut shard));
        if !allowed {
            // It is there all the same.
            shard.registrations.touch(hash, sender.from, sender.via, now_us);
            return Outcome::SourceLimit;
        }
        let kept = shard.registrations.register(hash, sender.from, sender.via, now_us, |ip| self.hash(ip));
        drop(shard);
        // It is true where it is not kept, too.
        out.push(sender.reply_to, sender.via, Reply::YourAddr(sender.from));
        if kept == Kept::Anew {
            self.legacy_arrived(now_us, sender.from, out);
        }
        if kept == Kept::No { Outcome::TableFull } else { Outcome::Registered }
    }

    /// An error message: one answer to the sender.
    pub(super) fn complain(
        &self,
        now_us: u64,
        sender: &Sender,
        reply: Reply<'_>,
        outcome: Outcome,
        out: &mut Outbox,
    ) -> Outcome {
        let (queued, start) = (out.len(), out.bytes_len());
        out.push(sender.reply_to, sender.via, reply);
        match self.admit(now_us, sender, None, out.bytes_len() - start) {
            Ok(_) => outcome,
            Err(refused) => {
                out.truncate(queued, start);
                refused
            }
        }
    }

    pub(super) fn connect_legacy(
        &self,
        now_us: u64,
        sender: &Sender,
        text: &str,
        out: &mut Outbox,
    ) -> Outcome {
        let target = text.parse::<Peer>().ok().map(Peer::ip);
        if target == Some(sender.from.ip()) {
            // Who asks for himself is to be told where he is now, not where he was.
            self.touch(now_us, sender);
        }
        let found = target.and_then(|ip| self.find_newest(now_us, ip));
        let (queued, start) = (out.len(), out.bytes_len());
        let mut told = None;
        match &found {
            Some(Found::Legacy(Target { addr, via })) => {
                out.push(sender.reply_to, sender.via, Reply::Peer(*addr));
                out.push(*addr, *via, Reply::Peer(sender.from));
            }
            Some(Found::V2(peer)) => {
                out.push(sender.reply_to, sender.via, Reply::Peer(peer.addr));
                told = self.tell_of_legacy(now_us, sender.from, peer, out);
            }
            None => out.push(sender.reply_to, sender.via, Reply::NotFound { target: text }),
        }
        let elsewhere = match (&found, target) {
            (None, Some(ip)) if ip != sender.from.ip() => self.nodes.as_ref().map(|nodes| (nodes, ip)),
            _ => None,
        };
        // What it costs is known only now, and whether it may cost so much is asked before anything is sent.
        let sent = out.bytes_len() - start + if elsewhere.is_some() { ELSEWHERE_BYTES } else { 0 };
        let mut registered = false;
        let admitted = self.admit(now_us, sender, target, sent).and_then(|admitted| {
            registered = admitted.registered;
            let asked = match &found {
                Some(Found::Legacy(peer)) => self.may_be_asked(now_us, peer.addr.ip(), admitted),
                Some(Found::V2(peer)) => self.v2_peer_may_be_asked(now_us, peer.addr, admitted),
                None => Ok(()),
            };
            asked.inspect_err(|_| self.give_back(now_us, sender, sent, admitted))
        });
        match admitted {
            Ok(()) if found.is_some() => {
                if let Some(told) = &told {
                    self.remember(told, now_us);
                }
                Outcome::Matched
            }
            Ok(()) => {
                let Some((nodes, ip)) = elsewhere else { return Outcome::NotFound };
                out.truncate(queued, start);
                let asker = Asker::Legacy { from: sender.from, text: text.into(), registered };
                let new = NewAsk {
                    key: PunchKey::from_bytes([0; 16]),
                    asker,
                    target: V2Target::Ip(ip),
                    reply_to: sender.reply_to,
                    via: sender.via,
                    repeat: self.hash_of(&(sender.from, ip)),
                };
                self.seek(nodes, now_us, new, [Outcome::Sought, Outcome::Sought, Outcome::SeekLimit], out)
            }
            Err(refused) => {
                out.truncate(queued, start);
                refused
            }
        }
    }

    /// A sign of life of the sender. Gives whether it is registered.
    pub(super) fn touch(&self, now_us: u64, sender: &Sender) -> bool {
        let hash = self.hash(sender.from.ip());
        self.shard(hash)
            .is_some_and(|mut shard| shard.registrations.touch(hash, sender.from, sender.via, now_us))
    }

    /// The legacy peer at `ip` is elsewhere now.
    pub(crate) fn forget_legacy(&self, ip: IpAddr) {
        let hash = self.hash(ip);
        if let Some(mut shard) = self.shard(hash) {
            shard.registrations.forget(hash, ip, |ip| self.hash(ip));
        }
    }
}
