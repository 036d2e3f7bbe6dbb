use std::fmt;
use std::str::FromStr;

use crate::Invalid;

/// A matchmaker among several, from its start to its end: a random number, written as 16 digits of lower-case hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u64);

impl NodeId {
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
}

impl FromStr for NodeId {
    type Err = Invalid;

    /// One text for one value.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digits =
            text.len() == Self::CHARS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let bits = u64::from_str_radix(text, 16).ok().filter(|_| digits);
        bits.map(Self).ok_or(Invalid::NodeId)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_node_survives_text(bits: u64) {
            let node = NodeId::from_bits(bits);
            prop_assert_eq!(node.to_string().parse(), Ok(node));
        }
    }

    #[test]
    fn one_node_has_one_text() {
        for text in ["", "1", "00000000000000000", "000000000000000A", "+00000000000000a", "00000000 000000a"]
        {
            assert_eq!(text.parse::<NodeId>(), Err(Invalid::NodeId), "{text:?}");
        }
    }
}
