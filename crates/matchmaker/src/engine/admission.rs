//! Who may be answered, and who may be asked for: the limits of sources, pairs and targets.

use std::hash::BuildHasher as _;
use std::net::{IpAddr, SocketAddr};

use super::{Engine, Sender};
use crate::limits::LegacyLimits;
use crate::outcome::Outcome;

/// A sender that may be answered.
#[derive(Clone, Copy)]
pub(crate) struct Admitted {
    pub(crate) registered: bool,
    pub(crate) limits: Option<LegacyLimits>,
}

impl Engine {
    /// Whether the sender may be answered. Whatever it asked, a peer that asks is there, and there is where it asks
    /// from.
    pub(super) fn admit(
        &self,
        now_us: u64,
        sender: &Sender,
        target: Option<IpAddr>,
        sent: usize,
    ) -> Result<Admitted, Outcome> {
        let ip = sender.from.ip();
        let registered = self.touch(now_us, sender);
        let source = self.source_hash(ip, self.hash(ip));
        let Some(mut shard) = self.shard(source) else { return Err(Outcome::BogusSource) };
        let Some(limits) = shard.limits_of(ip) else { return Ok(Admitted { registered, limits: None }) };
        if !shard.may_answer(source, now_us) {
            return Err(Outcome::SourceLimit);
        }
        if let Some(target) = target
            && !shard.may_pair(self.hasher.hash_one((source, target)), now_us)
        {
            return Err(Outcome::PairLimit);
        }
        if !registered && !shard.may_send(source, sender.bytes, sent, now_us) {
            return Err(Outcome::UnregisteredLimit);
        }
        let (cost_us, burst_us) = (limits.unregistered.cost_us(), limits.unregistered.burst_us());
        if !registered && target.is_some() && !self.unregistered.charge(now_us, cost_us, burst_us) {
            shard.give_back(source, sent, now_us);
            return Err(Outcome::UnregisteredLimit);
        }
        Ok(Admitted { registered, limits: Some(limits) })
    }

    /// Whether a source may be sent one more answer, of `sent` bytes for `received`, registered or not. Charges it.
    pub(crate) fn may_send(&self, now_us: u64, ip: IpAddr, received: usize, sent: usize) -> bool {
        let source = self.source_hash(ip, self.hash(ip));
        self.shard(source).is_some_and(|mut shard| {
            shard.limits_of(ip).is_none()
                || shard.may_answer(source, now_us) && shard.may_send(source, received, sent, now_us)
        })
    }

    /// What an admitted sender was charged for is not sent after all: its target is asked for too often.
    pub(super) fn give_back(&self, now_us: u64, sender: &Sender, sent: usize, admitted: Admitted) {
        let (Some(limits), false) = (admitted.limits, admitted.registered) else { return };
        let source = self.source_hash(sender.from.ip(), self.hash(sender.from.ip()));
        if let Some(mut shard) = self.shard(source) {
            shard.give_back(source, sent, now_us);
        }
        self.unregistered.charge(now_us, -limits.unregistered.cost_us(), limits.unregistered.burst_us());
    }

    /// Whether a source may ask for one more target, or for this one again.
    pub(crate) fn may_pair(&self, now_us: u64, from: SocketAddr, target: SocketAddr) -> bool {
        let source = self.source_hash(from.ip(), self.hash(from.ip()));
        let pair = self.hasher.hash_one((from, target));
        self.shard(source).is_some_and(|mut shard| shard.may_pair(pair, now_us))
    }

    /// The same where it is not known where the target is.
    pub(crate) fn may_pair_with(
        &self,
        now_us: u64,
        from: SocketAddr,
        target: &peer_core::datagram::v2::Target,
    ) -> bool {
        let source = self.source_hash(from.ip(), self.hash(from.ip()));
        let pair = self.hasher.hash_one((from, target));
        self.shard(source).is_some_and(|mut shard| shard.may_pair(pair, now_us))
    }

    pub(crate) fn v2_peer_may_be_asked(
        &self,
        now_us: u64,
        addr: SocketAddr,
        asker: Admitted,
    ) -> Result<(), Outcome> {
        let Some(limits) = asker.limits else { return Ok(()) };
        let unregistered = (!asker.registered).then_some(limits.unregistered_target);
        let allowed = self.v2_may_be_asked(now_us, addr, limits.target, unregistered);
        if allowed { Ok(()) } else { Err(Outcome::TargetLimit) }
    }

    pub(crate) fn may_be_asked(&self, now_us: u64, ip: IpAddr, asker: Admitted) -> Result<(), Outcome> {
        let Some(limits) = asker.limits else { return Ok(()) };
        let hash = self.hash(ip);
        let unregistered = (!asker.registered).then_some(limits.unregistered_target);
        let allowed = self.shard(hash).is_some_and(|mut shard| {
            shard.registrations.may_be_asked(hash, ip, now_us, limits.target, unregistered)
        });
        if allowed { Ok(()) } else { Err(Outcome::TargetLimit) }
    }
}
