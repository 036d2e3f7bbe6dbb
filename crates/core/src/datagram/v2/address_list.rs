use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::limits::{V2_LAN_MAX, V2_MOVE_MAX};

/// A list of at most `MAX` addresses, in place.
#[derive(Debug, Clone, Copy)]
pub struct AddressList<const MAX: usize> {
    addrs: [SocketAddr; MAX],
    len: usize,
}

/// Addresses of a peer in its local network.
pub type LanAddrs = AddressList<V2_LAN_MAX>;
/// Servers that a peer is told to move to.
pub type MoveTargets = AddressList<V2_MOVE_MAX>;

const NO_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl<const MAX: usize> AddressList<MAX> {
    /// Without an address.
    pub const EMPTY: Self = Self { addrs: [NO_ADDRESS; MAX], len: 0 };

    /// Appends one; false, and nothing is done, where it is full.
    pub fn push(&mut self, addr: SocketAddr) -> bool {
        let Some(place) = self.addrs.get_mut(self.len) else { return false };
        *place = addr;
        self.len += 1;
        true
    }

    /// Those in it.
    pub fn as_slice(&self) -> &[SocketAddr] {
        self.addrs.get(..self.len).unwrap_or_default()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<const MAX: usize> PartialEq for AddressList<MAX> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<const MAX: usize> Eq for AddressList<MAX> {}

impl<const MAX: usize> FromIterator<SocketAddr> for AddressList<MAX> {
    /// The first `MAX` of them.
    fn from_iter<I: IntoIterator<Item = SocketAddr>>(addrs: I) -> Self {
        let mut list = Self::EMPTY;
        for addr in addrs.into_iter().take(MAX) {
            list.push(addr);
        }
        list
    }
}

/// Whether an address can be one in a local network, and in that only: private (RFC 1918), shared behind a carrier's NAT
/// (RFC 6598) or unique local (RFC 4193), and with a port.
pub fn is_lan(addr: SocketAddr) -> bool {
    let private = match addr.ip().to_canonical() {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            ip.is_private() || first == 100 && second & 0xc0 == 64
        }
        IpAddr::V6(ip) => ip.is_unique_local(),
    };
    private && addr.port() != 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    #[test]
    fn only_addresses_of_local_networks_are_of_the_lan() {
        let is = |text: &str| is_lan(text.parse().unwrap());
        for lan in [
            "10.0.0.1:1",
            "172.16.0.1:1",
            "172.31.255.255:1",
            "192.168.1.5:65535",
            "100.64.0.1:1",
            "100.127.255.255:1",
            "[fd00::1]:1",
            "[::ffff:10.0.0.1]:1",
        ] {
            assert!(is(lan), "{lan}");
        }
        for other in [
            "192.168.1.5:0",
            "203.0.113.5:1",
            "127.0.0.1:1",
            "169.254.1.1:1",
            "100.128.0.1:1",
            "100.63.0.1:1",
            "172.32.0.1:1",
            "0.0.0.0:1",
            "255.255.255.255:1",
            "224.0.0.1:1",
            "[2001:db8::1]:1",
            "[fe80::1]:1",
            "[::1]:1",
        ] {
            assert!(!is(other), "{other}");
        }
    }

    #[test]
    fn a_list_takes_what_it_has_room_for() {
        let addr: SocketAddr = "10.0.0.1:1".parse().unwrap();
        let mut list: AddressList<2> = std::iter::repeat_n(addr, 1).collect();
        assert!(list.push(addr) && !list.push(addr));
        assert_eq!(list, std::iter::repeat_n(addr, 5).collect());
        assert!(AddressList::<2>::EMPTY.is_empty());
    }
}
