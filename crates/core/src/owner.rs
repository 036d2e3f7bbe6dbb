use std::fmt;
use std::str::FromStr;

use crate::{Invalid, Peer, PeerId};

/// Who owns a mapping, and alone may change it: an address, as in the legacy contract, or the holder of a key.
///
/// As text it is the address or the id. Neither can be taken for the other: an id has neither a dot nor a colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// Whoever is at the address.
    Address(Peer),
    /// Whoever holds the key, wherever.
    Key(PeerId),
}

impl Owner {
    /// The id, where it has one.
    pub fn id(self) -> Option<PeerId> {
        match self {
            Self::Address(_) => None,
            Self::Key(id) => Some(id),
        }
    }
}

impl From<Peer> for Owner {
    fn from(peer: Peer) -> Self {
        Self::Address(peer)
    }
}

impl From<PeerId> for Owner {
    fn from(id: PeerId) -> Self {
        Self::Key(id)
    }
}

impl FromStr for Owner {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.contains(['.', ':']) { text.parse().map(Self::Address) } else { text.parse().map(Self::Key) }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(peer) => peer.fmt(f),
            Self::Key(id) => id.fmt(f),
        }
    }
}

impl serde::Serialize for Owner {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_owner_survives_text(address: IpAddr, id: [u8; 32]) {
            let id = Owner::from(PeerId::from_bytes(id));
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            if let Ok(peer) = Peer::new(address) {
                let owner = Owner::from(peer);
                prop_assert_eq!(owner.to_string().parse(), Ok(owner));
            }
        }
    }

    #[test]
    fn what_is_neither_is_refused_as_what_it_looks_like() {
        assert_eq!("notanip".parse::<Owner>(), Err(Invalid::PeerId));
        assert_eq!("1.2.3".parse::<Owner>(), Err(Invalid::Address));
        assert_eq!(
            "::ffff:1.2.3.4".parse::<Owner>().map(|owner| owner.to_string()),
            Ok("1.2.3.4".to_owned())
        );
    }
}
