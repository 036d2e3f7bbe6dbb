use std::net::{IpAddr, Ipv6Addr};

use crate::Peer;

/// Part of the internet that one party may well have whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(u128);

impl Network {
    /// What one customer has: an IPv4 address, or an IPv6 /64 (RFC 6177). Rates are counted by it.
    pub fn of_customer(peer: Peer) -> Self {
        Self::cut(peer, 32, 64)
    }

    /// What one organisation has: an IPv4 /24, the least that is routed on the internet, or an IPv6 /48 (RFC 6177). Reports
    /// have to come from several.
    pub fn of_organisation(peer: Peer) -> Self {
        Self::cut(peer, 24, 48)
    }

    /// A number that no other network of this kind has.
    pub fn to_bits(self) -> u128 {
        self.0
    }

    /// Keeps the first bits of an address. An IPv4 one is mapped into IPv6, so that no two networks meet.
    fn cut(peer: Peer, of_v4: u32, of_v6: u32) -> Self {
        let (address, bits): (Ipv6Addr, u32) = match peer.ip() {
            IpAddr::V4(v4) => (v4.to_ipv6_mapped(), 96 + of_v4),
            IpAddr::V6(v6) => (v6, of_v6),
        };
        Self(address.to_bits() & (u128::MAX << (128 - bits)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    #[test]
    fn networks_are_cut_where_parties_end() {
        let customer = |text: &str| Network::of_customer(text.parse().unwrap());
        let organisation = |text: &str| Network::of_organisation(text.parse().unwrap());
        assert_ne!(customer("203.0.113.5"), customer("203.0.113.6"));
        assert_eq!(customer("2001:db8:0:1::1"), customer("2001:db8:0:1:ffff::"));
        assert_ne!(customer("2001:db8:0:1::1"), customer("2001:db8:0:2::1"));
        assert_eq!(organisation("203.0.113.5"), organisation("203.0.113.250"));
        assert_ne!(organisation("203.0.113.5"), organisation("203.0.112.5"));
        assert_eq!(organisation("2001:db8:7:1::1"), organisation("2001:db8:7:2::1"));
        assert_ne!(organisation("2001:db8:7::1"), organisation("2001:db8:8::1"));
        assert_eq!(organisation("::ffff:203.0.113.5"), organisation("203.0.113.9"));
    }
}
