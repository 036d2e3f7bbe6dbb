//! What matchmakers that share a Redis say in it: who is there, whom each of them hears, and what they tell each other.

use std::fmt;
use std::net::SocketAddr;

use peer_core::{NodeId, Owner};

/// In what way a matchmaker hears a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HomeKind {
    /// Peers of version 2 at an address.
    Address,
    /// The holder of an id, at an IPv4 address.
    IdV4,
    /// The same at an IPv6 address.
    IdV6,
    /// A legacy peer at an address. Whoever says so may have forged it.
    Legacy,
}

impl HomeKind {
    const ALL: [Self; 4] = [Self::Address, Self::IdV4, Self::IdV6, Self::Legacy];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Address => "v",
            Self::IdV4 => "4",
            Self::IdV6 => "6",
            Self::Legacy => "l",
        }
    }
}

/// A peer that a matchmaker hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Home {
    /// Who.
    pub owner: Owner,
    /// In what way.
    pub kind: HomeKind,
}

/// A matchmaker that says it hears a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HomeAt {
    /// Which.
    pub node: NodeId,
    /// In what way.
    pub kind: HomeKind,
}

impl fmt::Display for HomeAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.node)
    }
}

impl HomeAt {
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (kind, node) = text.split_once(' ')?;
        let kind = HomeKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        Some(Self { node: node.parse().ok()?, kind })
    }
}

/// A matchmaker that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub id: NodeId,
    /// Whether it is about to end, so that nobody is to be sent to it.
    pub leaving: bool,
    /// Where peers reach it.
    pub addrs: Vec<SocketAddr>,
}

/// Addresses of a node that are looked at.
const ADDRS_MAX: usize = 16;

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.id, if self.leaving { '-' } else { '+' })?;
        for (index, addr) in self.addrs.iter().take(ADDRS_MAX).enumerate() {
            write!(f, "{}{addr}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl Node {
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut words = text.splitn(3, ' ');
        let (id, state, addrs) = (words.next()?, words.next()?, words.next()?);
        let leaving = match state {
            "+" => false,
            "-" => true,
            _ => return None,
        };
        let addrs = addrs.split(',').take(ADDRS_MAX).filter_map(|addr| addr.parse().ok()).collect();
        Some(Self { id: id.parse().ok()?, leaving, addrs })
    }
}

/// Keys of tokens, as all nodes of a Redis have them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SharedKeys {
    /// Tokens are made with it.
    pub current: [u8; 16],
    /// The one after it.
    pub next: [u8; 16],
    /// The one before it.
    pub previous: Option<[u8; 16]>,
    /// Whether they come from Redis: a node that has met no other one yet has made them up.
    pub shared: bool,
}

impl fmt::Debug for SharedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKeys(…)")
    }
}

/// Something that one node wants to know, or to tell another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// Who hears this peer.
    Find(Owner),
    /// This message for that node.
    Tell(NodeId, Vec<u8>),
}

/// What came of an [`Errand`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errands {
    /// Those that hear it, the last that said so first.
    Homes(Vec<HomeAt>),
    /// Whether anybody listened.
    Told(bool),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    #[test]
    fn what_stands_in_redis_is_read_as_it_was_written() {
        let id = NodeId::from_bits(0x1f);
        for kind in HomeKind::ALL {
            let home = HomeAt { node: id, kind };
            assert_eq!(HomeAt::read(&home.to_string()), Some(home));
        }
        let node = |addrs: &[&str], leaving| Node {
            id,
            leaving,
            addrs: addrs.iter().map(|addr| addr.parse().unwrap()).collect(),
        };
        let both = node(&["192.0.2.1:1", "[2001:db8::1]:2"], true);
        assert_eq!(both.to_string(), "000000000000001f - 192.0.2.1:1,[2001:db8::1]:2");
        for node in [both, node(&[], false)] {
            assert_eq!(Node::read(&node.to_string()), Some(node));
        }
    }

    #[test]
    fn what_is_of_another_form_is_passed_over() {
        for text in ["", "v", "v 1", "x 000000000000001f", "v  000000000000001f", "v 000000000000001f "] {
            assert_eq!(HomeAt::read(text), None, "{text:?}");
        }
        for text in [
            "",
            "000000000000001f",
            "000000000000001f +",
            "000000000000001f * 192.0.2.1:1",
            "1f + 192.0.2.1:1",
        ] {
            assert_eq!(Node::read(text), None, "{text:?}");
        }
    }
}
