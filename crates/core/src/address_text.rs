use std::fmt;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};

/// The longest text of an IPv6 address, in bytes: eight groups of four digits, or six and an IPv4 address.
const MAX_BYTES: usize = 45;

/// Each octet as text with a dot behind it, and how many bytes of that count.
const OCTETS: [([u8; 4], usize); 256] = octets();

#[expect(clippy::indexing_slicing, reason = "it runs in the compiler")]
const fn octets() -> [([u8; 4], usize); 256] {
    let mut octets = [([b'.'; 4], 0); 256];
    let mut octet = 0_u8;
    loop {
        let (hundreds, tens, ones) = (b'0' + octet / 100, b'0' + octet / 10 % 10, b'0' + octet % 10);
        octets[octet as usize] = match octet {
            0..10 => ([ones, b'.', b'.', b'.'], 2),
            10..100 => ([tens, ones, b'.', b'.'], 3),
            100.. => ([hundreds, tens, ones, b'.'], 4),
        };
        if octet == u8::MAX {
            return octets;
        }
        octet += 1;
    }
}

/// An address as text, without an allocation: an answer of the tracker has dozens, and the standard library's own way
/// through its formatting machinery was nearly half of what the tracker did for a request.
#[derive(Clone, Copy)]
pub(crate) struct AddressText {
    bytes: [u8; MAX_BYTES],
    len: usize,
}

impl AddressText {
    pub(crate) fn of(address: IpAddr) -> Self {
        let mut text = Self { bytes: [0; MAX_BYTES], len: 0 };
        match address {
            IpAddr::V4(address) => text.push_v4(address),
            IpAddr::V6(address) => {
                let mut rest = text.bytes.as_mut_slice();
                // It fits: that is what the length is for.
                let _ = write!(rest, "{address}");
                text.len = MAX_BYTES - rest.len();
            }
        }
        text
    }

    fn push_v4(&mut self, address: Ipv4Addr) {
        for octet in address.octets() {
            let (digits, len) = OCTETS.get(usize::from(octet)).copied().unwrap_or_default();
            if let Some(place) = self.bytes.get_mut(self.len..self.len + digits.len()) {
                place.copy_from_slice(&digits);
                self.len += len;
            }
        }
        // The last dot.
        self.len = self.len.saturating_sub(1);
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(crate) fn as_str(&self) -> &str {
        // Only ASCII is ever written to it.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Display for AddressText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_standard_librarys_text(address: IpAddr, octets: [u8; 4]) {
            prop_assert_eq!(AddressText::of(address).to_string(), address.to_string());
            let v4 = IpAddr::from(octets);
            prop_assert_eq!(AddressText::of(v4).to_string(), v4.to_string());
        }
    }

    #[test]
    fn the_longest_fits() {
        for text in [
            "::ffff:255.255.255.255",
            "1111:2222:3333:4444:5555:6666:7777:8888",
            "255.255.255.255",
            "0.0.0.0",
        ] {
            let address: Result<IpAddr, _> = text.parse();
            assert_eq!(address.map(|address| AddressText::of(address).to_string()), Ok(text.to_owned()));
        }
    }
}
