//! Addresses of peers and callers in the log, whole or masked.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bits of an address that are shown where they are masked: what one organisation has.
const V4_BITS: u32 = 24;
const V6_BITS: u32 = 48;

/// As the log itself: one a process, set before its first line.
static MASKED: AtomicBool = AtomicBool::new(false);

/// `LOG_ADDRESSES`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addresses {
    Full,
    Masked,
}

impl Addresses {
    /// From now on the log shows them like this.
    pub(super) fn rule(self) {
        MASKED.store(self == Self::Masked, Ordering::Relaxed);
    }
}

impl FromStr for Addresses {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "full" => Ok(Self::Full),
            "masked" => Ok(Self::Masked),
            _ => Err("full or masked"),
        }
    }
}

/// The address of somebody else as the log may show it: whole, or of an IPv4 address its /24 and of an IPv6 address its
/// /48, as `LOG_ADDRESSES` says. No event may show one by other means.
pub fn shown(address: IpAddr) -> impl fmt::Display {
    Shown { address, masked: MASKED.load(Ordering::Relaxed) }
}

struct Shown {
    address: IpAddr,
    masked: bool,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address.to_canonical() {
            address if !self.masked => address.fmt(f),
            IpAddr::V4(v4) => {
                let kept = Ipv4Addr::from_bits(v4.to_bits() & (u32::MAX << (32 - V4_BITS)));
                write!(f, "{kept}/{V4_BITS}")
            }
            IpAddr::V6(v6) => {
                let kept = Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (128 - V6_BITS)));
                write!(f, "{kept}/{V6_BITS}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    #[test]
    fn masked_addresses_name_a_network_and_nobody_in_it() {
        let shown = |text: &str, masked| Shown { address: text.parse().unwrap(), masked }.to_string();
        for (address, network) in [
            ("203.0.113.77", "203.0.113.0/24"),
            ("255.255.255.255", "255.255.255.0/24"),
            ("2001:db8:7:1:2:3:4:5", "2001:db8:7::/48"),
            ("::1", "::/48"),
            ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ] {
            assert_eq!(shown(address, true), network);
        }
        assert_eq!(shown("2001:db8:7:1:2:3:4:5", false), "2001:db8:7:1:2:3:4:5");
        assert_eq!(shown("::ffff:203.0.113.77", false), "203.0.113.77");
    }
}
