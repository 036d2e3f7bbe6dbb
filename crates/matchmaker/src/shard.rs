use std::net::IpAddr;

use crate::buckets::Buckets;
use crate::limits::LegacyLimits;
use crate::registrations::Registrations;

/// Sources, and pairs of source and target, whose rates are known at once, over all shards. Each is in use for as long
/// as it has something to pay back: 5 ms an answer, 250 ms a connect.
const BUCKETS: u32 = 131_072;

/// A part of the engine's state: the sources whose hash leads here.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) registrations: Registrations,
    limiter: Option<Limiter>,
}

/// What the sources of a shard have used up.
#[derive(Debug)]
struct Limiter {
    limits: LegacyLimits,
    answers: Buckets,
    pairs: Buckets,
    bytes: Buckets,
}

impl Shard {
    /// One of `shards`.
    pub(crate) fn new(registrations: Registrations, limits: Option<LegacyLimits>, shards: u32) -> Self {
        let buckets = || Buckets::new((BUCKETS / shards) as usize);
        let limiter =
            limits.map(|limits| Limiter { limits, answers: buckets(), pairs: buckets(), bytes: buckets() });
        Self { registrations, limiter }
    }

    /// The limits that hold for a source here; `None` where there are none.
    pub(crate) fn limits_of(&self, source: IpAddr) -> Option<LegacyLimits> {
        let limiter = self.limiter.as_ref()?;
        (limiter.limits.loopback || !source.is_loopback()).then_some(limiter.limits)
    }

    /// One more answer to a source.
    pub(crate) fn may_answer(&mut self, source: u64, now_us: u64) -> bool {
        self.limiter.as_mut().is_none_or(|limiter| {
            let rate = limiter.limits.source;
            limiter.answers.charge(source, now_us, rate.cost_us(), rate.burst_us())
        })
    }

    /// One more connect of a source to a target.
    pub(crate) fn may_pair(&mut self, pair: u64, now_us: u64) -> bool {
        self.limiter.as_mut().is_none_or(|limiter| {
            let rate = limiter.limits.pair;
            limiter.pairs.charge(pair, now_us, rate.cost_us(), rate.burst_us())
        })
    }

    /// `sent` bytes because of `received` bytes of a source that is not registered. What it sent counts in its
    /// favour even when it is refused.
    pub(crate) fn may_send(&mut self, source: u64, received: usize, sent: usize, now_us: u64) -> bool {
        self.limiter.as_mut().is_none_or(|limiter| {
            let (cost_us, burst_us) = (limiter.limits.byte_cost_us(), limiter.limits.byte_burst_us());
            let bytes = |count: usize| i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(cost_us);
            limiter.bytes.charge(source, now_us, bytes(sent) - bytes(received), burst_us) || {
                limiter.bytes.charge(source, now_us, -bytes(received), burst_us);
                false
            }
        })
    }

    /// The counterpart of [`Self::may_send`], for bytes that are not sent after all.
    pub(crate) fn give_back(&mut self, source: u64, sent: usize, now_us: u64) {
        self.may_send(source, sent, 0, now_us);
    }
}
