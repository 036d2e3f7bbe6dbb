use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// Room for the text of an IPv4 address and a dot, in bytes.
const V4_BYTES: usize = 16;
/// The longest text of an IPv6 address, in bytes: eight groups of four digits, or six and an IPv4 address.
const MAX_BYTES: usize = 45;

/// Each octet as text with a dot behind it, and how many bytes of that count.
const OCTETS: [([u8; 4], usize); 256] = octets();

const HEX_DIGITS: [u8; 16] = *b"0123456789abcdef";

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
            IpAddr::V6(address) => text.push_v6(address),
        }
        text
    }

    /// Appends the text of an address to `out`: a copy less than with the text as a value of its own.
    pub(crate) fn write(address: IpAddr, out: &mut Vec<u8>) {
        match address {
            IpAddr::V4(address) => {
                let (bytes, len) = v4(address);
                let end = out.len() + len;
                // A copy of a known length is a few instructions, one of any other a call.
                out.extend_from_slice(&bytes);
                out.truncate(end);
            }
            IpAddr::V6(_) => out.extend_from_slice(Self::of(address).as_bytes()),
        }
    }

    fn push_v4(&mut self, address: Ipv4Addr) {
        let (bytes, len) = v4(address);
        self.push(bytes.get(..len).unwrap_or_default());
    }

    /// The one text that RFC 5952, section 4, recommends of the many that an address has.
    fn push_v6(&mut self, address: Ipv6Addr) {
        if let Some(mapped) = address.to_ipv4_mapped() {
            self.push(b"::ffff:");
            return self.push_v4(mapped);
        }
        let groups = address.segments();
        let zeros = longest_zeros(groups);
        for (place, group) in groups.into_iter().enumerate() {
            if place == zeros.start && !zeros.is_empty() {
                self.push(b"::");
            } else if !zeros.contains(&place) {
                if place > 0 && place != zeros.end {
                    self.push(b":");
                }
                self.push_group(group);
            }
        }
    }

    fn push_group(&mut self, group: u16) {
        let digits = [group >> 12, group >> 8, group >> 4, group]
            .map(|digit| HEX_DIGITS.get(usize::from(digit & 0xf)).copied().unwrap_or_default());
        // The last digit stands where all are zero.
        let zeros = (group | 1).leading_zeros() as usize / 4;
        self.push(digits.get(zeros..).unwrap_or_default());
    }

    fn push(&mut self, text: &[u8]) {
        if let Some(place) = self.bytes.get_mut(self.len..self.len + text.len()) {
            place.copy_from_slice(text);
            self.len += text.len();
        }
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

/// The text of an address, and its length.
fn v4(address: Ipv4Addr) -> ([u8; V4_BYTES], usize) {
    let (mut bytes, mut end) = ([0; V4_BYTES], 0);
    for octet in address.octets() {
        let (digits, len) = OCTETS.get(usize::from(octet)).copied().unwrap_or_default();
        if let Some(place) = bytes.get_mut(end..end + digits.len()) {
            place.copy_from_slice(&digits);
            end += len;
        }
    }
    // Without the last dot.
    (bytes, end.saturating_sub(1))
}

/// The groups that `::` stands for: the longest run of two or more zeros, the first one of several.
fn longest_zeros(groups: [u16; 8]) -> Range<usize> {
    let (mut longest, mut run) = (0..0, 0..0);
    for (place, group) in groups.into_iter().enumerate() {
        run = if group == 0 { run.start..place + 1 } else { place + 1..place + 1 };
        if run.len() > longest.len().max(1) {
            longest = run.clone();
        }
    }
    // Behind the last place where there is none.
    if longest.is_empty() { groups.len()..groups.len() } else { longest }
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
            for address in [address, v4] {
                let mut out = b"at ".to_vec();
                AddressText::write(address, &mut out);
                prop_assert_eq!(String::from_utf8(out), Ok(format!("at {address}")));
            }
        }

        #[test]
        fn zeros_are_left_out_where_the_standard_library_leaves_them_out(
            groups in prop::array::uniform8(prop_oneof![3 => Just(0), 1 => Just(0xffff_u16), 2 => any::<u16>().prop_map(|it| it >> (it & 0xf))]),
        ) {
            let address = IpAddr::from(groups);
            prop_assert_eq!(AddressText::of(address).to_string(), address.to_string());
        }
    }

    #[test]
    fn the_longest_and_the_shortest_are_as_they_are_read() {
        for text in [
            "::ffff:255.255.255.255",
            "1111:2222:3333:4444:5555:6666:7777:8888",
            "255.255.255.255",
            "0.0.0.0",
            "::",
            "::1",
            "1::",
            "0:1::",
            "1:0:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:0",
        ] {
            let address: Result<IpAddr, _> = text.parse();
            assert_eq!(address.map(|address| AddressText::of(address).to_string()), Ok(text.to_owned()));
        }
    }
}
