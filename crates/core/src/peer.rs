use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use crate::Invalid;
use crate::address_text::AddressText;

/// A peer, named by its address.
///
/// Always canonical: an IPv4 address that came in IPv6 clothes (`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2) is
/// the IPv4 address, so that one host is one peer whichever socket it reached. Never an address that no single
/// host can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer(IpAddr);

/// As one number: a keyed hash pays for each thing that it is given, and the standard library gives it four of an address.
impl Hash for Peer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.0 {
            IpAddr::V4(v4) => state.write_u32(v4.to_bits()),
            IpAddr::V6(v6) => state.write_u128(v6.to_bits()),
        }
    }
}

impl Peer {
    /// Bytes of [`Peer::to_bytes`].
    pub const ENCODED_BYTES: usize = 16;

    /// The peer at `address`, or why there can be none.
    pub fn new(address: IpAddr) -> Result<Self, Invalid> {
        let address = address.to_canonical();
        let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        if address.is_unspecified() || address.is_multicast() || broadcast {
            return Err(Invalid::AddressNotAHost);
        }
        Ok(Self(address))
    }

    /// Its address.
    pub fn ip(self) -> IpAddr {
        self.0
    }

    /// Appends its text to `out`: the same as [`fmt::Display`] has, at a tenth of the cost.
    pub fn write(self, out: &mut Vec<u8>) {
        AddressText::write(self.0, out);
    }

    /// A fixed form for keys on disk: the IPv6 address, or the IPv4 one mapped into IPv6.
    pub fn to_bytes(self) -> [u8; Self::ENCODED_BYTES] {
        match self.0 {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        }
    }

    /// The inverse of [`Peer::to_bytes`].
    pub fn from_bytes(bytes: [u8; Self::ENCODED_BYTES]) -> Result<Self, Invalid> {
        Self::new(IpAddr::V6(Ipv6Addr::from(bytes)))
    }
}

impl FromStr for Peer {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text.parse().map_err(|_| Invalid::Address)?)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        AddressText::of(self.0).fmt(f)
    }
}

impl serde::Serialize for Peer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(AddressText::of(self.0).as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_host_is_one_peer_however_its_address_is_written() {
        let same = [
            ("::ffff:203.0.113.5", "203.0.113.5"),
            ("::FFFF:CB00:7105", "203.0.113.5"),
            ("2001:DB8:0:0::1", "2001:db8::1"),
            ("127.0.0.1", "127.0.0.1"),
        ];
        for (written, canonical) in same {
            assert_eq!(written.parse::<Peer>().map(|peer| peer.to_string()), Ok(canonical.to_owned()));
        }
    }

    #[test]
    fn what_is_no_address_of_a_host_is_refused() {
        for text in [
            "",
            "notanip",
            "203.0.113.5:80",
            "203.0.113.05",
            "1.2.3",
            "[::1]",
            "fe80::1%eth0",
            " 1.2.3.4",
            "1.2.3.4\0",
        ] {
            assert_eq!(text.parse::<Peer>(), Err(Invalid::Address), "{text:?}");
        }
        for text in
            ["0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "ff02::1", "::ffff:0.0.0.0", "::ffff:224.0.0.1"]
        {
            assert_eq!(text.parse::<Peer>(), Err(Invalid::AddressNotAHost), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_peer_survives_text_and_bytes(address: IpAddr) {
            if let Ok(peer) = Peer::new(address) {
                prop_assert_eq!(peer.to_string().parse::<Peer>(), Ok(peer));
                prop_assert_eq!(Peer::from_bytes(peer.to_bytes()), Ok(peer));
            }
        }
    }
}
