use peer_core::datagram::v2::PunchKey;

/// First bytes of what peers say to each other. The first one begins neither JSON nor any protocol that shares ports with
/// others (RFC 9443: STUN, DTLS, TURN, QUIC, RTP).
const MAGIC: [u8; 3] = [0x05, b'p', b'2'];
/// Magic, what is said, and the key.
const BYTES: usize = MAGIC.len() + 1 + PunchKey::BYTES;
/// Set in what comes from the side that asked: nobody takes its own words for the other's, which come back where both have
/// the same address in different networks.
const FROM_ASKER: u8 = 0x80;

/// What one side of a pair says to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Punch {
    pub(super) says: Says,
    /// Whether the sender is the side that asked.
    pub(super) from_asker: bool,
    pub(super) key: PunchKey,
}

/// How far the sender is with the address that this goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// It has heard nothing from there. To be answered at once.
    Hello,
    /// It has heard the receiver, so that the way to it is open. To be answered at once.
    Heard,
    /// It knows that it was heard: the way is open in both directions. Needs no answer.
    Confirmed,
    /// The path is there still.
    Alive,
    /// The sender closes the path.
    Bye,
}

impl Punch {
    pub(super) fn encode(self) -> Vec<u8> {
        let says = match self.says {
            Says::Hello => 0,
            Says::Heard => 1,
            Says::Confirmed => 2,
            Says::Alive => 3,
            Says::Bye => 4,
        };
        let side = if self.from_asker { FROM_ASKER } else { 0 };
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend(MAGIC);
        bytes.push(says | side);
        bytes.extend(self.key.to_bytes());
        bytes
    }

    /// `None` where it is something else.
    pub(super) fn decode(datagram: &[u8]) -> Option<Self> {
        let (flags, key) = datagram.strip_prefix(&MAGIC)?.split_first()?;
        let says = match flags & !FROM_ASKER {
            0 => Says::Hello,
            1 => Says::Heard,
            2 => Says::Confirmed,
            3 => Says::Alive,
            4 => Says::Bye,
            _ => return None,
        };
        let key = PunchKey::from_bytes(key.try_into().ok()?);
        Some(Self { says, from_asker: flags & FROM_ASKER != 0, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_was_written_and_nothing_else_is_one() {
        let key = PunchKey::from_bytes([7; 16]);
        for says in [Says::Hello, Says::Heard, Says::Confirmed, Says::Alive, Says::Bye] {
            for from_asker in [false, true] {
                let punch = Punch { says, from_asker, key };
                let bytes = punch.encode();
                assert_eq!((bytes.len(), Punch::decode(&bytes)), (20, Some(punch)));
                assert_eq!(Punch::decode(bytes.get(..19).unwrap_or_default()), None);
                assert_eq!(Punch::decode(&[bytes, vec![0]].concat()), None);
            }
        }
        for other in [&b""[..], b"\x05p2", b"punch", b"{\"v\":2}", &[0x05, b'p', b'2', 5]] {
            assert_eq!(Punch::decode(&[other, &[7; 16]].concat()), None);
        }
    }

    #[test]
    fn the_bytes_are_as_documented() {
        let document = include_str!("../../../../docs/PROTOCOL.md");
        for says in [Says::Hello, Says::Heard, Says::Confirmed, Says::Alive, Says::Bye] {
            let punch = Punch { says, from_asker: true, key: PunchKey::from_bytes([0xab; 16]) };
            let digits: Vec<String> = punch.encode().iter().map(|byte| format!("{byte:02x}")).collect();
            let line = digits.join(" ");
            assert!(document.lines().any(|shown| shown == line), "{line}");
        }
    }
}
