use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::limits::V2_TID_MAX_CHARS;
use crate::peer_id;

/// A field that is not of its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a field of another form")]
pub struct BadField;

/// What a client calls one of its requests; the answer has it too. 1 to 16 of `A-Z a-z 0-9 _ -`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tid {
    /// Followed by zeros.
    chars: [u8; V2_TID_MAX_CHARS],
}

impl Tid {
    /// Its characters.
    pub fn as_str(&self) -> &str {
        let len = self.chars.iter().position(|char| *char == 0).unwrap_or(V2_TID_MAX_CHARS);
        // Only ASCII is ever in it.
        self.chars.get(..len).and_then(|chars| std::str::from_utf8(chars).ok()).unwrap_or_default()
    }
}

impl FromStr for Tid {
    type Err = BadField;

    fn from_str(text: &str) -> Result<Self, BadField> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let mut chars = [0; V2_TID_MAX_CHARS];
        let place = chars.get_mut(..text.len()).filter(|place| !place.is_empty()).ok_or(BadField)?;
        if !text.bytes().all(allowed) {
            return Err(BadField);
        }
        place.copy_from_slice(text.as_bytes());
        Ok(Self { chars })
    }
}

impl fmt::Debug for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tid({})", self.as_str())
    }
}

/// 16 bytes that travel as 22 characters of base64url without padding (RFC 4648 section 5).
macro_rules! sixteen_bytes {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name([u8; Self::BYTES]);

        impl $name {
            /// Its size, in bytes.
            pub const BYTES: usize = 16;
            /// Length of its text, in characters.
            pub const CHARS: usize = 22;

            /// From its bytes.
            pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            pub fn to_bytes(self) -> [u8; Self::BYTES] {
                self.0
            }

            /// Its text.
            pub fn text(self) -> [u8; Self::CHARS] {
                base64url(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadField;

            fn from_str(text: &str) -> Result<Self, BadField> {
                peer_id::decode(text).map(Self).ok_or(BadField)
            }
        }
    };
}

sixteen_bytes! {
    /// What the server gave to an address, so that whoever shows it receives there. Only the server can read it.
    Token
}

sixteen_bytes! {
    /// A secret that the two sides of a pair have from the server, and nobody else: they know each other by it.
    PunchKey
}

/// Bytes as base64url without padding, where the length of the text is known.
pub(super) fn base64url<const CHARS: usize>(bytes: &[u8]) -> [u8; CHARS] {
    let mut text = [b'A'; CHARS];
    // It fits: that is what the length is for.
    let _ = BASE64_URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
    text
}

/// The number of a pair of peers that were told of each other: 16 digits of lower-case hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PairId(u64);

impl PairId {
    /// Length of its text, in characters.
    pub const CHARS: usize = 16;

    /// From its bits.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// Its text.
    pub fn text(self) -> [u8; Self::CHARS] {
        let mut text = [b'0'; Self::CHARS];
        for (place, digit) in text.iter_mut().zip(0..) {
            // Four bits, the highest first.
            let bits = u8::try_from(self.0 >> (60 - 4 * digit) & 0xf).unwrap_or_default();
            *place = if bits < 10 { b'0' + bits } else { b'a' + bits - 10 };
        }
        text
    }
}

impl FromStr for PairId {
    type Err = BadField;

    fn from_str(text: &str) -> Result<Self, BadField> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != Self::CHARS || !text.bytes().all(digit) {
            return Err(BadField);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| BadField)
    }
}
