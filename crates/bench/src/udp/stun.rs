//! Binding requests of STUN (RFC 8489), and the answer that is due.

use std::net::{Ipv4Addr, SocketAddrV4};

/// Method, class and length of a Binding request without attributes.
const REQUEST: [u8; 4] = [0, 1, 0, 0];
const SUCCESS: [u8; 2] = [1, 1];
const COOKIE: u32 = 0x2112_a442;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
/// The reserved byte and the family of an IPv4 address.
const IPV4: [u8; 2] = [0, 1];

/// A request of the shortest form. `number` becomes its transaction id.
pub(crate) fn request(number: u64) -> [u8; 20] {
    let mut request = [0; 20];
    let (head, tail) = request.split_at_mut(REQUEST.len());
    head.copy_from_slice(&REQUEST);
    tail.copy_from_slice(&id(number));
    request
}

/// Whether `datagram` is the success response to the request of this number, and tells this address.
pub(crate) fn answers(datagram: &[u8], number: u64, mapped: SocketAddrV4) -> bool {
    let Some(([kind_high, kind_low, _, _, answered @ ..], mut rest)) = datagram.split_first_chunk::<20>()
    else {
        return false;
    };
    if [*kind_high, *kind_low] != SUCCESS || *answered != id(number) {
        return false;
    }
    while let Some(([kind_high, kind_low, length_high, length_low], behind)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        if u16::from_be_bytes([*kind_high, *kind_low]) == XOR_MAPPED_ADDRESS {
            return behind.get(..length).and_then(address) == Some(mapped);
        }
        rest = behind.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

/// The magic cookie and the transaction id.
fn id(number: u64) -> [u8; 16] {
    (u128::from(COOKIE) << 96 | u128::from(number)).to_be_bytes()
}

/// The value of XOR-MAPPED-ADDRESS with an IPv4 address.
fn address(value: &[u8]) -> Option<SocketAddrV4> {
    let [zero, family, port_high, port_low, ip @ ..] = value else { return None };
    let ip = u32::from_be_bytes(ip.try_into().ok()?) ^ COOKIE;
    let [cookie_high, cookie_low, ..] = COOKIE.to_be_bytes();
    let port = u16::from_be_bytes([port_high ^ cookie_high, port_low ^ cookie_low]);
    ([*zero, *family] == IPV4).then(|| SocketAddrV4::new(Ipv4Addr::from_bits(ip), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of RFC 5769 section 2.2, without the attributes that need a password.
    const MAPPED: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 32_853);
    const ATTRIBUTE: [u8; 12] = [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43];

    fn answer(number: u64, attributes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(attributes.len()).unwrap_or_default();
        [&[1, 1, 0, length][..], &id(number), attributes].concat()
    }

    #[test]
    fn an_answer_is_right_with_the_id_and_the_address_whatever_else_is_in_it() {
        let name = [0x80, 0x22, 0, 3, b'a', b'b', b'c', 0];
        assert!(answers(&answer(7, &ATTRIBUTE), 7, MAPPED));
        assert!(answers(&answer(7, &[&name[..], &ATTRIBUTE].concat()), 7, MAPPED));
    }

    #[test]
    fn another_id_another_address_or_an_error_is_wrong() {
        let other = SocketAddrV4::new(*MAPPED.ip(), 5);
        let mut error = answer(7, &ATTRIBUTE);
        error.splice(..2, [1, 0x11]);
        assert!(!answers(&answer(8, &ATTRIBUTE), 7, MAPPED));
        assert!(!answers(&answer(7, &ATTRIBUTE), 7, other));
        for wrong in [error, answer(7, &[]), request(7).to_vec(), Vec::new()] {
            assert!(!answers(&wrong, 7, MAPPED));
        }
    }
}
