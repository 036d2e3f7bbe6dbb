//! How much a legacy peer may ask for. A legacy datagram can be forged, so that its answers go where the forger
//! wants: these limits bound what anyone can be made to receive. They can't make the legacy contract safe.

use std::fmt;
use std::str::FromStr;

/// So many a second, and so many at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    per_second: u32,
    burst: u32,
}

impl Rate {
    /// The most of either that may be asked for; a microsecond is the unit of time below.
    const MOST: u32 = 1_000_000;

    /// `per_second` and `burst` from 1 to 1,000,000.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second, burst }
    }

    /// What one costs, in us: a bucket is a time until which it is used up, and each use moves it by this.
    pub(crate) fn cost_us(self) -> i64 {
        1_000_000 / i64::from(self.per_second.max(1))
    }

    /// How far ahead of now a bucket may be used up, in us.
    pub(crate) fn burst_us(self) -> i64 {
        self.cost_us() * i64::from(self.burst)
    }
}

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ALLOWED: &str = "RATE/BURST, so many a second and at once, each from 1 to 1000000";
        let (per_second, burst) = text.split_once('/').ok_or(ALLOWED)?;
        let number = |text: &str| text.trim().parse().ok().filter(|number| (1..=Self::MOST).contains(number));
        match (number(per_second), number(burst)) {
            (Some(per_second), Some(burst)) => Ok(Self { per_second, burst }),
            _ => Err(ALLOWED),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.per_second, self.burst)
    }
}

/// What is done with legacy datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Legacy {
    /// Answered without limits, for private networks and benchmarks.
    On,
    /// Answered within limits.
    Limited(LegacyLimits),
    /// Not answered. The limits are those of what else is.
    Off(LegacyLimits),
}

impl Legacy {
    /// The limits of sources, legacy or not.
    pub(crate) fn limits(self) -> Option<LegacyLimits> {
        match self {
            Self::Limited(limits) | Self::Off(limits) => Some(limits),
            Self::On => None,
        }
    }
}

/// The limits of [`Legacy::Limited`], each per what it names. Those of a source hold for STUN too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyLimits {
    /// Answers to a source: an IPv4 address or an IPv6 /64.
    pub source: Rate,
    /// Connects of one source to one target.
    pub pair: Rate,
    /// Connects to a target, whoever asks.
    pub target: Rate,
    /// Connects of all sources together that are not registered.
    pub unregistered: Rate,
    /// Connects of those to one target.
    pub unregistered_target: Rate,
    /// Bytes that an unregistered source may make us send beyond those that it sent itself.
    pub unregistered_burst_bytes: u32,
    /// Whether loopback sources are limited too. Nobody outside can forge them.
    pub loopback: bool,
}

/// How long the bytes of [`LegacyLimits::unregistered_burst_bytes`] take to be granted again, in us: so long that
/// what is granted again within seconds is nothing.
const BURST_REFILL_US: i64 = 600_000_000;

impl LegacyLimits {
    /// What a byte costs a source that is not registered, in us.
    pub(crate) fn byte_cost_us(&self) -> i64 {
        BURST_REFILL_US / i64::from(self.unregistered_burst_bytes.max(1))
    }

    /// How far ahead of now the bucket of its bytes may be used up, in us.
    pub(crate) fn byte_burst_us(&self) -> i64 {
        self.byte_cost_us() * i64::from(self.unregistered_burst_bytes)
    }
}

impl Default for LegacyLimits {
    fn default() -> Self {
        Self {
            source: Rate::new(200, 1_000),
            pair: Rate::new(4, 8),
            target: Rate::new(50, 100),
            unregistered: Rate::new(100, 200),
            unregistered_target: Rate::new(10, 10),
            unregistered_burst_bytes: 4_096,
            loopback: false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    #[test]
    fn a_rate_is_two_numbers() {
        assert_eq!("200/1000".parse::<Rate>(), Ok(Rate::new(200, 1_000)));
        assert_eq!(" 4 / 8 ".parse::<Rate>().unwrap().to_string(), "4/8");
        for text in ["", "4", "4/", "0/8", "4/0", "-1/8", "1000001/1", "4/8/2", "a/b"] {
            assert!(text.parse::<Rate>().is_err(), "{text:?}");
        }
    }
}
