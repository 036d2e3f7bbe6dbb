//! Peers, files and hashes by number, for the tests of the table.
#![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

use peer_core::{ContentHash, FileName, Owner, Peer, PeerId};

use crate::{Entry, Publisher};

/// An address. Those with a key are at others than those without.
pub(super) fn address(number: u32) -> Peer {
    Peer::new(std::net::IpAddr::V4((0x0a00_0001 + number).into())).unwrap()
}

/// Every other owner has a key.
pub(super) fn owner(id: u16) -> Owner {
    if id.is_multiple_of(2) { address(id.into()).into() } else { key(id) }
}

pub(super) fn key(id: u16) -> Owner {
    let mut bytes = [1; PeerId::BYTES];
    let (start, _) = bytes.split_at_mut(2);
    start.copy_from_slice(&id.to_be_bytes());
    PeerId::from_bytes(bytes).into()
}

/// A peer that is at its own address, or, where it has a key, at any.
pub(super) fn publisher(id: u16, at: u8, ttl_secs: Option<u32>) -> Publisher {
    match owner(id) {
        Owner::Address(peer) => Publisher { ttl_secs, ..Publisher::legacy(peer) },
        owner @ Owner::Key(_) => {
            Publisher { owner, address: address(at.into()), port: Some(4_000 + u16::from(at)), ttl_secs }
        }
    }
}

pub(super) fn file(number: u16) -> FileName {
    format!("site/{number}.html").parse().unwrap()
}

pub(super) fn hash(number: u8) -> ContentHash {
    format!("hash-{number}").parse().unwrap()
}

pub(super) fn entry(name: &str) -> Entry {
    Entry { file: name.parse().unwrap(), hash: hash(0), size: None }
}
