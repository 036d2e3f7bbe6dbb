//! Which addresses of 127.0.0.0/8, all of them local, stand for which peers. Pairs have 127.1 and 127.2.

use std::net::Ipv4Addr;

/// Peers with an address from [`one_of_many`].
pub(crate) const MANY: u32 = 15_000_000;
const FIRST_OF_MANY: Ipv4Addr = Ipv4Addr::new(127, 16, 0, 0);
// The very last address is that of a broadcast.
const _: () = assert!(FIRST_OF_MANY.to_bits() + MANY < Ipv4Addr::new(127, 255, 255, 255).to_bits());

const HONEST: [u8; 2] = [127, 3];

/// Peer `number` of a great many: of those that fill a matchmaker, and of those that flood it.
pub(crate) fn one_of_many(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(FIRST_OF_MANY.to_bits() + number % MANY)
}

/// Honest peer `number` beside a flood.
pub(crate) fn honest(number: u16) -> Ipv4Addr {
    let ([first, second], [high, low]) = (HONEST, number.to_be_bytes());
    Ipv4Addr::new(first, second, high, low)
}

/// The number of an honest peer.
pub(crate) fn honest_number(ip: Ipv4Addr) -> Option<u16> {
    let [first, second, high, low] = ip.octets();
    ([first, second] == HONEST).then(|| u16::from_be_bytes([high, low]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_peers_have_distinct_addresses_apart_from_all_others() {
        assert_eq!(one_of_many(0), Ipv4Addr::new(127, 16, 0, 0));
        assert_eq!(one_of_many(65_537), Ipv4Addr::new(127, 17, 0, 1));
        assert!(one_of_many(MANY - 1) < Ipv4Addr::new(127, 255, 0, 0));
        assert_eq!(honest_number(one_of_many(MANY - 1)), None);
    }

    #[test]
    fn an_honest_peer_is_known_by_its_address() {
        for number in [0, 1, 999, u16::MAX] {
            assert_eq!(honest_number(honest(number)), Some(number));
        }
        assert_eq!(honest(258), Ipv4Addr::new(127, 3, 1, 2));
    }
}
