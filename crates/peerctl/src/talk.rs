//! What two `peerctl` say over a path besides QUIC: pings, and lines of a chat.

/// What all our words start with. QUIC datagrams do not: their first byte has the bit 0x40 (RFC 9000 section 17), but for
/// peers that agreed to vary it (RFC 9287), whose encrypted bytes would have to be these nine by chance.
const MAGIC: &[u8; 8] = b"\0peerctl";
const PING: u8 = b'?';
const PONG: u8 = b'!';
const LINE: u8 = b'"';
/// Longest line of a chat, in bytes: with the rest it fits into any datagram (RFC 9000 section 14 counts on 1,200).
pub(crate) const LINE_MAX_BYTES: usize = 1_100;

/// A datagram of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// "Are you there?"
    Ping(u64),
    /// "I am", with the number of the ping.
    Pong(u64),
    /// What somebody typed.
    Line(String),
}

impl Word {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        match self {
            Self::Ping(number) => {
                bytes.push(PING);
                bytes.extend(number.to_be_bytes());
            }
            Self::Pong(number) => {
                bytes.push(PONG);
                bytes.extend(number.to_be_bytes());
            }
            Self::Line(text) => {
                bytes.push(LINE);
                bytes.extend(text.as_bytes());
            }
        }
        bytes
    }

    pub(crate) fn decode(datagram: &[u8]) -> Option<Self> {
        let (kind, body) = datagram.strip_prefix(MAGIC)?.split_first()?;
        let number = || Some(u64::from_be_bytes(body.try_into().ok()?));
        match *kind {
            PING => number().map(Self::Ping),
            PONG => number().map(Self::Pong),
            LINE if body.len() <= LINE_MAX_BYTES => String::from_utf8(body.to_vec()).ok().map(Self::Line),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_ours_is_left_to_others() {
        for datagram in
            [&b""[..], b"\0peerctl", b"\0peerctl?", b"\0peerctl?123456789", b"\x40peerctl?12345678"]
        {
            assert_eq!(Word::decode(datagram), None);
        }
    }

    proptest! {
        #[test]
        fn words_survive_the_wire(number: u64, text in ".{0,100}") {
            for word in [Word::Ping(number), Word::Pong(number), Word::Line(text)] {
                prop_assert_eq!(Word::decode(&word.encode()), Some(word));
            }
        }

        #[test]
        fn any_datagram_may_come(datagram: Vec<u8>) {
            let with_magic = [MAGIC.as_slice(), &datagram].concat();
            if let Some(word) = Word::decode(&with_magic) {
                prop_assert_eq!(word.encode(), with_magic);
            }
        }
    }
}
